import type { Clock } from '../../core/clock.js';

export interface PaceOptions {
  /** Pause after a request that failed once, in milliseconds; it doubles with every further one. */
  readonly retryMs: number;
  /** The longest pause, in milliseconds; no server is believed that asks for a longer one. */
  readonly longestRetryMs: number;
  /** At least 0, less than 1. */
  readonly random: () => number;
}

/** What does not help is done less often: how long to wait after requests that failed in a row. */
export class RequestPace {
  private failures = 0;
  private from = -Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly options: PaceOptions,
  ) {}

  /** How many have failed in a row. */
  get count(): number {
    return this.failures;
  }

  /** When the next request may be sent, on the clock's `now()`. */
  get notBefore(): number {
    return this.from;
  }

  helped(): void {
    this.failures = 0;
    this.from = -Infinity;
  }

  /** `isFree`: the first of its kind in a row is no reason to wait, as that of a writer who was faster. */
  failed({ retryAfterMs = 0, isFree = false } = {}): void {
    const { retryMs, longestRetryMs, random } = this.options;
    this.failures += 1;
    const doublings = this.failures - (isFree ? 2 : 1);
    const spread = 0.8 + 0.2 * random();
    const waitMs = doublings < 0 ? 0 : Math.min(retryMs * 2 ** doublings, longestRetryMs) * spread;
    this.from = this.clock.now() + Math.min(Math.max(waitMs, retryAfterMs), longestRetryMs);
  }
}
