import { wallMs } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import type { ActiveRun, JobRecord } from '../ledger/job-record.js';
import { type LedgerChange, RunEnd, TickClaim, TickReturn } from '../ledger/ledger-changes.js';
import type { Submitted } from '../ledger/pending-changes.js';
import type { ScheduleLedger } from '../ledger/schedule-ledger.js';
import type { TickDecision } from '../tick/tick-schedule.js';
import type { ActiveRuns } from './active-runs.js';
import {
  type JobDefinition,
  type MissedReport,
  type MissedTicks,
  missedTicks,
  type ReturnCause,
  type ScheduleEnvironment,
} from './job-definition.js';
import { JobRun, LinkedSignal } from './job-run.js';

/** Starts runs that have been claimed, and records how they end. */
export class RunKeeper {
  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
  ) {}

  /** As it is recorded. */
  runOf(term: Term, scheduledTime: number, id: string): ActiveRun {
    return {
      id,
      scheduledTime,
      startedAt: wallMs(this.environment.clock),
      term: term.number,
      fencingToken: String(term.fencingToken),
      holderIdentity: term.holderIdentity,
    };
  }

  /** The lease is not released before the run has ended and its end is recorded. */
  start(term: Term, record: ActiveRun, missed: MissedTicks): JobRun {
    const { clock, leadership, observer } = this.environment;
    observer.onStarted(this.definition.name, new Date(record.scheduledTime));
    const waiter = this.active.waiterOf(record.id);
    const run = new JobRun(this.definition, record, term, missed, clock, waiter);
    this.active.begin(run);
    run.start();
    leadership.track(this.untilRecorded(run));
    return run;
  }

  /** Asks what runs to make place. */
  replace(runs: readonly JobRun[]): void {
    const { observer } = this.environment;
    for (const run of runs) {
      run.replace(() => {
        observer.onOverdue(this.definition.name, new Date(run.record.scheduledTime));
        this.active.freed();
      });
    }
  }

  report(report: MissedReport): void {
    const { observer, leadership } = this.environment;
    const { name, onMissed } = this.definition;
    observer.onMissed(report);
    if (onMissed === null) return;
    const told = (async () => onMissed(report))().catch((error: unknown) =>
      observer.onCallbackFailed(name, error),
    );
    leadership.track(told);
  }

  /** Null: it succeeded. False if that could not be stored. */
  async recordEnd(run: ActiveRun, failure: string | null, endedAt?: number): Promise<boolean> {
    const { clock, changeTimeoutMs } = this.environment;
    const { id, scheduledTime } = run;
    const ended = { id, scheduledTime, endedAt: endedAt ?? wallMs(clock), failure };
    const end = new RunEnd(this.definition.name, ended);
    const recorded = await this.ledger.submit(end, { deadline: clock.now() + changeTimeoutMs });
    return recorded.kind === 'settled';
  }

  private async untilRecorded(run: JobRun): Promise<void> {
    const { observer } = this.environment;
    const { name } = this.definition;
    const { record } = run;
    const outcome = await run.ended;
    const scheduledTime = new Date(record.scheduledTime);
    this.active.end(run);
    const recording = this.recordEnd(record, outcome.failure, outcome.endedAt);
    observer.onEnded(name, scheduledTime, outcome);
    // The next tick may be claimed in the same write.
    this.active.freed();
    const isRecorded = await recording;
    this.active.forget(record.id);
    if (!isRecorded) observer.onUnrecorded(name, scheduledTime);
  }
}

/** A tick that may still start gets at least one request. */
const SHORTEST_CLAIM_MS = 1_000;

/** What of a decision leads to a claim, with the record it was made on. */
export interface ClaimOrder {
  readonly decision: Extract<TickDecision, { kind: 'claim' | 'report' }>;
  readonly record: JobRecord;
  readonly isCapped: boolean;
}

/** Claims the ticks of one job, and starts what it has won. */
export class TickClaimant {
  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
    private readonly keeper: RunKeeper,
    /** Aborted when the job is no longer scheduled in this process. */
    private readonly stopping: AbortSignal,
    private readonly isSuspended: () => boolean,
  ) {}

  /**
   * False if the outcome is not known: then nothing is started, for nobody knows whether the claim is in the store.
   * Only another claim may start the tick, with a nonce of its own.
   */
  async claim(term: Term, order: ClaimOrder): Promise<boolean> {
    const { decision, record, isCapped } = order;
    const { name } = this.definition;
    const { tick } = decision;
    const nonce = this.environment.nonce();
    const run = decision.kind === 'claim' ? this.keeper.runOf(term, tick, nonce) : null;
    if (run !== null) this.active.reserve(nonce);
    const claimed = await this.submit(
      this.changeOf(order, nonce, run),
      term,
      run === null ? null : tick,
    );
    if (claimed.kind === 'settled' && claimed.result.kind === 'won') {
      const missed = missedTicks(claimed.result.missed, isCapped);
      if (run === null) return true;
      const cause = this.causeNotToStart(term);
      if (cause === undefined) {
        this.keeper.start(term, run, missed);
        return true;
      }
      await this.handBack(run, record.lastScheduleTime, cause);
      return true;
    }
    this.active.forget(nonce);
    if (claimed.kind === 'settled' || run === null) return true;
    this.environment.observer.onUnresolved(name, new Date(tick));
    return false;
  }

  /** Until the deadline of the tick, the end of the term, or the end of the schedule. */
  async submit<R>(change: LedgerChange<R>, term: Term, tick: number | null): Promise<Submitted<R>> {
    const { clock, changeTimeoutMs } = this.environment;
    const { startingDeadlineMs } = this.definition;
    const limitMs =
      tick === null || startingDeadlineMs === null
        ? changeTimeoutMs
        : Math.max(SHORTEST_CLAIM_MS, tick + startingDeadlineMs - wallMs(clock));
    const linked = new LinkedSignal([this.stopping, term.signal]);
    try {
      const deadline = clock.now() + limitMs;
      return await this.ledger.submit(change, { deadline, signal: linked.signal });
    } finally {
      linked.unlink();
    }
  }

  private changeOf(
    { decision, record, isCapped }: ClaimOrder,
    nonce: string,
    run: ActiveRun | null,
  ): TickClaim {
    const { name } = this.definition;
    const { tick, missed, reason } = decision;
    const basis = record.accountedThrough;
    const request = { job: name, schedule: record.schedule, tick, nonce, run, missed };
    return new TickClaim({ ...request, basis, reason, isCapped });
  }

  /** What has come to an end since the claim was sent. */
  private causeNotToStart(term: Term): ReturnCause | undefined {
    if (this.environment.leadership.term !== term) return 'leadership ended';
    if (this.stopping.aborted) return 'its schedule ended';
    return this.isSuspended() ? 'it was suspended' : undefined;
  }

  private async handBack(
    run: ActiveRun,
    previous: number | null,
    cause: ReturnCause,
  ): Promise<void> {
    const { clock, observer, changeTimeoutMs } = this.environment;
    const { name } = this.definition;
    const claimed = { tick: run.scheduledTime, nonce: run.id };
    const returned = await this.ledger.submit(new TickReturn(name, claimed, previous), {
      deadline: clock.now() + changeTimeoutMs,
    });
    this.active.forget(run.id);
    this.active.freed();
    const isReturned = returned.kind === 'settled' && returned.result;
    observer.onReturned(name, new Date(run.scheduledTime), { isReturned, cause });
  }
}
