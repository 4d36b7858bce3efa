import type { TickHistory } from './tick-history.js';

/** A request as that of `nestjs-leader-election trigger`; the next one follows its end. */
export interface RequestedRun {
  readonly askedAt: number;
  readonly endedAt: number;
  /**
   * `none`: it starts no run, as it was refused, taken back or never stored. `unknown`: it was not said whether a leader has
   * started it, or will.
   */
  readonly outcome: 'started' | 'none' | 'unknown';
}

export interface TriggerTotals {
  readonly requested: number;
  readonly started: number;
  readonly none: number;
  readonly unknown: number;
  /** Calls of the handler. */
  readonly runs: number;
}

export interface TriggerVerdict {
  readonly totals: TriggerTotals;
  readonly violations: readonly string[];
}

/**
 * A request starts at most one run, and none that was refused or taken back does. One that was said to be started has been. One that was not
 * answered may start later, also after others.
 */
export function judgeTriggers(
  { requestedRuns }: TickHistory,
  requests: readonly RequestedRun[],
): TriggerVerdict {
  const violations: string[] = [];
  const runs = requestedRuns.map(({ at }) => at);
  /** Of the requests so far that may have started a run. */
  let possible = 0;
  for (const [index, { askedAt, endedAt, outcome }] of requests.entries()) {
    if (outcome !== 'none') possible += 1;
    const nextAt = requests[index + 1]?.askedAt ?? Infinity;
    const started = runs.filter((at) => at < nextAt).length;
    if (started > possible) {
      violations.push(
        `${started} runs had started by ${nextAt}, and ${possible} requests could have started one`,
      );
    }
    const own = runs.filter((at) => at >= askedAt && at <= endedAt).length;
    if (outcome === 'started' && own === 0) {
      violations.push(`the request of ${askedAt} was said to be started, and was not`);
    }
  }
  const count = (which: RequestedRun['outcome']): number =>
    requests.filter(({ outcome }) => outcome === which).length;
  return {
    totals: {
      requested: requests.length,
      started: count('started'),
      none: count('none'),
      unknown: count('unknown'),
      runs: runs.length,
    },
    violations: [...new Set(violations)],
  };
}
