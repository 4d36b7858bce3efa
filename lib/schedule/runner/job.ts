import { withTimeLimit } from '../../core/abort-signal.js';
import { wallMs } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import {
  type ActiveRun,
  type FleetSwitch,
  isSuspended,
  type JobRecord,
  type PendingRetry,
  type RunCancellation,
  type TriggerRequest,
} from '../ledger/job-record.js';
import {
  type EndedRun,
  type LedgerChange,
  RunEnd,
  RunStart,
  SwitchChange,
  TickClaim,
  TickReturn,
} from '../ledger/ledger-changes.js';
import { TriggerClaim, TriggerRefusal, TriggerStarted } from '../ledger/trigger-changes.js';
import { RetryClaim, RetryDrop, RetryReturn } from '../ledger/retry-changes.js';
import type { Submitted } from '../ledger/pending-changes.js';
import type { JobLedger } from '../ledger/job-ledger.js';
import type { TickDecision } from '../tick/tick-schedule.js';
import type { ActiveRuns } from './active-runs.js';
import type { CancelWatch } from './cancel-watch.js';
import {
  type EndingCause,
  type JobDefinition,
  type MissedTicks,
  missedTicks,
  type ReturnCause,
  type ScheduleEnvironment,
} from './job-definition.js';
import { JobRun, JobWaitsForItselfError, LinkedSignal, RunWaiter } from './job-run.js';
import { retryAfter } from './retries.js';

/** A tick that may still start gets at least one request. */
const SHORTEST_CLAIM_MS = 1_000;

const HEARD_TOO_LATE = 'the leader heard of it too late';
const ENDED_TOO_LATE = 'the run that made way for it ended too late';

/** To suspend a job for the whole fleet, or to resume it. */
export type FleetWish = Pick<FleetSwitch, 'isSuspended' | 'by' | 'reason'>;

/** A decision that leads to a claim, with the record it was made on. */
export interface ClaimOrder<Kind extends 'claim' | 'report'> {
  readonly decision: Extract<TickDecision, { kind: Kind }>;
  readonly record: JobRecord;
  readonly isCapped: boolean;
}

/**
 * The outcome of `trigger()`. `forbidden`: another run is active, or about to start. `unresolved`: it was not started,
 * as it could not be recorded, or as leadership or the job had ended first.
 */
export type TriggerResult = 'succeeded' | 'failed' | 'cancelled' | 'forbidden' | 'unresolved';

/**
 * One job for as long as it is scheduled in this process: what it is, what the ledger knows of it, and which of its
 * runs are active. It claims ticks, starts what is recorded as claimed or triggered, and records how that ended.
 */
export class Job {
  private readonly stopping = new AbortController();
  /** This process was told to deviate from the fleet, by the job of the SchedulerRegistry. */
  private ownSwitch: 'suspended' | 'resumed' | undefined;

  constructor(
    readonly definition: JobDefinition,
    readonly active: ActiveRuns,
    private readonly ledger: JobLedger,
    private readonly cancelWatch: CancelWatch,
    readonly environment: ScheduleEnvironment,
  ) {}

  get name(): string {
    return this.definition.name;
  }

  get isSuspended(): boolean {
    return this.isSuspendedBy(this.record);
  }

  /** By this process, whatever the fleet has recorded. */
  get isSuspendedHere(): boolean {
    return this.ownSwitch === 'suspended';
  }

  /** By this process, by the options, or by the fleet. */
  isSuspendedBy(record: JobRecord | undefined): boolean {
    return this.isSuspendedHere || isSuspended(record?.fleetSwitch ?? null, this.isOptionSuspend);
  }

  private get isOptionSuspend(): boolean {
    return this.definition.suspend && this.ownSwitch !== 'resumed';
  }

  get isStopped(): boolean {
    return this.stopped.aborted;
  }

  /** Aborted when the job is no longer scheduled in this process. */
  get stopped(): AbortSignal {
    return this.stopping.signal;
  }

  /** What the fleet knows of it, as last read or written; undefined if nothing is known that can be read. */
  get record(): JobRecord | undefined {
    return this.ledger.known(this.name);
  }

  now(): number {
    return wallMs(this.environment.clock);
  }

  suspend(): void {
    this.ownSwitch = 'suspended';
  }

