import { type Belief, inOrder } from './belief.js';
import type { InjectedFault } from './leadership-changes.js';
import type { LoggedLine } from './process-history.js';

/** From one instant of the monotonic clock to another, in milliseconds. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** I9: nobody leads for longer than the limit while nothing is wrong. */
export function leaderlessViolations(
  beliefs: readonly Belief[],
  faults: readonly InjectedFault[],
  run: Interval,
  limitMs: number,
): string[] {
  const troubled = faults.map(({ at, until }) => ({ from: at, to: until ?? Infinity }));
  const peace = gapsBetween(troubled, run);
  const led = inOrder(beliefs);
  return gapsBetween(led, run)
    .flatMap((gap) => peace.map((calm) => intersection(gap, calm)))
    .filter(({ from, to }) => to - from > limitMs)
    .map(
      ({ from, to }) =>
        `I9: nobody led for ${Math.round(to - from)} ms without a fault, from ${from.toFixed(0)} on; the limit is ${limitMs} ms`,
    );
}

/** A takeover after a kill on healthy servers is no error. */
export function errorsWithin({ from, to }: Interval, logged: readonly LoggedLine[]): string[] {
  return logged
    .filter(({ at, level }) => level === 'error' && at >= from && at <= to)
    .map(({ process, text }) => `an error line in a healthy crash failover: ${process}: ${text}`);
}

function gapsBetween(intervals: readonly Interval[], { from, to }: Interval): Interval[] {
  const gaps: Interval[] = [];
  let reached = from;
  for (const interval of [...intervals].sort((a, b) => a.from - b.from)) {
    if (interval.from > reached) gaps.push({ from: reached, to: Math.min(interval.from, to) });
    reached = Math.max(reached, interval.to);
  }
  if (reached < to) gaps.push({ from: reached, to });
  return gaps;
}

function intersection(a: Interval, b: Interval): Interval {
  return { from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) };
}
