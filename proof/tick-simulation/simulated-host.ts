import type { Clock, Timer } from '../../lib/core/clock.js';
import type { EventOwner, EventQueue, SimulatedEvent } from '../simulation/event-queue.js';
import type { RandomStream } from '../simulation/random-stream.js';
import type { FaultCount, FaultMix } from './network-faults.js';

/** The wall clock shows this at true time 0. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

export interface HostTraits {
  readonly queue: EventQueue;
  readonly random: RandomStream;
  readonly faults: FaultMix;
  readonly count: FaultCount;
  /** True time from which nothing fails. */
  readonly calmFrom: number;
}

/** What a simulated process runs on: its clock, and how it is stopped, cut off from the store and killed. */
export abstract class SimulatedHost implements EventOwner, Clock {
  protected isDead = false;
  protected cutOffUntil = 0;
  /** Of its wall clock. */
  protected skewMs = 0;
  private pausedUntil = 0;

  protected constructor(private readonly host: HostTraits) {}

  /** SIGKILL: what it has sent may still arrive. */
  kill(): void {
    this.isDead = true;
  }

  // EventOwner: a stopped process gets its events later, a dead one never.
  accepts(event: SimulatedEvent): boolean {
    const { queue, random } = this.host;
    if (this.isDead) return false;
    if (queue.now >= this.pausedUntil) return true;
    queue.postpone(event, this.pausedUntil + random.between(0, 5));
    return false;
  }

  settled(): void {}

  // Clock
  now(): number {
    return this.host.queue.now;
  }

  wallMicros(): number {
    return Math.round((EPOCH_MS + this.host.queue.now + this.skewMs) * 1_000);
  }

  suspendedMs(): number {
    return 0;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const event = this.host.queue.after(Math.max(0, delayMs), this, callback);
    return { cancel: () => (event.cancelled = true) };
  }

  protected get isCalm(): boolean {
    return this.host.queue.now >= this.host.calmFrom;
  }

  /** Again and again, about so often, until all is calm. */
  protected plan(everySeconds: number, what: () => void): void {
    if (everySeconds === Infinity) return;
    const { queue, random } = this.host;
    queue.after(random.between(0.2, 1.8) * everySeconds * 1_000, this, () => {
      if (this.isCalm) return;
      what();
      this.plan(everySeconds, what);
    });
  }

  /** It is stopped, and cut off from the store, now and then. */
  protected planInterruptions(): void {
    const { faults, random, queue, count } = this.host;
    this.plan(faults.pauseEvery, () => {
      count.add('paused');
      this.pausedUntil = queue.now + random.between(100, 15_000);
    });
    this.plan(faults.partitionEvery, () => {
      count.add('cut off');
      this.cutOffUntil = queue.now + random.between(500, 20_000);
    });
  }
}
