import { type Timer, wallMs } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import type { ActiveRun, JobRecord } from '../ledger/job-record.js';
import {
  type AdoptionRequest,
  JobAdoption,
  needsAdoption,
  ReportsTold,
} from '../ledger/ledger-changes.js';
import type { ScheduleLedger } from '../ledger/schedule-ledger.js';
import {
  decideTick,
  dueTicks,
  type TickDecision,
  type TickSchedule,
} from '../tick/tick-schedule.js';
import type { ActiveRuns } from './active-runs.js';
import { type JobDefinition, missedTicks, type ScheduleEnvironment } from './job-definition.js';
import { RunWaiter } from './job-run.js';
import { type ClaimOrder, RunKeeper, TickClaimant } from './run-keeper.js';
import { RunTrigger, type TriggerResult } from './run-trigger.js';

/** Beyond this the oldest are forgotten: they were removed from the store long ago. */
const MOST_REMEMBERED = 1_000;

/**
 * The reports that this process has told, for as long as it lives: a job may be removed and added again before the
 * store knows, and a store may go back to a version from before.
 */
export class ToldReports {
  private readonly ids = new Set<string>();

  has(id: string): boolean {
    return this.ids.has(id);
  }

  add(id: string): void {
    this.ids.add(id);
    if (this.ids.size <= MOST_REMEMBERED) return;
    const [oldest] = this.ids;
    this.ids.delete(oldest!);
  }
}

/** Somebody may set the wall clock while a timer sleeps. */
const LONGEST_SLEEP_MS = 60_000;

/** Clocks that disagree by less are no news: the record then only says that its tick has been claimed. */
const TOLERATED_AHEAD_MS = 60_000;

/** No decision needs as many writes; a store that answers at once must not keep the process from renewing its lease. */
const MOST_WRITES_IN_A_ROW = 10;

/** Pause where a look leads to nothing that would lead to another. */
const PAUSE_MS = 1_000;

