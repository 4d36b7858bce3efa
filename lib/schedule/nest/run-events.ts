import { channel } from 'node:diagnostics_channel';
import { Injectable } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import type { ElectionSource } from '../../election/election-channels.js';
import { tellSubscribers } from '../../nest/leadership-streams.js';
import type {
  DropCause,
  EndedOutcome,
  MissedReport,
  ObservedRun,
  ReturnedTick,
  SkipReason,
} from '../runner/job-definition.js';
import type { PendingRetry } from '../ledger/job-record.js';
import type { Term } from '../../core/term.js';
import { ScheduleLogger } from './schedule-logger.js';

/**
 * What has become of a run or a tick.
 * - `started`: its claim is stored, and its handler is called.
 * - `succeeded`, `failed`: its handler has ended.
 * - `cancelled`: its handler has ended after `LeaderSchedule.cancel()`.
 * - `missed`: the tick was due and not run; at most 101 for each `MissedReport`.
 * - `skipped`: this replica was to start it and does not. The tick may run elsewhere, or be reported as missed later.
 */
export type RunEventKind = 'started' | 'succeeded' | 'failed' | 'cancelled' | 'missed' | 'skipped';

/** What a run is, and what has become of it. */
export interface RunReport {
  /** What has become of it. */
  readonly kind: RunEventKind;
  /** The name of the job; of work that runs once, its key. */
  readonly job: string;
  /** The version of work that runs once; absent for jobs. */
  readonly version?: string;
  /** The nominal time of the tick; of a run that belongs to no tick, when it was asked for. */
  readonly scheduledTime: Date;
  /**
   * 1 for the first call of the handler, 2 for the first one after that. Of `skipped` and `missed` 0, unless it is an attempt
   * after the first that does not start.
   */
  readonly attempt: number;
  /** The number of the term in which it happened; absent outside of terms. */
  readonly term?: number;
  /** How long the handler has taken, in milliseconds; present when it has ended. */
  readonly durationMs?: number;
  /**
   * Why: of `failed` and `cancelled` one line, of `missed` that of `MissedReport`. Of `skipped`: `taken` (another replica
   * has accounted for the tick), `unresolved` (it is not known whether the claim was stored), `returned` (it was claimed
   * and handed back before it started), `lost` (handing it back failed, so it will be missed), `forbidden` (`trigger()` while
   * a run is active), or, of an attempt that was to follow and is given up, `too-late`, `replaced` or `cancelled`.
   */
  readonly reason?: string;
  /** Of `failed`: when the next attempt may start; absent if none follows. */
  readonly willRetryAt?: Date;
}

/** What `runs$` carries, and the channel `nestjs-leader-election:run`. Frozen; as JSON it is whole. */
export interface RunEvent extends RunReport, ElectionSource {}

const RUN = channel('nestjs-leader-election:run');

/** The runs of one application, for those who listen. */
@Injectable()
export class RunEvents {
  private readonly events = new Subject<RunEvent>();
  readonly runs$: Observable<RunEvent> = this.events.asObservable();

  /** `report` is not called without a subscriber. */
  tell(source: ElectionSource, report: () => RunReport): void {
    if (!this.events.observed && !RUN.hasSubscribers) return;
    const event: RunEvent = Object.freeze({ ...source, ...report() });
    RUN.publish(event);
    tellSubscribers(() => this.events.next(event));
  }

  complete(): void {
    tellSubscribers(() => this.events.complete());
  }
}

/** Logs what the schedule of a role does, and makes events of its runs. */
export class RunReporter extends ScheduleLogger {
  constructor(
    private readonly source: ElectionSource,
    private readonly events: RunEvents,
    private readonly tellCluster: (report: MissedReport) => void = () => {},
  ) {
    super(source);
  }

  override onStarted(run: ObservedRun): void {
    super.onStarted(run);
    this.tell(() => ({ kind: 'started', ...calledPart(run) }));
  }

  override onEnded(run: ObservedRun, outcome: EndedOutcome): void {
    super.onEnded(run, outcome);
    const { succeeded, durationMs, failure, cancellation, retryAt } = outcome;
    const otherwise = cancellation === undefined ? 'failed' : 'cancelled';
    this.tell(() => ({
      kind: succeeded ? 'succeeded' : otherwise,
      ...calledPart(run),
      durationMs,
      ...(failure !== null && { reason: failure }),
      ...(retryAt !== null && { willRetryAt: retryAt }),
    }));
  }

  override onDropped(
    job: string,
    retry: PendingRetry,
    cause: DropCause,
    term: Term | undefined,
  ): void {
    super.onDropped(job, retry, cause, term);
    const scheduledTime = new Date(retry.scheduledTime);
    const about = { job, scheduledTime, attempt: retry.attempt };
    this.tell(() => ({
      kind: 'skipped',
      ...about,
      ...(term !== undefined && { term: term.number }),
      reason: cause,
    }));
  }

  override onMissed(report: MissedReport, term: Term): void {
    super.onMissed(report, term);
    const { job, times, reason } = report;
    this.tellCluster(report);
    for (const scheduledTime of times) {
      this.tell(() => ({
        kind: 'missed',
        job,
        scheduledTime: new Date(scheduledTime),
        attempt: 0,
        term: term.number,
        reason,
      }));
    }
  }

  override onUnresolved(run: ObservedRun): void {
    super.onUnresolved(run);
    this.skipped(run, 'unresolved');
  }

  override onReturned(run: ObservedRun, returned: ReturnedTick): void {
    super.onReturned(run, returned);
    this.skipped(run, returned.isReturned ? 'returned' : 'lost');
  }

  override onSkipped(run: ObservedRun, reason: SkipReason): void {
    super.onSkipped(run, reason);
    this.skipped(run, reason);
  }

  private skipped(run: ObservedRun, reason: SkipReason | 'returned' | 'lost'): void {
    const attempt = run.attempt > 1 ? run.attempt : 0;
    this.tell(() => ({ kind: 'skipped', ...calledPart(run), attempt, reason }));
  }

  private tell(report: () => RunReport): void {
    this.events.tell(this.source, report);
  }
}

function calledPart({ job, scheduledTime, attempt, term }: ObservedRun) {
  return { job, scheduledTime, attempt, term: term.number };
}
