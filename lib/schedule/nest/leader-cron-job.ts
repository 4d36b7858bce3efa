import { CronJob } from 'cron';
import type {
  ActiveRun,
  FleetSwitch,
  JobRecord,
  PastOutcome,
  PastRun,
  PendingRetry,
  RunCancellation,
} from '../ledger/job-record.js';
import type { JobRunner } from '../runner/job-runner.js';
import { spelledOut } from '../tick/cron-expression.js';

/**
 * How a job looks to the `SchedulerRegistry` of @nestjs/schedule. It has no timer of its own: `start()` and `stop()`
 * resume and suspend the job in this process alone, and `fireOnTick()` triggers a run. `nextDate()` and `nextDates()` are
 * those of the `cron` package, which differ where the clocks change; `LeaderSchedule.list()` returns the exact time.
 */
export class LeaderCronJob extends CronJob {
  private runner: JobRunner | undefined;

  constructor(
    schedule: string | Date,
    timeZone: string,
    private readonly trigger: () => Promise<unknown>,
  ) {
    const cronTime = typeof schedule === 'string' ? spelledOut(schedule) : schedule;
    super(cronTime, () => undefined, null, false, timeZone);
  }

  follow(runner: JobRunner): void {
    this.runner = runner;
  }

  override get isActive(): boolean {
    return this.runner !== undefined && !this.runner.isSuspended && !this.runner.isStopped;
  }

  override start(): void {
    this.runner?.resume();
  }

  override stop(): undefined {
    this.runner?.suspend();
  }

  override async fireOnTick(): Promise<void> {
    await this.trigger();
  }

  override setTime(): never {
    throw new Error(
      'The schedule of a @LeaderCron() job belongs to the whole fleet: remove the job from LeaderSchedule and add it again.',
    );
  }
}

/** That a run was cancelled by `LeaderSchedule.cancel()`. */
export interface CancellationStatus {
  /** When that was, by the wall clock of the replica that was asked. */
  readonly at: Date;
  /** The replica that was asked. */
  readonly by: string;
  /** Why; null if no reason was given. */
  readonly reason: string | null;
}

/** A run that has begun, and is not known to have ended. */
export interface ActiveRunStatus {
  /** The nominal time of its tick; of a triggered run, when it was triggered. */
  readonly scheduledTime: Date;
  /** When it was recorded as started, by its leader's wall clock. */
  readonly startedAt: Date;
  /** The number of the term that started it. */
  readonly term: number;
  /** The fencing token of that term; undefined if the record has none. */
  readonly fencingToken: bigint | undefined;
  /** The process that started it. */
  readonly holderIdentity: string;
  /** 1 for the first run of its tick, 2 for the first one after that. */
  readonly attempt: number;
  /** By whom it was cancelled, when and why; null if it was not. */
  readonly cancellation: CancellationStatus | null;
}

/** An attempt that is to start, as the one before it has failed or was interrupted. */
export interface PendingRetryStatus {
  /** The nominal time of its tick. */
  readonly scheduledTime: Date;
  /** 2 or more. */
  readonly attempt: number;
  /** It starts at this time at the earliest. */
  readonly notBefore: Date;
  /** It does not start after this time; null if that is not limited. */
  readonly notAfter: Date | null;
}

/** A run that is over. */
export interface PastRunStatus {
  /** The nominal time of its tick; of a triggered run, when it was triggered. */
  readonly scheduledTime: Date;
  /** When it was recorded as started, by its leader's wall clock. */
  readonly startedAt: Date;
  /** When it ended; of a run that was interrupted, when another leader gave it up. */
  readonly endedAt: Date;
  /** The number of the term that started it. */
  readonly term: number;
  /** The process that started it. */
  readonly holderIdentity: string;
  /** True if it was started by `trigger()`. */
  readonly isTriggered: boolean;
  /** 1 for the first run of its tick, 2 for the first one after that. */
  readonly attempt: number;
  /**
   * `cancelled`: by `LeaderSchedule.cancel()`. `interrupted`: no end was recorded, as its process had ended or lost
   * leadership.
   */
  readonly outcome: PastOutcome;
  /** One line, if it failed: what the handler threw, or why the run was aborted; null otherwise. */
  readonly reason: string | null;
  /** By whom it was cancelled, when and why; null if it was not. */
  readonly cancellation: CancellationStatus | null;
}