  resume(): void {
    this.ownSwitch = 'resumed';
  }

  /** For the whole fleet. False: it is not known whether it is stored. */
  async switchFleet(wanted: FleetWish): Promise<boolean> {
    const { schedule, suspend } = this.definition;
    const liftsOption = suspend && !wanted.isSuspended;
    const change = { ...wanted, at: this.now(), liftsOption };
    // Another replica may have switched it since this one has read: resuming what seems to run would change nothing.
    if (!(await this.read())) return false;
    const stored = await this.submit(new SwitchChange(this.name, schedule.text, change));
    this.active.freed();
    return stored.kind === 'settled';
  }

  /** Reads what the fleet has recorded in the meantime. */
  async refresh(term: Term): Promise<void> {
    const linked = new LinkedSignal([this.stopping.signal, term.signal]);
    await this.ledger.refresh(linked.signal, this.name);
    linked.unlink();
  }

  /** Reads the record once it can be read; false if it could not within the time that a change may take. */
  read(): Promise<boolean> {
    const { clock, changeTimeoutMs } = this.environment;
    return withTimeLimit(clock, changeTimeoutMs, (limit) => this.ledger.refresh(limit, this.name));
  }

  /** Claims no further tick. What runs continues. */
  stop(): void {
    this.stopping.abort();
  }

  /**
   * Claims a tick and starts it. `unresolved`: nothing is started, as it is not known whether the claim is in the store.
   * Only another claim may start the tick, with a nonce of its own.
   */
  async claim(term: Term, order: ClaimOrder<'claim'>): Promise<Submitted<unknown>['kind']> {
    const { decision, record, isCapped } = order;
    const run = this.newRun(term, decision.tick);
    this.active.reserve(run);
    const claimed = await this.submitWhileScheduled(
      this.claimOf(order, run.record.id, run.record),
      term,
      this.claimTimeoutMs(decision.tick),
    );
    if (claimed.kind === 'settled' && claimed.result.kind === 'won') {
      for (const retry of claimed.result.dropped) {
        this.environment.observer.onDropped(this.name, retry, 'replaced', term);
      }
      const { id: nonce, scheduledTime: tick } = run.record;
      const back = new TickReturn(this.name, { tick, nonce }, record.lastScheduleTime);
      await this.startClaimed(run, missedTicks(claimed.result.missed, isCapped), back);
      return 'settled';
    }
    this.notStarted(run, claimed.kind === 'unresolved' ? claimed.kind : claimed.result.kind);
    return claimed.kind;
  }

  /** Claims an attempt after the first and starts it, by the rules of {@link claim}. */
  async claimRetry(term: Term, retry: PendingRetry): Promise<void> {
    const { scheduledTime, attempt, notAfter } = retry;
    const run = this.newRun(term, scheduledTime, { attempt });
    this.active.reserve(run);
    const claim = new RetryClaim(this.name, retry, run.record, this.isOptionSuspend);
    const claimed = await this.submitWhileScheduled(
      claim,
      term,
      notAfter === null ? undefined : Math.max(SHORTEST_CLAIM_MS, notAfter - this.now()),
    );
    if (claimed.kind === 'settled' && claimed.result === 'won') {
      if (retry.isRerun) this.environment.observer.onRerun(run);
      const back = new RetryReturn(this.name, claim.retry, run.record);
      return this.startClaimed(run, missedTicks([], false), back);
    }
    this.notStarted(run, claimed.kind === 'unresolved' ? claimed.kind : claimed.result);
  }

  /** Drops attempts that may no longer start. */
  async dropRetries(term: Term, isDropped: (retry: PendingRetry) => boolean): Promise<void> {
    const dropped = await this.submitWhileScheduled(new RetryDrop(this.name, isDropped), term);
    if (dropped.kind === 'unresolved') return;
    for (const retry of dropped.result) {
      this.environment.observer.onDropped(this.name, retry, 'too-late', term);
    }
  }

  /** Claims ticks that are not to start, so that they are reported once. */
  async account(term: Term, order: ClaimOrder<'report'>): Promise<void> {
    await this.submitWhileScheduled(this.claimOf(order, this.environment.nonce(), null), term);
  }

