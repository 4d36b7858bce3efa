import type { Clock, Timer } from '../../lib/core/clock.js';
import type { EventOwner, EventQueue, SimulatedEvent } from './event-queue.js';

export interface ClockQuality {
  /** Milliseconds of this clock per millisecond of true time. */
  readonly rate: number;
  readonly wallStartMs: number;
  /** Whether the platform tells how long the machine slept. */
  readonly tellsBootTime: boolean;
}

/** `uptime` is read in steps of this size. */
const BOOT_TIME_STEP_MS = 10;

/** The clocks of one process: its own rate and start, a wall clock that people set, and sleep that it does not count. */
export class VirtualClock implements Clock {
  /** Shift of the wall clock by whoever sets it. */
  wallShiftMs = 0;
  /** How fast the wall clock runs at present, and since when. */
  private wallRate = 1;
  private wallRateSince = 0;
  private backMs = 0;
  private bornAt: number;
  private sleptMs = 0;
  private asleepSince: number | undefined;
  /** Timers that were set and have neither fired nor been called off. */
  pendingTimers = 0;

  constructor(
    private readonly queue: EventQueue,
    private readonly owner: EventOwner,
    private readonly quality: ClockQuality,
    private readonly lateness: () => number,
  ) {
    this.bornAt = queue.now;
  }

  /** Takes over how the other clock stands: its process was cloned. */
  standsLike(other: VirtualClock): void {
    const { bornAt, sleptMs, backMs, wallShiftMs, wallRate, wallRateSince } = other;
    Object.assign(this, { bornAt, sleptMs, backMs, wallShiftMs, wallRate, wallRateSince });
  }

  now(): number {
    const until = this.asleepSince ?? this.queue.now;
    return (until - this.bornAt - this.sleptMs) * this.quality.rate - this.backMs;
  }

  /** Whole milliseconds, as `Date.now()` gives them. What slews one clock of a machine slews all of them. */
  wallMicros(): number {
    const { queue, bornAt, sleptMs, quality, wallShiftMs, wallRate, wallRateSince } = this;
    const awake = (this.asleepSince ?? queue.now) - bornAt - sleptMs;
    const asleep = queue.now - bornAt - awake;
    const drifted = (queue.now - wallRateSince) * (wallRate - 1);
    const elapsed = awake * quality.rate + asleep + drifted;
    return Math.floor(quality.wallStartMs + bornAt + elapsed + wallShiftMs) * 1_000;
  }

  /** The wall clock runs at another rate from now on. */
  setWallRate(rate: number): void {
    this.wallShiftMs += (this.queue.now - this.wallRateSince) * (this.wallRate - 1);
    this.wallRate = rate;
    this.wallRateSince = this.queue.now;
  }

  /** The process is restored on a machine whose monotonic clock shows less by this much. */
  setBack(ms: number): void {
    this.backMs += ms;
  }

  suspendedMs(): number {
    if (!this.quality.tellsBootTime) return 0;
    const now = this.now();
    return Math.floor((now + this.sleptMs) / BOOT_TIME_STEP_MS) * BOOT_TIME_STEP_MS - now;
  }

  /** Like `setTimeout`: whole milliseconds, never early, at least one. */
  setTimer(callback: () => void, delayMs: number): Timer {
    const due = this.now() + Math.max(1, Math.ceil(delayMs));
    const event = this.queue.at(this.trueTimeOf(due) + this.lateness(), this.owner, () => {
      if (this.now() < due) return this.queue.postpone(event, this.trueTimeOf(due) + 1e-6);
      this.end(event);
      callback();
    });
    this.pendingTimers++;
    return { cancel: () => this.end(event) };
  }

  private end(event: SimulatedEvent): void {
    if (event.cancelled) return;
    event.cancelled = true;
    this.pendingTimers--;
  }

  /** When this clock will show `reading` if nothing sleeps until then. */
  trueTimeOf(reading: number): number {
    return this.bornAt + this.sleptMs + (reading + this.backMs) / this.quality.rate;
  }

  get rate(): number {
    return this.quality.rate;
  }

  fallAsleep(): void {
    this.asleepSince = this.queue.now;
  }

  wakeUp(): void {
    if (this.asleepSince === undefined) return;
    this.sleptMs += this.queue.now - this.asleepSince;
    this.asleepSince = undefined;
  }
}
