import { type ElectionConfig, RETRY_BACKOFF_MS } from '../../lib/core/election-state.js';
import type { RandomStream } from './random-stream.js';

export interface Durations extends Pick<
  ElectionConfig,
  'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs' | 'requestTimeoutMs'
> {
  /** Not to be checked as options are: a setting that a user could not have. */
  readonly unchecked?: true;
}

const DEFAULT_DURATIONS: Durations = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
  requestTimeoutMs: 3_000,
};

/**
 * The defaults in half of all schedules; else anything that the options accept, extremes preferred. A short lease has
 * many more events in the same time than a long one.
 */
export function drawDurations(random: RandomStream): Durations {
  if (random.chance(0.5)) return DEFAULT_DURATIONS;
  const leaseDurationMs = 1_000 * random.pick([2, 3, 5, 8, 10, 12, 15, 20]);
  const share = random.chance(0.5) ? 0.8 : random.between(0.35, 0.8);
  const renewDeadlineMs = Math.max(600, Math.floor(leaseDurationMs * share));
  const forBoth = renewDeadlineMs - RETRY_BACKOFF_MS;
  const periodShare = random.chance(0.3) ? 1 : random.between(0.25, 0.8);
  const retryPeriodMs = Math.max(100, Math.floor((forBoth - 100) * periodShare));
  const most = forBoth - retryPeriodMs;
  const requestTimeoutMs = random.chance(0.5) ? most : random.whole(100, most);
  return { leaseDurationMs, renewDeadlineMs, retryPeriodMs, requestTimeoutMs };
}