  /**
   * One run now, beside the schedule.
   * @throws JobWaitsForItselfError
   */
  trigger(term: Term): Promise<TriggerResult> {
    const caller = RunWaiter.current;
    return this.environment.atHome(() => this.triggerFor(caller, term));
  }

  /**
   * Resolves when all runs that are active now, or about to start, have ended and are recorded. When a run calls this,
   * it waits neither for that run nor for one that waits for it.
   */
  idle(): Promise<void> {
    return this.active.idle(RunWaiter.current);
  }

  /** Asks what runs to make way. */
  replace(runs: readonly JobRun[] = this.active.running): void {
    for (const run of runs) run.replace(() => this.overdue(run, 'replaced'));
  }

  /** Cancels what runs in this process; returns the ids of these runs, also of those that were cancelled before. */
  endRuns(cancellation: RunCancellation): string[] {
    const { running } = this.active;
    for (const run of running) this.end(run, cancellation);
    return running.map(({ record }) => record.id);
  }

  /** Ends the runs of this process that are recorded as cancelled. */
  obeyCancellations(runs: readonly JobRun[] = this.active.running): void {
    const recorded = runs.length === 0 ? undefined : this.record?.active;
    for (const run of runs) {
      const { cancellation } = recorded?.find(({ id }) => id === run.record.id) ?? {};
      if (cancellation !== undefined) this.end(run, cancellation);
    }
  }

  private end(run: JobRun, cancellation: RunCancellation): void {
    if (!run.isCancellable) return;
    this.environment.observer.onCancelled(run, cancellation);
    run.cancel(cancellation, () => this.overdue(run, 'cancelled'));
  }

  private overdue(run: JobRun, cause: EndingCause): void {
    this.environment.observer.onOverdue(run, cause);
    this.active.freed();
  }

  /** Given up when the term or the schedule of the job ends. */
  async submitWhileScheduled<R>(
    change: LedgerChange<R>,
    term: Term,
    timeoutMs?: number,
  ): Promise<Submitted<R>> {
    const linked = new LinkedSignal([this.stopping.signal, term.signal]);
    try {
      return await this.submit(change, linked.signal, timeoutMs);
    } finally {
      linked.unlink();
    }
  }

  /** Not given up when leadership or the schedule ends meanwhile: the lease is not released before. */
  submit<R>(
    change: LedgerChange<R>,
    signal?: AbortSignal,
    timeoutMs = this.environment.changeTimeoutMs,
  ): Promise<Submitted<R>> {
    const deadline = this.environment.clock.now() + timeoutMs;
    return this.ledger.submit(change, { deadline, signal });
  }

  private claimOf(
    { decision, record, isCapped }: ClaimOrder<'claim'> | ClaimOrder<'report'>,
    nonce: string,
    run: ActiveRun | null,
  ): TickClaim {
    const { tick, missed, reason } = decision;
    const { schedule, accountedThrough: basis } = record;
    const { isOptionSuspend } = this;
    const claim = { job: this.name, schedule, tick, nonce, run, missed, isOptionSuspend };
    const replacesRetries = this.definition.concurrencyPolicy === 'Replace';
    return new TickClaim({ ...claim, basis, reason, isCapped, replacesRetries });
  }

  /** Until the deadline of the tick. */
  private claimTimeoutMs(tick: number): number | undefined {
    const { schedule, startingDeadlineMs } = this.definition;
    if (startingDeadlineMs === null) return undefined;
    return Math.max(SHORTEST_CLAIM_MS, schedule.dueAt(tick) + startingDeadlineMs - this.now());
  }

  /** What has ended since the claim was sent. */
  private causeNotToStart(term: Term): ReturnCause | undefined {
    if (this.environment.leadership.term !== term) return 'leadership ended';
    if (this.isStopped) return 'its schedule ended';
    return this.isSuspended ? 'it was suspended' : undefined;
  }

  private notStarted(run: JobRun, why: 'unresolved' | 'taken' | 'outdated' | 'won'): void {
    const { observer } = this.environment;
    this.active.forget(run);
    if (why === 'unresolved') observer.onUnresolved(run);
    if (why === 'taken') observer.onSkipped(run, 'taken');
  }

