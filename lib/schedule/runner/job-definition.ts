import type { Clock } from '../../core/clock.js';
import type { LockRequestError } from '../../core/errors.js';
import type { Term } from '../../core/term.js';
import type { MissedReason, PendingRetry, RunCancellation } from '../ledger/job-record.js';
import type { RetryPolicy } from '../tick/back-off.js';
import type { ConcurrencyPolicy, MissedPolicy, TickSchedule } from '../tick/tick-schedule.js';

/** Ticks that were due and not run. */
export interface MissedTicks {
  /** How many they are. */
  readonly count: number;
  /** Their nominal times, ascending; at most the first 100. */
  readonly times: readonly Date[];
  /** True if there were more than are counted here. */
  readonly isCapped: boolean;
}

/** What a job's handler is called with. */
export interface LeaderCronContext {
  /** The nominal time of this tick; of a triggered run, when it was triggered. */
  readonly scheduledTime: Date;
  /** True if someone asked for this run: it belongs to no tick, though a tick may have the same time. */
  readonly isTriggered: boolean;
  /** 1 for the first run of the tick, 2 for the first one after that (`retries`, `onInterrupted: 'rerun'`). */
  readonly attempt: number;
  /** Ticks missed since the last one that ran and that were not reported before; none in a later attempt. */
  readonly missed: MissedTicks;
  /** The term that the run belongs to; `term.fencingToken` fences what it writes. */
  readonly term: Term;
  /**
   * Aborted when the term ends, when `timeoutMs` has passed, when `LeaderSchedule.cancel()` is called, and when
   * `concurrencyPolicy: 'Replace'` wants to start the next tick. The run is awaited in every case.
   */
  readonly signal: AbortSignal;
}

/**
 * What `onMissed` is called with.
 * - `not-started`: until it was too late no replica led, or the claim could not be made.
 * - `forbidden`: the previous run had not ended in time (`concurrencyPolicy: 'Forbid'`).
 * - `interrupted`: the tick was claimed, and its leader did not record how the run ended. It may have run in part, in
 *   full, or not at all; it is not run again (unless `onInterrupted` says so, and then not reported).
 */
export interface MissedReport extends MissedTicks {
  /** The name of the job. */
  readonly job: string;
  /** Why they were not run: see above. */
  readonly reason: MissedReason;
}

/** What becomes of a tick whose run was interrupted: it is reported, or run again. */
export type InterruptedRunPolicy = 'report' | 'rerun';

/** One job as the runner needs it: checked, with every default filled in. */
export interface JobDefinition {
  readonly name: string;
  readonly schedule: TickSchedule;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  readonly startingDeadlineMs: number | null;
  /** `all` only with a deadline, and not with `Replace`. */
  readonly missedPolicy: MissedPolicy;
  readonly timeoutMs: number | null;
  /** With a deadline, all pauses fit into it. */
  readonly retries: RetryPolicy;
  readonly onInterrupted: InterruptedRunPolicy;
  readonly suspend: boolean;
  /** How many past runs are recorded. */
  readonly historyLimit: number;
  readonly run: (context: LeaderCronContext) => unknown;
  readonly onMissed: ((report: MissedReport) => unknown) | null;
}

export function missedTicks(times: readonly number[], isCapped: boolean): MissedTicks {
  return { count: times.length, times: times.map((time) => new Date(time)), isCapped };
}

/** A run as an observer sees it, or a tick that was to become one. */
export interface ObservedRun {
  readonly job: string;
  readonly scheduledTime: Date;
  readonly term: Term;
  /** 1 for the first call of the handler. */
  readonly attempt: number;
}

export interface RunOutcome {
  readonly succeeded: boolean;
  /** What the handler threw, or why it was aborted; absent after a success, and if it was cancelled. */
  readonly error?: unknown;
  /** One line for the record; null after a success. */
  readonly failure: string | null;
  /** Absent unless it was cancelled. */
  readonly cancellation?: RunCancellation;
  readonly endedAt: number;
  /** From the call of the handler to its end. */
  readonly durationMs: number;
}

