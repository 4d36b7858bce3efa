import type { Term } from '../../core/term.js';
import type { MissedReason } from '../claim/job-record.js';
import type { ConcurrencyPolicy } from '../claim/tick-decision.js';
import type { TickSchedule } from '../tick/tick-schedule.js';

/** Ticks that were due and not run. */
export interface MissedTicks {
  readonly count: number;
  /** Their nominal times, ascending; the first 100. */
  readonly times: readonly Date[];
  /** True if there were more than are counted here. */
  readonly isCapped: boolean;
}

/** What a job's handler is called with. */
export interface LeaderCronContext {
  /** The nominal time of this tick. */
  readonly scheduledTime: Date;
  /** Ticks missed since the last one that ran and that were not reported before. */
  readonly missed: MissedTicks;
  readonly term: Term;
  /**
   * Aborted when the term ends, when `timeoutMs` has passed, and when `concurrencyPolicy: 'Replace'` wants to start
   * the next tick. The run is awaited in every case.
   */
  readonly signal: AbortSignal;
}

/**
 * What `onMissed` is called with.
 * - `not-started`: until it was too late no replica led, or the claim could not be made.
 * - `forbidden`: the run before had not ended in time (`concurrencyPolicy: 'Forbid'`).
 * - `interrupted`: the tick was claimed, and its leader did not record how the run ended. It may have run in part,
 *   in full, or not at all; it is not run again.
 */
export interface MissedReport extends MissedTicks {
  readonly job: string;
  readonly reason: MissedReason;
}

/** One job as the runner needs it: checked, with every default filled in. */
export interface JobDefinition {
  readonly name: string;
  readonly schedule: TickSchedule;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  readonly startingDeadlineMs: number | null;
  readonly timeoutMs: number | null;
  readonly suspend: boolean;
  readonly run: (context: LeaderCronContext) => unknown;
  readonly onMissed: ((report: MissedReport) => unknown) | null;
}

export function missedTicks(times: readonly number[], isCapped: boolean): MissedTicks {
  return { count: times.length, times: times.map((time) => new Date(time)), isCapped };
}