/** What is recorded of a job in the whole fleet, like what `kubectl get cronjob` shows of a CronJob. */
export interface JobStatus {
  /** The name of the job. */
  readonly name: string;
  /** The next tick; null while it is suspended, or if there is no further one. */
  readonly nextTick: Date | null;
  /** Nominal time of the last tick that was started. */
  readonly lastScheduleTime: Date | null;
  /** When a run last succeeded. */
  readonly lastSuccessfulTime: Date | null;
  /** The last run that failed; null when none has. */
  readonly lastFailed: {
    /** The nominal time of its tick. */
    readonly scheduledTime: Date;
    /** When it ended. */
    readonly at: Date;
    /** One line: what the handler threw, or why the run was aborted. */
    readonly reason: string;
  } | null;
  /** The runs that have begun and are not known to have ended. */
  readonly active: readonly ActiveRunStatus[];
  /** The attempts that are to start (`retries`, `onInterrupted: 'rerun'`). */
  readonly retries: readonly PendingRetryStatus[];
  /** When the job was last suspended or resumed for the whole fleet; null if it never was. */
  readonly suspension: {
    /** True until it is resumed. */
    readonly isSuspended: boolean;
    /** When that was, by the wall clock of the replica that was asked. */
    readonly at: Date;
    /** The replica that was asked. */
    readonly by: string;
    /** Why it was suspended; null if no reason was given. */
    readonly reason: string | null;
  } | null;
  /** The last runs that are over, newest first, at most `historyLimit`. */
  readonly history: readonly PastRunStatus[];
  /** Ticks missed since the fleet first saw the job. */
  readonly missedCount: number;
  /** Nominal time of the last missed tick; null when none was missed. */
  readonly lastMissedTime: Date | null;
}

/** `record` undefined: no leader has seen the job yet. */
export function jobStatus(
  name: string,
  nextTick: number | null,
  record: JobRecord | undefined,
): JobStatus {
  const failed = record?.lastFailed ?? null;
  return {
    name,
    nextTick: date(nextTick),
    lastScheduleTime: date(record?.lastScheduleTime),
    lastSuccessfulTime: date(record?.lastSuccessfulTime),
    lastFailed: failed && {
      scheduledTime: new Date(failed.scheduledTime),
      at: new Date(failed.at),
      reason: failed.reason,
    },
    active: (record?.active ?? []).map(activeRunStatus),
    retries: (record?.retries ?? []).map(pendingRetryStatus),
    suspension: suspensionOf(record?.fleetSwitch ?? null),
    history: (record?.history ?? []).map(pastRunStatus).toReversed(),
    missedCount: record?.missedCount ?? 0,
    lastMissedTime: date(record?.lastMissedTime),
  };
}

/** In JSON its fencing token is text; the method that does this is not enumerable. */
function activeRunStatus(run: ActiveRun): ActiveRunStatus {
  const { term, holderIdentity, fencingToken, attempt = 1 } = run;
  const scheduledTime = new Date(run.scheduledTime);
  const startedAt = new Date(run.startedAt);
  const isToken = /^\d+$/.test(fencingToken);
  const status = {
    scheduledTime,
    startedAt,
    term,
    fencingToken: isToken ? BigInt(fencingToken) : undefined,
    holderIdentity,
    attempt,
    cancellation: cancellationStatus(run.cancellation),
  };
  const json = { ...status, fencingToken: isToken ? fencingToken : undefined };
  return Object.defineProperty(status, 'toJSON', { value: () => json });
}

function cancellationStatus(cancellation: RunCancellation | undefined): CancellationStatus | null {
  if (cancellation === undefined) return null;
  const { at, by, reason } = cancellation;
  return { at: new Date(at), by, reason: reason === '' ? null : reason };
}

function suspensionOf(fleetSwitch: FleetSwitch | null): JobStatus['suspension'] {
  if (fleetSwitch === null) return null;
  const { isSuspended, at, by, reason } = fleetSwitch;
  return { isSuspended, at: new Date(at), by, reason: reason === '' ? null : reason };
}

function pendingRetryStatus(retry: PendingRetry): PendingRetryStatus {
  const { scheduledTime, attempt, notBefore, notAfter } = retry;
  return {
    scheduledTime: new Date(scheduledTime),
    attempt,
    notBefore: new Date(notBefore),
    notAfter: date(notAfter),
  };
}

function pastRunStatus({ source: _source, ...run }: PastRun): PastRunStatus {
  return {
    ...run,
    scheduledTime: new Date(run.scheduledTime),
    startedAt: new Date(run.startedAt),
    endedAt: new Date(run.endedAt),
    isTriggered: run.isTriggered === true,
    attempt: run.attempt ?? 1,
    reason: run.reason === '' ? null : run.reason,
    cancellation: cancellationStatus(run.cancellation),
  };
}

function date(time: number | null | undefined): Date | null {
  return time === null || time === undefined ? null : new Date(time);
}
