import type { Clock, Timer } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import type { ResourceLock } from '../core/resource-lock.js';
import { messageOf } from '../core/thrown-value.js';
import { descriptionOf } from './store-request.js';

/**
 * A standby asks its lock for nothing, for hours, and a server closes a connection that is idle. So that an acquisition need
 * not open one first, it tells the lock shortly before: while the candidate waits for its turn or for the lease to expire.
 */
export class EarlyConnection {
  private planned: { readonly at: number; readonly timer: Timer } | undefined;
  /** For which acquisition the lock has been told. */
  private toldFor: number | undefined;

  constructor(
    private readonly lock: ResourceLock,
    private readonly clock: Clock,
    private readonly its: {
      /** When a connection is due as things are now; Infinity if none is. */
      readonly dueAt: (now: number) => number;
      readonly failed: (error: LockRequestError) => void;
      /** The lock has begun to connect. */
      readonly begun: () => void;
    },
  ) {}

  /** To be called whenever that may have changed. */
  review(): void {
    if (!this.isWanted) return;
    const now = this.clock.now();
    const dueAt = this.its.dueAt(now);
    if (dueAt <= now) {
      this.plan(Infinity, now);
      this.tell(dueAt);
    } else this.plan(dueAt, now);
  }

  /** The lock may be the user's own. */
  private get isWanted(): boolean {
    try {
      return this.lock.connect !== undefined;
    } catch {
      // Whoever calls it would meet the same error; its requests say more.
      return false;
    }
  }

  private tell(dueAt: number): void {
    if (this.toldFor === dueAt) return;
    this.toldFor = dueAt;
    // It may be an asynchronous function, though nothing waits for it.
    const connect = async (): Promise<unknown> => this.lock.connect!();
    this.its.begun();
    connect().catch((cause: unknown) => {
      const text = `${descriptionOf(this.lock)}: the lock failed to connect: ${messageOf(cause)}`;
      this.its.failed(new LockRequestError(text, { reason: 'unclear', cause }));
    });
  }

  /** What is due moves with each renewal. A timer for earlier may stay: it only asks again. */
  private plan(at: number, now: number): void {
    const { planned } = this;
    if (planned !== undefined) {
      if (planned.at <= at && at !== Infinity) return;
      planned.timer.cancel();
      this.planned = undefined;
    }
    if (at === Infinity) return;
    const again = (): void => {
      this.planned = undefined;
      this.review();
    };
    this.planned = { at, timer: this.clock.setTimer(again, at - now) };
  }
}
