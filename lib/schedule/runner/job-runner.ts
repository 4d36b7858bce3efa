import { onAbort } from '../../core/abort-signal.js';
import type { Timer } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import type { ActiveRun, JobRecord } from '../ledger/job-record.js';
import {
  type AdoptionRequest,
  JobAdoption,
  needsAdoption,
  ReportsTold,
} from '../ledger/ledger-changes.js';
import {
  decideTick,
  dueTicks,
  oldestFirst,
  type TickDecision,
  type TickSchedule,
} from '../tick/tick-schedule.js';
import { isTooLate } from '../ledger/pending-retries.js';
import { type CancelOrder, type CancelResult, cancelRuns } from './cancelling.js';
import type { ClaimOrder, FleetWish, Job, TriggerResult } from './job.js';
import { type MissedReport, missedTicks } from './job-definition.js';
import { RunWaiter } from './job-run.js';
import { AskedRuns } from './asked-runs.js';
import type { ToldReports } from './told-reports.js';
import { dueRetry, nextRetryAt, rerunAfter } from './retries.js';

/** A replica whose clock is ahead may have resumed the job: then the time says nothing. */
function resumedAt({ fleetSwitch }: JobRecord, now: number): number {
  return fleetSwitch === null || fleetSwitch.at > now ? -Infinity : fleetSwitch.at;
}

/** The wall clock may be set while a timer sleeps. */
const LONGEST_SLEEP_MS = 60_000;

/** Clocks may disagree by less: the record then only says that its tick has been claimed. */
const TOLERATED_AHEAD_MS = 60_000;

/**
 * No decision needs this many writes; a store that answers at once must not keep the process from renewing its lease.
 */
const MOST_WRITES_IN_A_ROW = 10;

/** Pause if an evaluation leads to nothing that would start the next one. */
const PAUSE_MS = 1_000;

/**
 * The schedule of one job in one process. While this process leads it sleeps until the next nominal time, looks which
 * ticks are not accounted for yet, decides, and has them claimed; everything that can change the decision leads back to
 * {@link evaluate}.
 */
export class JobRunner {
  private term: Term | undefined;
  /** The definition's, or what it is in the fleet: see {@link TickSchedule.continuing}. */
  private schedule: TickSchedule;
  /** A term may outlive the schedule of a job by far. */
  private unfollow: () => void = () => {};
  private armedAfter = Infinity;
  private awaitedTick: number | null = null;
  private forbiddenSince: number | null = null;
  private timer: Timer | undefined;
  /** A claim or an adoption is under way; the next decision is based on its result. */
  private isBusy = false;
  private writesInARow = 0;
  /** The future time up to which the record accounts for ticks, once that has been reported. */
  private toldAhead = -Infinity;
  /** The last time that the fleet suspended or resumed the job, once that has been reported. */
  private toldSwitch = '';
  private readonly asked: AskedRuns;

  constructor(
    private readonly job: Job,
    /** Reports that this process has delivered, by their ids. */
    private readonly told: ToldReports,
  ) {
    this.schedule = job.definition.schedule;
    this.asked = new AskedRuns(job, told, () => this.evaluate());
    job.active.follow(() => this.evaluate());
  }

  get isStopped(): boolean {
    return this.job.isStopped;
  }

  get isSuspended(): boolean {
    return this.job.isSuspended;
  }

  /** Nominal time of the next tick; null if there is none, or if the job is suspended or stopped. */
  nextTick(record = this.job.record): number | null {
    if (this.isStopped || this.job.isSuspendedBy(record)) return null;
    return this.schedule.next(this.job.now());
  }

  /** From the next tick to the one after it, in milliseconds; null if there are no two. */
  interval(): number | null {
    const next = this.schedule.next(this.job.now());
    const following = next === null ? null : this.schedule.next(next);
    return next === null || following === null ? null : following - next;
  }

  /** When a run last succeeded anywhere, as far as this process has read the record; null if it knows of none. */
  get lastSuccess(): number | null {
    return this.job.record?.lastSuccessfulTime ?? null;
  }

  /** This process is leader, and the ledger knows the document. */
  begin(term: Term): void {
    if (this.isStopped) return;
    this.term = term;
    this.forbiddenSince = null;
    this.armedAfter = this.job.now();
    this.unfollow = onAbort(term.signal, () => this.end(term));
    this.evaluate();
  }

  suspend(): void {
    this.forbiddenSince = null;
    this.job.suspend();
    this.timer?.cancel();
  }

  /** Ticks that came due while it was suspended count as missed. */
  resume(): void {
    const isOver = this.isSuspended;
    this.job.resume();
    if (!isOver) return;
    this.armedAfter = Math.max(this.armedAfter, this.job.now());
    this.evaluate();
  }