/**
 * One job in one process. While this process leads it sleeps until the next nominal time, looks which ticks nobody has
 * accounted for, decides, and claims; everything that can change the decision leads back to {@link evaluate}.
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
  /** A claim or an adoption is under way; the decision after it is made on what it finds. */
  private isBusy = false;
  private writesInARow = 0;
  private isSuspended: boolean;
  /** What the record accounts for though it is yet to come, once that has been told. */
  private toldAhead = -Infinity;
  private readonly stopping = new AbortController();
  private readonly keeper: RunKeeper;
  private readonly claimant: TickClaimant;
  private readonly triggered: RunTrigger;

  constructor(
    readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
    /** Reports that this process has told, by their ids. */
    private readonly told: ToldReports,
  ) {
    this.isSuspended = definition.suspend;
    this.schedule = definition.schedule;
    active.follow(() => this.evaluate());
    const shared = [definition, ledger, environment, active] as const;
    this.keeper = new RunKeeper(...shared);
    this.claimant = new TickClaimant(
      ...shared,
      this.keeper,
      this.stopping.signal,
      () => this.isSuspended,
    );
    this.triggered = new RunTrigger(...shared, this.keeper, this.stopping.signal);
  }

  get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  get suspended(): boolean {
    return this.isSuspended;
  }

  /** Nominal time of the next tick; null if there is none, or if the job is suspended or stopped. */
  get nextTick(): number | null {
    if (this.isStopped || this.isSuspended) return null;
    return this.schedule.next(this.now());
  }

  /** This process leads, and the ledger knows the document. */
  begin(term: Term): void {
    if (this.isStopped) return;
    this.term = term;
    this.forbiddenSince = null;
    this.armedAfter = this.now();
    const onEnd = (): void => this.end(term);
    term.signal.addEventListener('abort', onEnd, { once: true });
    this.unfollow = () => term.signal.removeEventListener('abort', onEnd);
    this.evaluate();
  }

  suspend(): void {
    this.forbiddenSince = null;
    this.isSuspended = true;
    this.timer?.cancel();
  }

  /** Ticks of the meantime count as missed. */
  resume(): void {
    if (!this.isSuspended) return;
    this.isSuspended = false;
    this.armedAfter = Math.max(this.armedAfter, this.now());
    this.evaluate();
  }

  /** Schedules nothing any more. What runs goes on. */
  stop(): void {
    this.timer?.cancel();
    this.unfollow();
    this.stopping.abort();
  }

  /**
   * Resolves when what runs now, or is about to, has ended and is recorded. Called by a run it waits neither for that
   * one nor for one that waits for it.
   */
  idle(): Promise<void> {
    return this.active.idle(RunWaiter.current);
  }

  /** One run now, beside the schedule. */
  trigger(term: Term): Promise<TriggerResult> {
    const caller = RunWaiter.current;
    return this.environment.atHome(() => this.triggered.trigger(term, caller));
  }

  private end(term: Term): void {
    if (this.term !== term) return;
    this.term = undefined;
    this.timer?.cancel();
  }

  private evaluate(): void {
    this.environment.atHome(() => this.look());
  }

  private look(): void {
    this.timer?.cancel();
    const { term, ledger } = this;
    if (term === undefined || this.isStopped || this.isSuspended || this.isBusy) return;
    // The clock knows that a term is over before its signal does: that needs a timer, and the process may have frozen.
    const isOver = this.environment.leadership.term !== term;
    if (isOver || this.writesInARow >= MOST_WRITES_IN_A_ROW) return this.lookAfter(PAUSE_MS);
    const record = ledger.known(this.definition.name);
    if (record !== undefined) this.tell(record);
    if (record !== undefined && record.untold.length > 0) return this.occupy(this.forget(record));
    const adoption = this.adoptionRequest(term);
    if (record === undefined || needsAdoption(record, adoption)) {
      return this.occupy(this.adopt(term, adoption));
    }
    const now = this.now();
    this.schedule = this.definition.schedule.continuing(record.schedule, now)!;
    this.tellAhead(record, now);
    const due = dueTicks(this.schedule, record.accountedThrough, now);
    const decision = decideTick({
      now,
      due,
      startingDeadlineMs: this.definition.startingDeadlineMs,
      promptMs: this.environment.changeTimeoutMs,
      awaitedTick: this.awaitedTick,
      forbiddenSince: this.forbiddenSince,
      armedAfter: this.armedAfter,
      concurrencyPolicy: this.definition.concurrencyPolicy,
      activeRuns: this.active.count(record, term),
    });
    this.forbiddenSince = decision.kind === 'wait' ? (this.forbiddenSince ?? due!.newest) : null;
    if (decision.kind === 'claim' || decision.kind === 'report') {
      const isCapped = due?.isCapped === true;
      return this.occupy(this.claim(term, { decision, record, isCapped }));
    }
    if (decision.kind === 'replace') {
      this.awaitedTick = due!.newest;
      this.keeper.replace(this.active.running);
    }
    this.sleep(now, decision, this.active.nextExpiryMs(record, term));
  }

  private sleep(now: number, decision: TickDecision, expiryMs: number): void {
    const next = this.schedule.next(now) ?? Infinity;
    const until = decision.kind === 'wait' ? Math.min(next, decision.until) : next;
    const delayMs = Math.min(until - now, expiryMs, LONGEST_SLEEP_MS);
    this.lookAfter(delayMs);
  }

  private lookAfter(delayMs: number): void {
    this.writesInARow = 0;
    this.timer = this.environment.clock.setTimer(() => this.evaluate(), delayMs);
  }

  /** One write at a time; the lease is not released before its outcome has been heard. */
  private occupy(work: Promise<void>): void {
    this.isBusy = true;
    const done = work.finally(() => {
      this.isBusy = false;
      this.writesInARow += 1;
      this.evaluate();
    });
    this.environment.leadership.track(done);
  }

  private adoptionRequest(term: Term): AdoptionRequest {
    const { name, schedule } = this.definition;
    const now = this.now();
    const continues = (text: string) => schedule.continuing(text, now) !== undefined;
    const isOver = (run: ActiveRun) => this.active.isOver(run, term);
    return { job: name, schedule: schedule.text, continues, now, isOver };
  }

  private async adopt(term: Term, request: AdoptionRequest): Promise<void> {
    await this.claimant.submit(new JobAdoption(request), term, null);
  }

  private async claim(term: Term, order: ClaimOrder): Promise<void> {
    if (await this.claimant.claim(term, order)) return;
    this.armedAfter = Math.max(this.armedAfter, order.decision.tick);
  }

  /**
   * Tells what is stored to be told. It is removed after that, so a leader that dies in between leaves it to the next:
   * a report may come twice, and none is lost.
   */
  private tell({ untold }: JobRecord): void {
    for (const { id, reason, times, isCapped } of untold) {
      if (this.told.has(id)) continue;
      this.told.add(id);
      this.keeper.report({ job: this.definition.name, reason, ...missedTicks(times, isCapped) });
    }
  }

  /** Ticks that are yet to come are accounted for already, so that none would start and none be missed. */
  private tellAhead({ accountedThrough }: JobRecord, now: number): void {
    if (accountedThrough <= now + TOLERATED_AHEAD_MS || accountedThrough === this.toldAhead) return;
    const next = this.schedule.next(now);
    if (next === null || next > accountedThrough) return;
    this.toldAhead = accountedThrough;
    this.environment.observer.onAhead(this.definition.name, new Date(accountedThrough));
  }

  /** Also when leadership or the schedule ends meanwhile: the lease is not released before. */
  private async forget({ untold }: JobRecord): Promise<void> {
    const { clock, changeTimeoutMs } = this.environment;
    const told = new ReportsTold(
      this.definition.name,
      untold.map(({ id }) => id),
    );
    await this.ledger.submit(told, { deadline: clock.now() + changeTimeoutMs });
  }

  private now(): number {
    return wallMs(this.environment.clock);
  }
}