  /** What must no longer start is handed back. */
  private async startClaimed(
    run: JobRun,
    missed: MissedTicks,
    back: TickReturn | RetryReturn,
  ): Promise<void> {
    const cause = this.causeNotToStart(run.term);
    if (cause === undefined) this.start(run, missed);
    else await this.handBack(run, back, cause);
  }

  private async handBack(
    run: JobRun,
    back: TickReturn | RetryReturn,
    cause: ReturnCause,
  ): Promise<void> {
    const returned = await this.submit(back);
    this.active.forget(run);
    this.active.freed();
    const isReturned = returned.kind === 'settled' && returned.result;
    this.environment.observer.onReturned(run, { isReturned, cause });
  }

  /**
   * One run now, as another process has asked the leader for by the record (R27). Started at most once: the claim takes the
   * request out of the record. False: it may stand as before, and is to be tried again.
   */
  async honour(term: Term, request: TriggerRequest): Promise<boolean> {
    const { observer } = this.environment;
    if (this.isTooLate(request)) return this.refuse(term, request, HEARD_TOO_LATE);
    if (this.definition.concurrencyPolicy === 'Replace' && this.awaited.length > 0) {
      // As for a tick, what runs ends before the next is claimed: not for a request that has gone in the meantime.
      const { record } = (await this.read()) ? this : {};
      if (record === undefined || term.signal.aborted) return false;
      if (record.trigger?.id !== request.id) return true;
      await this.endRunning(undefined);
      if (this.isTooLate(request)) return this.refuse(term, request, ENDED_TOO_LATE);
    }
    const run = this.newRun(term, this.now(), { isTriggered: true });
    if (!this.isFree(term)) {
      observer.onSkipped(run, 'forbidden');
      return this.refuse(term, request, 'another run is active, or about to start');
    }
    this.active.reserve(run);
    const claim = new TriggerClaim(this.name, request, run.record);
    const leftMs = Math.max(SHORTEST_CLAIM_MS, request.notAfter - this.now());
    const timeoutMs = Math.min(this.environment.changeTimeoutMs, leftMs);
    const claimed = await this.submit(claim, term.signal, timeoutMs);
    const isWon = claimed.kind === 'settled' && claimed.result === 'won';
    const isStarted = await this.startStored(run, term, isWon, request);
    this.active.freed();
    if (isStarted) await this.submit(new TriggerStarted(this.name, run.record.id));
    else {
      const isUnresolved = isWon || claimed.kind === 'unresolved';
      observer.onSkipped(run, isUnresolved ? 'unresolved' : 'taken');
    }
    return claimed.kind === 'settled';
  }

  private isTooLate({ notAfter }: TriggerRequest): boolean {
    return this.now() > notAfter;
  }

  private async refuse(term: Term, request: TriggerRequest, refused: string): Promise<boolean> {
    const answer = { at: this.now(), by: term.holderIdentity, refused };
    const refusal = new TriggerRefusal(this.name, request, answer);
    return (await this.submitWhileScheduled(refusal, term)).kind === 'settled';
  }

  private async triggerFor(caller: RunWaiter | undefined, term: Term): Promise<TriggerResult> {
    if (this.definition.concurrencyPolicy === 'Replace') await this.endRunning(caller);
    const run = this.newRun(term, this.now(), { isTriggered: true });
    // Nothing may come between this check and the reservation.
    if (!this.isFree(term)) {
      this.environment.observer.onSkipped(run, 'forbidden');
      return 'forbidden';
    }
    this.active.reserve(run);
    const result = this.untilTriggeredEnds(run, term);
    return caller === undefined ? result : caller.during([run.waiter], result);
  }

  private isFree(term: Term): boolean {
    const { concurrencyPolicy } = this.definition;
    return concurrencyPolicy === 'Allow' || this.active.count(this.record, term) === 0;
  }

  /** What runs, and has not ignored for too long that it was asked to end. */
  private get awaited(): JobRun[] {
    return this.active.running.filter(({ isOverdue }) => !isOverdue);
  }

  private async endRunning(caller: RunWaiter | undefined): Promise<void> {
    const running = this.awaited;
    if (caller !== undefined && running.some(({ waiter }) => waiter.needs(caller))) {
      throw new JobWaitsForItselfError(this.name);
    }
    this.replace(running);
    const ended = Promise.all(running.map(({ madeWay }) => madeWay));
    const waiters = running.map(({ waiter }) => waiter);
    await (caller === undefined ? ended : caller.during(waiters, ended));
  }

