import type { ScenarioTraits } from './scenario-draw.js';
import type { Durations } from './option-draw.js';
import { type CandidateTraits, longest, type NetworkTraits, slowestClock } from './scenario.js';

/** How long things may take at most once everything works, in true time. */
export interface Bounds {
  /** Until one leader is found that stays (L1). */
  readonly settlingMs: number;
  /** Until somebody else leads after the leader was stopped (L2). */
  readonly handoverMs: number;
  /** How much longer it takes when the release names somebody who does not come (R23). */
  readonly graceMs: number;
  /** Until somebody else leads after the leader was killed. */
  readonly takeoverMs: number;
  /** Until somebody leads after the leader was killed and the store restored. */
  readonly afterRestoreMs: number;
}

/** The slowest clock and the longest of all settings are what everybody has to wait for. */
export function boundsOf(
  candidates: readonly CandidateTraits[],
  { steadyMs }: NetworkTraits,
  { strict, directs, coordinated }: Pick<ScenarioTraits, 'strict' | 'directs' | 'coordinated'>,
): Bounds {
  const durations = longestDurations(candidates);
  const { leaseDurationMs: D, renewDeadlineMs: R, retryPeriodMs: p } = durations;
  const { requestTimeoutMs: T } = durations;
  const slowest = slowestClock(candidates);
  const watching = candidates.every(({ watches }) => watches);
  // A request that is under way when the faults end may have been given all the time that is left, and a process that
  // does not know a slow server yet gives its first requests up (R20).
  const underWay = Math.max(T, R);
  const learning = isSlow(candidates, steadyMs) ? 7 * p : 0;
  // However many seem to compete, and however slow they are (R22).
  const window = Math.min(5_000, D / 3);
  // Somebody who is gone may have been named, and the one that let go be the only one left (R23).
  const lost = directs ? p + 2_000 : 0;
  // Each acquisition leaves the lease to a coordinator first (R17).
  const turn = coordinated ? D : 0;
  // An edit may have made the lease twice as long; in strict mode it is held for another D before the grant.
  const settling =
    (strict ? 4 : 2) * D + 2 * p + 2 * T + underWay + learning + 2_500 + window + lost + turn;
  // In strict mode an acquisition that was given up leaves no clean release to the next one.
  const settlesAgain = strict && learning > 0 ? D : 0;
  const handover = (watching ? 1_000 + T : p + 2 * T + 500) + window + turn;
  const takeover = (strict ? 2 : 1) * D + p + 2 * T + 600 + window + turn;
  return {
    settlingMs: settling / slowest,
    handoverMs: (handover + learning + settlesAgain) / slowest + 4 * steadyMs,
    graceMs: p / slowest,
    takeoverMs: (takeover + learning) / slowest + 4 * steadyMs,
    // Only a read shows it, and where the holder is known no more, that comes with the first attempt in vain.
    afterRestoreMs: (takeover + learning + 3 * p + 2 * T) / slowest + 8 * steadyMs,
  };
}

/** So slow that somebody who has just come gives requests up. */
export function isSlow(candidates: readonly CandidateTraits[], steadyMs: number): boolean {
  return candidates.some(({ config }) => steadyMs > config.requestTimeoutMs / 2);
}

export function longestDurations(candidates: readonly CandidateTraits[]): Durations {
  return {
    leaseDurationMs: longest(candidates, 'leaseDurationMs'),
    renewDeadlineMs: longest(candidates, 'renewDeadlineMs'),
    retryPeriodMs: longest(candidates, 'retryPeriodMs'),
    requestTimeoutMs: longest(candidates, 'requestTimeoutMs'),
  };
}

/**
 * The slowest server that can have a leader (R20): two answers in a row have to fit into the renew deadline, and one
 * beside a retry period; by the fastest clock, and with what delays and late timers add. And none for which
 * a process has to double its timeout more than once, nor any where there would be no time left for faults.
 */
export function longestSteadyMs(candidates: readonly CandidateTraits[]): number {
  const each = candidates.map(({ config, clock }) => {
    const { renewDeadlineMs: R, retryPeriodMs: p, requestTimeoutMs: T } = config;
    if (config.leaseDurationMs > 15_000) return 0;
    return Math.min(R / 2 - T / 2, R - p - T / 2, 1.7 * T) / clock.rate - 50;
  });
  return Math.max(0, 0.9 * Math.min(...each));
}
