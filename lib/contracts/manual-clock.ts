import { AsyncResource } from 'node:async_hooks';
import { setImmediate } from 'node:timers';
import type { Clock, Timer } from '../core/clock.js';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Starts well after zero, so that no test passes only because zero is special. */
const START_MS = 1_000_000;
const WALL_START_MS = Date.UTC(2026, 0, 1);

/**
 * Virtual time: it stands still until told to move, and timers fire in the order in which they are due. It asks nothing
 * of the platform's timers that a runner can fake, so `jest.useFakeTimers()` and `vi.useFakeTimers()` do not stop it.
 */
export class ManualClock implements Clock {
  private readonly timers = new Set<Due>();
  private nowMs = START_MS;
  private sleptMs = 0;
  private readonly wallStartMicros: number;
  private wallShiftMs = 0;
  private created = 0;

  /** @param startsAt what the wall clock shows at first; unless given, 2026-01-01T00:00:00Z */
  constructor(startsAt: Date = new Date(WALL_START_MS)) {
    this.wallStartMicros = startsAt.getTime() * 1_000;
  }

  now(): number {
    return this.nowMs;
  }

  wallMicros(): number {
    const elapsedMs = this.nowMs - START_MS + this.sleptMs + this.wallShiftMs;
    return this.wallStartMicros + Math.round(elapsedMs * 1_000);
  }

  suspendedMs(): number {
    return this.sleptMs;
  }

  /** What the wall clock shows. */
  date(): Date {
    return new Date(this.wallMicros() / 1_000);
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    this.created += 1;
    const due: Due = {
      at: this.nowMs + Math.max(0, delayMs),
      order: this.created,
      // As with the timers of Node.js: in the async context in which they were set.
      callback: AsyncResource.bind(callback),
    };
    this.timers.add(due);
    return { cancel: () => void this.timers.delete(due) };
  }

  /** How many timers are set, and have neither fired nor been cleared. */
  get pendingTimers(): number {
    return this.timers.size;
  }

  /** Lets time pass: due timers fire in order, and what each of them sets off settles before the next. */
  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    await this.settle();
    for (let next = this.nextDue(until); next !== undefined; next = this.nextDue(until)) {
      this.timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.at);
      next.callback();
      await this.settle();
    }
    this.nowMs = until;
    await this.settle();
  }

  /** Time passes, and the timers that are due by then fire in one turn of the loop, before any promise. */
  fire(ms: number): void {
    this.nowMs += ms;
    const due = [...this.timers].filter(({ at }) => at <= this.nowMs);
    for (const timer of due) if (this.timers.delete(timer)) timer.callback();
  }

  /** Time passes, but no timer fires: a blocked event loop, or a stopped process. Late timers fire on `advance`. */
  stall(ms: number): void {
    this.nowMs += ms;
  }

  /** The machine sleeps: the wall clock advances, the monotonic clock does not. */
  sleep(ms: number): void {
    this.sleptMs += ms;
  }

  /** Sets the wall clock, as a person might. */
  shiftWall(ms: number): void {
    this.wallShiftMs += ms;
  }

  /** Lets promise callbacks run until they have had every chance to; no time passes. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  private nextDue(until: number): Due | undefined {
    let next: Due | undefined;
    for (const due of this.timers) {
      if (due.at > until) continue;
      if (next === undefined || due.at < next.at || (due.at === next.at && due.order < next.order))
        next = due;
    }
    return next;
  }
}

/** A macrotask runs only when the microtask queue is empty; two let a promise resolved in the first be seen. */
const SETTLING_TURNS = 2;