  /** Schedules no further tick. What runs continues. */
  stop(): void {
    this.timer?.cancel();
    this.asked.rest();
    this.unfollow();
    this.job.stop();
  }

  /** As {@link Job.switchFleet}. */
  switchFleet(wish: FleetWish): Promise<boolean> {
    const { job } = this;
    return job.environment.atHome(() => job.switchFleet(wish));
  }

  /** As {@link cancelRuns}. */
  cancel(order: CancelOrder): Promise<CancelResult | undefined> {
    const { job } = this;
    const caller = RunWaiter.current;
    return job.environment.atHome(() => cancelRuns(job, order, caller));
  }

  /** As {@link Job.idle}. */
  idle(): Promise<void> {
    return this.job.idle();
  }

  /** As {@link Job.trigger}. */
  trigger(term: Term): Promise<TriggerResult> {
    return this.job.trigger(term);
  }

  private end(term: Term): void {
    if (this.term !== term) return;
    this.term = undefined;
    this.timer?.cancel();
    this.asked.rest();
  }

  private evaluate(): void {
    this.job.environment.atHome(() => this.look());
  }

  private look(): void {
    this.timer?.cancel();
    const { term, job } = this;
    if (term === undefined || this.isStopped || job.isSuspendedHere || this.isBusy) return;
    // The clock knows earlier than the signal that a term is over: the signal needs a timer, and the process may have
    // been frozen.
    const isOver = job.environment.leadership.term !== term;
    if (isOver || this.writesInARow >= MOST_WRITES_IN_A_ROW) return this.lookAfter(PAUSE_MS);
    const { record } = job;
    this.asked.look(record, term);
    this.tellSwitch(record);
    if (job.isSuspendedBy(record)) return this.heed(term);
    // What is recalled is reported once it is stored: until then another leader may run the tick again instead.
    const stored = record?.isRecalled === true ? undefined : record;
    if (stored !== undefined) this.tell(stored, term);
    if (stored !== undefined && stored.untold.length > 0) return this.occupy(this.forget(stored));
    const adoption = this.adoptionRequest(term);
    if (record === undefined || needsAdoption(record, adoption)) {
      return this.occupy(job.submitWhileScheduled(new JobAdoption(adoption), term));
    }
    const now = job.now();
    if (record.retries.some((retry) => isTooLate(retry, now))) {
      return this.occupy(job.dropRetries(term, (retry) => isTooLate(retry, now)));
    }
    this.decide(term, record);
  }

  /** Others have changed the records, and those of today are known. */
  review(): void {
    this.evaluate();
  }

  /** Another replica may resume the job, which only the store tells: it is read when a tick is due, once a minute at least. */
  private heed(term: Term): void {
    this.forbiddenSince = null;
    this.writesInARow = 0;
    const now = this.job.now();
    const next = this.schedule.next(now);
    const delayMs = next === null ? Infinity : this.schedule.dueAt(next) - now;
    const read = (): void => this.occupy(this.job.refresh(term));
    const { clock } = this.job.environment;
    this.timer = clock.setTimer(read, Math.min(delayMs, LONGEST_SLEEP_MS));
  }

  /** A process says each switch once. */
  private tellSwitch(record: JobRecord | undefined): void {
    const fleetSwitch = record?.fleetSwitch ?? null;
    if (fleetSwitch === null) return;
    const { isSuspended, at, by, reason } = fleetSwitch;
    const told = `${isSuspended} ${at} ${by}`;
    if (this.toldSwitch === told) return;
    this.toldSwitch = told;
    this.job.environment.observer.onSwitched(this.job.name, {
      isSuspended,
      at: new Date(at),
      by,
      reason,
    });
  }

