import type { TickHistory } from './tick-history.js';
import { ONCE_KEYS, type OnceKey } from './tick-replica-settings.js';

/** Of one key, in one fleet. */
export interface OnceTotals {
  /** Versions whose work was called. */
  readonly versions: number;
  /** Of these: the end of the first run was never told, as its process had ended. */
  readonly interrupted: number;
  /** Of these: called again after that. */
  readonly rerun: number;
}

export interface OnceVerdict {
  readonly totals: Readonly<Record<OnceKey, OnceTotals>>;
  readonly violations: readonly string[];
}

/**
 * At most one run of a version is recorded as succeeded, and none starts after that. With `onInterrupted: 'fail'` at most
 * one starts at all.
 */
export function judgeOnce({ once }: TickHistory): OnceVerdict {
  const violations: string[] = [];
  const totals = Object.fromEntries(
    ONCE_KEYS.map((key) => [key, totalsOf(key, once, violations)]),
  ) as Record<OnceKey, OnceTotals>;
  return { totals, violations };
}

function totalsOf(key: OnceKey, all: TickHistory['once'], violations: string[]): OnceTotals {
  const events = all.filter((event) => event.key === key);
  const started = events.filter(({ event }) => event === 'once-started');
  const versions = [...new Set(started.map(({ version }) => version))];
  const totals = { versions: versions.length, interrupted: 0, rerun: 0 };
  for (const version of versions) {
    const of = events.filter((event) => event.version === version);
    const starts = of.filter(({ event }) => event === 'once-started');
    const successes = of.filter(({ result }) => result === 'ran');
    const place = `version ${version} of what runs once (${key})`;
    const hasEnded = of.some(
      ({ event, name }) => event === 'once-ended' && name === starts[0]!.name,
    );
    if (!hasEnded) totals.interrupted += 1;
    if (starts.length > 1) totals.rerun += 1;
    if (key === 'fail' && starts.length > 1) {
      violations.push(`${place} ran ${starts.length} times`);
    }
    if (successes.length > 1) violations.push(`${place} succeeded ${successes.length} times`);
    const late = starts.filter(({ at }) => successes.some((success) => success.at < at));
    if (late.length > 0) violations.push(`${place} ran again after it had succeeded`);
  }
  return totals;
}