  private async untilTriggeredEnds(run: JobRun, term: Term): Promise<TriggerResult> {
    const starting = this.startTriggered(run, term);
    this.environment.leadership.track(starting);
    const isStarted = await starting;
    // A tick may have come due in the meantime: under 'Replace' it ends this run.
    this.active.freed();
    if (!isStarted) {
      this.environment.observer.onSkipped(run, 'unresolved');
      return 'unresolved';
    }
    const { succeeded, cancellation } = await run.ended;
    if (cancellation !== undefined) return 'cancelled';
    return succeeded ? 'succeeded' : 'failed';
  }

  /** False: it was not started, and is not recorded as active. */
  private async startTriggered(run: JobRun, term: Term): Promise<boolean> {
    const { schedule } = this.definition;
    const start = new RunStart(this.name, schedule.text, run.record);
    const stored = await this.submit(start, term.signal);
    return this.startStored(run, term, stored.kind === 'settled');
  }

  /** `request`: of one that was asked for by the record, which must not start later. */
  private async startStored(
    run: JobRun,
    term: Term,
    isStored: boolean,
    request?: TriggerRequest,
  ): Promise<boolean> {
    const mayStart = this.environment.leadership.term === term && !this.isStopped;
    const isLate = request !== undefined && this.isTooLate(request);
    if (isStored && mayStart && !isLate) {
      this.start(run, missedTicks([], false));
      return true;
    }
    if (isStored) {
      const why = mayStart ? 'its claim was confirmed too late' : 'leadership or the job has ended';
      const failure = `not started: ${why}`;
      await this.recordEnd(run, { failure, endedAt: this.now(), isNotStarted: true });
    }
    this.active.forget(run);
    return false;
  }

  private newRun(
    term: Term,
    scheduledTime: number,
    kind: Pick<ActiveRun, 'isTriggered' | 'attempt'> = {},
  ): JobRun {
    const { clock, nonce } = this.environment;
    const { number, fencingToken, holderIdentity } = term;
    const record = {
      id: nonce(),
      scheduledTime,
      startedAt: this.now(),
      term: number,
      fencingToken: String(fencingToken),
      holderIdentity,
      ...kind,
    };
    return new JobRun(this.definition, record, term, clock);
  }

  /** The lease is not released before the run has ended and its end is recorded. */
  private start(run: JobRun, missed: MissedTicks): void {
    const { leadership, observer } = this.environment;
    // The check of leadership has just been made, so foreign code, such as a subscriber that blocks, is called after this.
    run.start(missed);
    observer.onStarted(run);
    this.cancelWatch.follow(run, () => this.obeyCancellations([run]));
    leadership.track(this.untilRecorded(run));
  }

  private async untilRecorded(run: JobRun): Promise<void> {
    const { observer } = this.environment;
    const outcome = await run.ended;
    const isRetryable = outcome.failure !== null && run.mayBeRetried;
    const retry = isRetryable
      ? retryAfter(run.record, outcome.endedAt, this.definition)
      : undefined;
    const recording = this.recordEnd(run, { ...outcome, retry });
    observer.onEnded(run, { ...outcome, retryAt: retry ? new Date(retry.notBefore) : null });
    // The next tick may be claimed in the same write.
    this.active.freed();
    const recorded = await recording;
    this.active.forget(run);
    if (recorded.kind === 'unresolved') observer.onUnrecorded(run);
    // Its time is known from the record alone.
    if (retry !== undefined) this.active.freed();
  }

  private recordEnd(
    { record: run }: JobRun,
    {
      endedAt,
      failure,
      cancellation,
      retry,
      isNotStarted = false,
    }: Omit<EndedRun, 'run' | 'historyLimit'>,
  ): Promise<Submitted<void>> {
    const { historyLimit } = this.definition;
    const ended = { run, endedAt, historyLimit, retry, isNotStarted };
    const how = cancellation === undefined ? { failure } : { failure: null, cancellation };
    return this.submit(new RunEnd(this.name, { ...ended, ...how }));
  }
}