  private decide(term: Term, record: JobRecord): void {
    const { job } = this;
    const { startingDeadlineMs, concurrencyPolicy, missedPolicy, schedule } = job.definition;
    const now = job.now();
    const active = job.active.count(record, term);
    this.schedule = schedule.continuing(record.schedule, now)!;
    this.tellAhead(record, now);
    const newest = dueTicks(this.schedule, record.accountedThrough, now);
    const due =
      missedPolicy === 'all' && startingDeadlineMs !== null
        ? oldestFirst(this.schedule, record.accountedThrough, { now, startingDeadlineMs })
        : newest;
    const decision = decideTick({
      now,
      missedPolicy,
      due,
      dueAt: (tick) => this.schedule.dueAt(tick),
      startingDeadlineMs,
      promptMs: job.environment.changeTimeoutMs,
      awaitedTick: this.awaitedTick,
      forbiddenSince: this.forbiddenSince,
      armedAfter: Math.max(this.armedAfter, resumedAt(record, now)),
      concurrencyPolicy,
      activeRuns: active + (concurrencyPolicy === 'Forbid' ? record.retries.length : 0),
    });
    this.forbiddenSince = decision.kind === 'wait' ? (this.forbiddenSince ?? due!.newest) : null;
    const order = { record, isCapped: due?.isCapped === true };
    if (decision.kind === 'claim') return this.occupy(this.claim(term, { decision, ...order }));
    if (decision.kind === 'report') return this.occupy(job.account(term, { decision, ...order }));
    if (decision.kind === 'replace') {
      this.awaitedTick = due!.newest;
      job.replace();
    } else {
      const retry = dueRetry(record, now);
      const isFree = active === 0 || concurrencyPolicy === 'Allow';
      if (retry !== undefined && isFree) return this.occupy(job.claimRetry(term, retry));
    }
    const undue = this.schedule.next(newest?.newest ?? record.accountedThrough);
    const nextDue = undue === null ? Infinity : this.schedule.dueAt(undue);
    const expiryMs = job.active.nextExpiryMs(record, term);
    const retryAt = nextRetryAt(record, now);
    this.sleep(now, decision, { nextDue: Math.min(nextDue, retryAt), expiryMs });
  }

  private sleep(
    now: number,
    decision: TickDecision,
    { nextDue, expiryMs }: { readonly nextDue: number; readonly expiryMs: number },
  ): void {
    const until = decision.kind === 'wait' ? Math.min(nextDue, decision.until) : nextDue;
    const delayMs = Math.min(until - now, expiryMs, LONGEST_SLEEP_MS);
    this.lookAfter(delayMs);
  }

  private lookAfter(delayMs: number): void {
    this.writesInARow = 0;
    this.timer = this.job.environment.clock.setTimer(() => this.evaluate(), delayMs);
  }

  /** One write at a time; the lease is not released before its outcome has been heard. */
  private occupy(work: Promise<unknown>): void {
    this.isBusy = true;
    const done = work.finally(() => {
      this.isBusy = false;
      this.writesInARow += 1;
      this.evaluate();
    });
    this.job.environment.leadership.track(done);
  }

  private adoptionRequest(term: Term): AdoptionRequest {
    const { name, definition, active } = this.job;
    const { schedule, historyLimit, suspend: isOptionSuspend } = definition;
    const now = this.job.now();
    const continues = (text: string) => schedule.continuing(text, now) !== undefined;
    const isOver = (run: ActiveRun) => active.isOver(run, term);
    const rerunOf = (run: ActiveRun) => rerunAfter(run, now, definition);
    const runs = { isOver, historyLimit, rerunOf };
    return { job: name, schedule: schedule.text, continues, now, isOptionSuspend, ...runs };
  }

  private async claim(term: Term, order: ClaimOrder<'claim'>): Promise<void> {
    if ((await this.job.claim(term, order)) === 'settled') return;
    this.armedAfter = Math.max(this.armedAfter, this.schedule.dueAt(order.decision.tick));
  }

  /**
   * Delivers the stored reports. They are removed after that, so a leader that dies in between leaves them to the next:
   * a report may come twice, but none is lost.
   */
  private tell({ untold }: JobRecord, term: Term): void {
    const { name: job } = this.job;
    for (const { id, reason, times, isCapped } of untold) {
      if (!this.told.add(job, id)) continue;
      this.report({ job, reason, ...missedTicks(times, isCapped) }, term);
    }
  }

  private report(report: MissedReport, term: Term): void {
    const { definition, environment } = this.job;
    const { name, onMissed } = definition;
    const { observer, leadership } = environment;
    observer.onMissed(report, term);
    if (onMissed === null) return;
    const told = (async () => onMissed(report))().catch((error: unknown) =>
      observer.onCallbackFailed(name, error),
    );
    leadership.track(told);
  }

  /** Future ticks are accounted for already, so none of them would start and none be missed. */
  private tellAhead({ accountedThrough }: JobRecord, now: number): void {
    if (accountedThrough <= now + TOLERATED_AHEAD_MS || accountedThrough === this.toldAhead) return;
    const next = this.schedule.next(now);
    if (next === null || next > accountedThrough) return;
    this.toldAhead = accountedThrough;
    this.job.environment.observer.onAhead(this.job.name, new Date(accountedThrough));
  }

  /** The reports have been told. */
  private forget({ untold }: JobRecord): Promise<unknown> {
    const ids = untold.map(({ id }) => id);
    return this.job.submit(new ReportsTold(this.job.name, ids));
  }
}