/** What is known of a run that has ended. */
export interface EndedOutcome extends RunOutcome {
  /** When the next attempt of its tick may start; null if none follows. */
  readonly retryAt: Date | null;
}

/** Why an attempt that was to start no longer is. */
export type DropCause = 'too-late' | 'replaced' | 'cancelled';

/** What a schedule needs of an election. */
interface ScheduleLeadership {
  /** Every call checks the clock; undefined while this process is not leader. */
  readonly term: Term | undefined;
  /** The lease is not released before this work has ended. */
  track(work: PromiseLike<unknown>): void;
}

/** Suspends or resumes a job for the whole fleet. */
export interface ObservedSwitch {
  readonly isSuspended: boolean;
  readonly at: Date;
  /** The process that was asked to. */
  readonly by: string;
  /** Empty if none was given. */
  readonly reason: string;
}

/** Why a tick that was claimed is not started. */
export type ReturnCause = 'leadership ended' | 'its schedule ended' | 'it was suspended';

export interface ReturnedTick {
  readonly isReturned: boolean;
  readonly cause: ReturnCause;
}

/**
 * Why a run was not started, and no tick is missed by it. `taken`: another process has accounted for the tick.
 * `forbidden`: it was triggered while another run was active. `unresolved`: it was triggered and could not be recorded.
 */
export type SkipReason = 'taken' | 'forbidden' | 'unresolved';

/** Why a run is asked to end although its term lasts. */
export type EndingCause = 'replaced' | 'cancelled';

/** Hears what the schedule does. Must not throw. */
export interface ScheduleObserver {
  onStarted(run: ObservedRun): void;
  onEnded(run: ObservedRun, outcome: EndedOutcome): void;
  /** A run was interrupted, and this one is claimed in its place. */
  onRerun(run: ObservedRun): void;
  /** An attempt that followed a failed or interrupted one does not start. */
  onDropped(job: string, retry: PendingRetry, cause: DropCause, term: Term | undefined): void;
  onMissed(report: MissedReport, term: Term): void;
  onSkipped(run: ObservedRun, reason: SkipReason): void;
  /** The outcome of a claim was unknown at its deadline, so the tick was not started here. */
  onUnresolved(run: ObservedRun): void;
  /** A run of this process was cancelled: its signal is about to be aborted. */
  onCancelled(run: ObservedRun, cancellation: RunCancellation): void;
  /** A run was asked to end and has ignored it for so long that the next no longer waits. */
  onOverdue(run: ObservedRun, cause: EndingCause): void;
  /** How a run ended could not be recorded. */
  onUnrecorded(run: ObservedRun): void;
  /** A tick was claimed and must no longer start; it was handed back or, if that failed, counts as interrupted. */
  onReturned(run: ObservedRun, returned: ReturnedTick): void;
  /** A leader has found the job suspended or resumed for the whole fleet. */
  onSwitched(job: string, fleetSwitch: ObservedSwitch): void;
  /** An `onMissed` callback threw. */
  onCallbackFailed(job: string, error: unknown): void;
  /** The record accounts for future ticks, up to this time: none of them will start. */
  onAhead(job: string, until: Date): void;
  /** No leader has known the job for a long time, so its record was removed. */
  onForgotten(job: string): void;
  onError(error: LockRequestError): void;
}

/** What all jobs of one role share. */
export interface ScheduleEnvironment {
  readonly clock: Clock;
  /**
   * Calls it in the async context of the library. A request that adds or triggers a job must not lend its
   * AsyncLocalStorage to everything that the schedule does from then on.
   */
  readonly atHome: <T>(call: () => T) => T;
  readonly leadership: ScheduleLeadership;
  readonly observer: ScheduleObserver;
  /** A text that no other call in any process returns. */
  readonly nonce: () => string;
  readonly leaseDurationMs: number;
  /** How long a change of the ledger may take, in milliseconds; of a claim, unless `startingDeadlineSeconds` says so. */
  readonly changeTimeoutMs: number;
  /** How long the record of a job is kept that no leader knows. */
  readonly keptUnknownMs: number;
}
