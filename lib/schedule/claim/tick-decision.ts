import type { DueTicks } from '../tick/due-ticks.js';

/** What happens when a tick is due while a run of the job is active. As in a `batch/v1` CronJob. */
export type ConcurrencyPolicy = 'Allow' | 'Forbid' | 'Replace';

export interface TickSituation {
  readonly now: number;
  /** Ticks up to now that nobody has accounted for. */
  readonly due: DueTicks | null;
  /** How late a tick may start; null: only one that this leader was there for at its time. */
  readonly startingDeadlineMs: number | null;
  /** Without a deadline: how late a leader may find a tick due, and have been there for it. */
  readonly promptMs: number;
  /** A tick that was found due in time and has waited for another run since; it may still start. */
  readonly awaitedTick: number | null;
  /** The first of the ticks that this leader found due in time, and that 'Forbid' has kept waiting since. */
  readonly forbiddenSince: number | null;
  /** A tick after this instant had this process as its leader, ready to start it. */
  readonly armedAfter: number;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  readonly activeRuns: number;
}

export type TickDecision =
  | { readonly kind: 'nothing' }
  /** Claim the newest tick and start it; the earlier ones were missed. */
  | {
      readonly kind: 'claim';
      readonly tick: number;
      readonly missed: readonly number[];
      readonly reason: 'not-started' | 'forbidden';
    }
  /** Account for the ticks without starting any. */
  | {
      readonly kind: 'report';
      readonly tick: number;
      readonly missed: readonly number[];
      readonly reason: 'not-started' | 'forbidden';
    }
  /** End the active runs first, then decide again. */
  | { readonly kind: 'replace' }
  /** Decide again when the active runs have ended, and at `until` at the latest. */
  | { readonly kind: 'wait'; readonly until: number };

/** The whole policy of one job at one instant. */
export function decideTick(situation: TickSituation): TickDecision {
  const { now, due, startingDeadlineMs, concurrencyPolicy, activeRuns } = situation;
  if (due === null) return { kind: 'nothing' };
  const tick = due.newest;
  const missed = [...due.earlier, tick];
  if (!mayStillStart(tick, situation)) {
    return { kind: 'report', tick, missed, reason: reasonOf(missed, situation) };
  }
  if (activeRuns === 0 || concurrencyPolicy === 'Allow') {
    return { kind: 'claim', tick, missed: due.earlier, reason: reasonOf(due.earlier, situation) };
  }
  if (concurrencyPolicy === 'Replace') return { kind: 'replace' };
  if (startingDeadlineMs === null) return { kind: 'report', tick, missed, reason: 'forbidden' };
  return { kind: 'wait', until: Math.max(now, lastStart(tick, startingDeadlineMs)) + 1 };
}

function reasonOf(
  missed: readonly number[],
  { forbiddenSince }: TickSituation,
): 'not-started' | 'forbidden' {
  const [first = -Infinity] = missed;
  return forbiddenSince !== null && first >= forbiddenSince ? 'forbidden' : 'not-started';
}

function mayStillStart(
  tick: number,
  { now, startingDeadlineMs, armedAfter, promptMs, awaitedTick }: TickSituation,
): boolean {
  if (startingDeadlineMs === null) {
    return tick > armedAfter && (now <= tick + promptMs || tick === awaitedTick);
  }
  return now <= lastStart(tick, startingDeadlineMs);
}

/** The deadline is in whole seconds: 0 leaves the second of the tick itself. */
function lastStart(tick: number, startingDeadlineMs: number): number {
  return tick + startingDeadlineMs + 999;
}
