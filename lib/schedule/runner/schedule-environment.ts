import type { Clock } from '../../core/clock.js';
import type { LockRequestError } from '../../core/errors.js';
import type { Term } from '../../core/term.js';
import type { MissedReport } from './job-definition.js';
import type { RunOutcome } from './job-run.js';

/** What a schedule needs of an election. */
export interface ScheduleLeadership {
  /** Asked of the clock at every call; undefined while this process does not lead. */
  readonly term: Term | undefined;
  /** The lease is not released before this work has ended. */
  track(work: PromiseLike<unknown>): void;
}

/** Why a tick that was claimed is not started. */
export type ReturnCause = 'leadership ended' | 'its schedule ended' | 'it was suspended';

export interface ReturnedTick {
  readonly isReturned: boolean;
  readonly cause: ReturnCause;
}

/** Told what the schedule does. Must not throw. */
export interface ScheduleObserver {
  onStarted(job: string, scheduledTime: Date): void;
  onEnded(job: string, scheduledTime: Date, outcome: RunOutcome): void;
  onMissed(report: MissedReport): void;
  /** A claim had no known outcome by its deadline, so the tick was not started here. */
  onUnresolved(job: string, scheduledTime: Date): void;
  /** A run was asked to make place for the next and has ignored it for so long that the next does not wait any more. */
  onOverdue(job: string, scheduledTime: Date): void;
  /** How a run ended could not be recorded. */
  onUnrecorded(job: string, scheduledTime: Date): void;
  /** A tick was claimed and must not start any more; it was handed back (or, if that failed, lost). */
  onReturned(job: string, scheduledTime: Date, returned: ReturnedTick): void;
  /** An `onMissed` callback threw. */
  onCallbackFailed(job: string, error: unknown): void;
  /** The record accounts for ticks that are yet to come, up to this time: none of them will start. */
  onAhead(job: string, until: Date): void;
  /** No leader has known the job for a long time: its record was removed. */
  onForgotten(job: string): void;
  onError(error: LockRequestError): void;
}

/** What all jobs of one role share. */
export interface ScheduleEnvironment {
  readonly clock: Clock;
  /**
   * Calls it in the async context of the library. A request that adds or triggers a job must not lend its
   * AsyncLocalStorage to all that the schedule does from then on.
   */
  readonly atHome: <T>(call: () => T) => T;
  readonly leadership: ScheduleLeadership;
  readonly observer: ScheduleObserver;
  /** A text that no other call in any process returns. */
  readonly nonce: () => string;
  readonly leaseDurationMs: number;
  /** How long a claim without `startingDeadlineSeconds`, and a record of an ended run, may take. */
  readonly claimTimeoutMs: number;
  /** How long the record of a job is kept that no leader knows. */
  readonly keptUnknownMs: number;
}
