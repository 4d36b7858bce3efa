import {
  type ActiveRun,
  type FleetSwitch,
  isSuspended,
  type JobRecord,
  type MissedReason,
  NEVER_RUN,
  type PastOutcome,
  type PastRun,
  type PendingRetry,
  type RunCancellation,
} from './job-record.js';
import { withoutRetries, withRetry } from './pending-retries.js';
import { answerOf } from './trigger-answer.js';

/**
 * One change of one job's record, as a decision about whatever the record turns out to be. It is asked again after
 * every read and every write, so that the answer to "is it done?" always comes from a version that is known to be
 * stored: a write whose outcome is unknown settles nothing.
 */
export interface LedgerChange<R> {
  readonly job: string;
  /**
   * True if it is about where the record is. Any other change follows the record to its new object, and takes what is
   * left of one that was swept there for none.
   */
  readonly isOfMark?: boolean;
  /** The run that begins with this change. If the change is not settled in time, it never will. */
  readonly beginning?: string | undefined;
  /** What that run is an attempt of, after the first; it is open again if the change is not settled in time. */
  readonly retry?: PendingRetry;
  /** The run whose end this is, known to this process whatever the store says. */
  readonly ending?: EndedRun;
  /** `accountedBefore`: a record that begins now accounts for every tick up to there, as the job may have had one before. */
  decide(record: JobRecord | undefined, accountedBefore: number): Verdict<R>;
}

export type Verdict<R> =
  /** There is nothing left to write. */
  | { readonly kind: 'settled'; readonly result: R }
  /** This has to be stored, by a compare-and-set on the version the decision was made on. */
  | { readonly kind: 'write'; readonly record: JobRecord };

export interface AdoptionRequest {
  readonly job: string;
  readonly schedule: string;
  /** True if the ticks of a record under that schedule are those of the job, however it is written. */
  readonly continues: (schedule: string) => boolean;
  readonly now: number;
  /** True for a run that can no longer be under way, as the lease of its term has expired. */
  readonly isOver: (run: ActiveRun) => boolean;
  readonly historyLimit: number;
  /** The options of the job say `suspend: true`. */
  readonly isOptionSuspend: boolean;
  /** What follows a run that is over; undefined: it is reported as interrupted. */
  readonly rerunOf: (run: ActiveRun) => PendingRetry | undefined;
}

/** True if a leader has something to write before it schedules by this record. */
export function needsAdoption(
  record: JobRecord | undefined,
  { continues, isOver, isOptionSuspend }: AdoptionRequest,
): boolean {
  if (record === undefined || !continues(record.schedule)) return true;
  if (record.unknownSince !== null || record.isRecalled === true) return true;
  if (record.fleetSwitch?.liftsOption === true && !isOptionSuspend) return true;
  return record.active.some(isOver);
}

/**
 * What a leader does with a job before it schedules it. A job that the fleet has not seen, or that got another
 * schedule, begins now: nothing of it was missed before. Runs of leaders that are gone are given up, and stored to be
 * reported or to run again, except triggered ones, which belong to no tick. The mark of a leader that did not know the job
 * is removed.
 */
export class JobAdoption implements LedgerChange<void> {
  readonly job: string;

  constructor(private readonly request: AdoptionRequest) {
    this.job = request.job;
  }

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    const { schedule, continues, now, isOptionSuspend } = this.request;
    if (record !== undefined && !needsAdoption(record, this.request)) {
      return { kind: 'settled', result: undefined };
    }
    const begun = { schedule, accountedThrough: Math.max(now, accountedBefore), claimNonce: '' };
    const known = record ?? { ...NEVER_RUN, ...begun };
    const isSame = continues(known.schedule);
    return {
      kind: 'write',
      record: {
        ...withGivenUp(known, this.request),
        schedule: isSame ? known.schedule : schedule,
        accountedThrough: isSame ? known.accountedThrough : Math.max(known.accountedThrough, now),
        unknownSince: null,
        fleetSwitch: known.fleetSwitch && {
          ...known.fleetSwitch,
          liftsOption: known.fleetSwitch.liftsOption && isOptionSuspend,
        },
      },
    };
  }
}

/**
 * The record without the runs that are over. How far they came is not known: their ticks are stored to be reported, also
 * those of runs that were cancelled, and did not fail; or to start again.
 */
export function withGivenUp(
  record: JobRecord,
  { isOver, now, historyLimit, rerunOf = () => undefined }: GivingUp,
): JobRecord {
  const over = record.active.filter(isOver);
  if (over.length === 0) return record;
  const { untold } = record;
  const { retries, rerun } = withReruns(record, over, rerunOf);
  const missed = over.filter((run) => run.isTriggered !== true && !rerun.includes(run));
  const failed = over.filter(({ cancellation }) => cancellation === undefined).at(-1);
  return {
    ...record,
    // Its claimant may not have heard yet, and would start it beside the attempt that follows it.
    claimNonce: rerun.some(({ id }) => id === record.claimNonce) ? '' : record.claimNonce,
    active: record.active.filter((run) => !isOver(run)),
    retries,
    untold: missed.length === 0 ? untold : [...untold, interruption(missed)],
    lastFailed: failed === undefined ? record.lastFailed : failureOf(failed, now),
    history: over
      .map((run) => interrupted(run, now))
      .reduce((history, past) => remembering(history, past, historyLimit), record.history),
    ...over.reduce<Pick<JobRecord, 'triggered'>>(
      (answer, run) => ({ ...answer, ...answerOf(record, run.id, interrupted(run, now).outcome) }),
      {},
    ),
  };
}

type GivingUp = Pick<AdoptionRequest, 'isOver' | 'now' | 'historyLimit'> &
  Partial<Pick<AdoptionRequest, 'rerunOf'>>;

/** What is to start, with what follows the runs that are over; and of which of these something does. */
function withReruns(
  record: JobRecord,
  over: readonly ActiveRun[],
  rerunOf: AdoptionRequest['rerunOf'],
): { readonly retries: readonly PendingRetry[]; readonly rerun: readonly ActiveRun[] } {
  let known = record;
  const rerun = over.filter((run) => {
    const retry = run.isTriggered === true ? undefined : rerunOf(run);
    const before = known;
    if (retry !== undefined) known = withRetry(known, retry);
    return known !== before;
  });
  return { retries: known.retries, rerun };
}

/** Called after a run, which is given up only once: a change that is written twice does not give up the same ones. */
function interruption(over: readonly ActiveRun[]): JobRecord['untold'][number] {
  const id = `${over.at(-1)!.id}/interrupted`;
  const times = over.map(({ scheduledTime }) => scheduledTime).toSorted((a, b) => a - b);
  return { id, reason: 'interrupted', times, isCapped: false };
}

function failureOf({ scheduledTime, holderIdentity, term }: ActiveRun, at: number) {
  return { scheduledTime, at, reason: `interrupted: ${holderIdentity} ended in term ${term}` };
}

function interrupted(run: ActiveRun, at: number): PastRun {
  const { cancellation } = run;
  const given = { ...pastPart(run), endedAt: at, reason: '' };
  return cancellation === undefined
    ? { ...given, outcome: 'interrupted' }
    : { ...given, outcome: 'cancelled', cancellation };
}

function pastPart(run: ActiveRun) {
  const { scheduledTime, startedAt, term, holderIdentity, isTriggered, attempt } = run;
  return {
    scheduledTime,
    startedAt,
    term,
    holderIdentity,
    ...(isTriggered === true && { isTriggered }),
    ...(attempt !== undefined && { attempt }),
  };
}

/** A run that was given up, and is recorded again or has ended after all, is the same run. */
function remembering(
  history: readonly PastRun[],
  past: PastRun,
  limit: number,
): readonly PastRun[] {
  const isSame = isRunOf(past);
  if (history.some(isSame)) return history.map((each) => (isSame(each) ? past : each));
  return [...history, past].slice(Math.max(0, history.length + 1 - limit));
}

function isRunOf(past: PastRun): (other: PastRun) => boolean {
  const nameOf = (run: PastRun) =>
    `${run.scheduledTime} ${run.attempt} ${run.startedAt} ${run.holderIdentity}`;
  return (other) => nameOf(other) === nameOf(past);
}

/**
 * `won`: this process, and no other, may start the tick. `taken`: another has accounted for it. `outdated`: the
 * decision has to be made again, since an earlier tick was handed back, the record has gone, another has accounted for
 * some of the missed ticks, and the list of these is not complete, or the job was suspended.
 */
export type ClaimResult =
  | {
      readonly kind: 'won';
      readonly missed: readonly number[];
      /** Attempts that give way to the tick. */
      readonly dropped: readonly PendingRetry[];
    }
  | { readonly kind: 'taken' }
  | { readonly kind: 'outdated' };

export interface TickClaimRequest {
  readonly job: string;
  readonly schedule: string;
  /** The nominal time, computed from the expression: replicas with skewed clocks agree on it. */
  readonly tick: number;
  /** Unique to this series of attempts. Without it the claim of another process would count as this one's. */
  readonly nonce: string;
  /** The run to begin; null to report ticks as missed, `tick` the last of them. */
  readonly run: ActiveRun | null;
  /** Ticks before `tick` (and `tick` itself without a run) that no process ran. */
  readonly missed: readonly number[];
  /** Up to where ticks were accounted for when the decision was made. */
  readonly basis: number;
  readonly reason: MissedReason;
  /** The options of the job say `suspend: true`, and this process obeys them. */
  readonly isOptionSuspend: boolean;
  /** True if more were missed than are listed. */
  readonly isCapped: boolean;
  /** Attempts of earlier ticks are dropped when this one starts. */
  readonly replacesRetries: boolean;
}

/**
 * The per-tick claim (docs/scheduling.md). `accountedThrough` only grows, and the step from below the tick to the tick
 * is one compare-and-set: it happens once in the total order of writes, and only the nonce that made it starts the
 * tick. Belief in leadership plays no part.
 *
 * The record is the store's, completed by what this process has seen of later versions where the store went back. Both
 * only forbid ticks: none starts that no compare-and-set of this nonce has won.
 */
export class TickClaim implements LedgerChange<ClaimResult> {
  readonly job: string;
  readonly beginning: string | undefined;
  private counted: readonly number[] = [];
  private dropped: readonly PendingRetry[] = [];

  constructor(private readonly request: TickClaimRequest) {
    this.job = request.job;
    this.beginning = request.run?.id;
  }

  decide(record: JobRecord | undefined): Verdict<ClaimResult> {
    const { tick, nonce, schedule, run, missed, basis, reason, isCapped, isOptionSuspend } =
      this.request;
    // Only the record knows whether the tick has been run.
    if (record === undefined) return { kind: 'settled', result: { kind: 'outdated' } };
    if (record.accountedThrough >= tick) {
      const isOwn = record.accountedThrough === tick && record.claimNonce === nonce;
      return {
        kind: 'settled',
        result: isOwn
          ? { kind: 'won', missed: this.counted, dropped: this.dropped }
          : { kind: 'taken' },
      };
    }
    if (isSuspended(record.fleetSwitch, isOptionSuspend)) {
      return { kind: 'settled', result: { kind: 'outdated' } };
    }
    const isCutShort = isCapped && record.accountedThrough > basis;
    if (record.accountedThrough < basis || isCutShort) {
      return { kind: 'settled', result: { kind: 'outdated' } };
    }
    // The other process has also reported what it has accounted for in the meantime.
    this.counted = missed.filter((time) => time > record.accountedThrough);
    this.dropped = run !== null && this.request.replacesRetries ? record.retries : [];
    const kept = withoutRetries(record, this.dropped);
    return {
      kind: 'write',
      record: {
        ...kept,
        schedule,
        accountedThrough: tick,
        claimNonce: nonce,
        returned: tick === record.accountedThrough + 1 ? record.returned : [],
        missedCount: record.missedCount + this.counted.length,
        lastMissedTime: this.counted.at(-1) ?? record.lastMissedTime,
        lastScheduleTime: run === null ? record.lastScheduleTime : tick,
        active: run === null ? record.active : [...record.active, run],
        untold:
          this.counted.length === 0
            ? kept.untold
            : [...kept.untold, { id: nonce, reason, times: this.counted, isCapped }],
      },
    };
  }
}

/**
 * Hands back a tick that was claimed and will not be started, because leadership ended between the two: the next leader
 * may then catch it up. Only its claimant may do so, after it has decided never to start it; so it is still started at
 * most once. Missed ticks before it stay accounted for. Too late once another leader has given the run up: the tick is
 * then reported as interrupted, perhaps already, and is not to be started or reported once more. What was cancelled is
 * not handed back either: a leader gives it up. True if the tick is open again, or was until another process claimed it.
 */
export class TickReturn implements LedgerChange<boolean> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    private readonly claimed: { readonly tick: number; readonly nonce: string },
    private readonly lastScheduleTime: number | null,
  ) {
    this.beginning = claimed.nonce;
  }

  decide(record: JobRecord | undefined): Verdict<boolean> {
    const { tick, nonce } = this.claimed;
    if (record?.accountedThrough !== tick || record.claimNonce !== nonce) {
      return { kind: 'settled', result: record?.returned.includes(nonce) === true };
    }
    // A store that went back lacks the run for another reason: no leader has reported the tick.
    const claimed = record.active.find(({ id }) => id === nonce);
    const isGivenUp = claimed === undefined && record.isRecalled !== true;
    if (isGivenUp || claimed?.cancellation !== undefined) return { kind: 'settled', result: false };
    return {
      kind: 'write',
      record: {
        ...record,
        accountedThrough: tick - 1,
        claimNonce: '',
        returned: [...record.returned, nonce],
        lastScheduleTime: this.lastScheduleTime,
        active: record.active.filter(({ id }) => id !== nonce),
      },
    };
  }
}

/**
 * Records a run that belongs to no tick, so that `Forbid` and people see it. A job that the fleet has not seen begins
 * with it: no tick before it was missed.
 */
export class RunStart implements LedgerChange<void> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    private readonly schedule: string,
    private readonly run: ActiveRun,
  ) {
    this.beginning = run.id;
  }

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    const { schedule, run } = this;
    if (record?.active.some((active) => active.id === run.id)) {
      return { kind: 'settled', result: undefined };
    }
    const accountedThrough = Math.max(run.startedAt, accountedBefore);
    const known = record ?? { ...NEVER_RUN, schedule, accountedThrough, claimNonce: '' };
    return {
      kind: 'write',
      record: { ...known, active: [...known.active, run] },
    };
  }
}

/**
 * Suspends or resumes a job for the whole fleet; any process may. No claim is written on a record that is suspended. A
 * job that the fleet has not seen begins with it.
 */
export class SwitchChange implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly schedule: string,
    private readonly wanted: FleetSwitch,
  ) {}

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    const { schedule, wanted } = this;
    if (record !== undefined && isDone(record.fleetSwitch, wanted)) {
      return { kind: 'settled', result: undefined };
    }
    const accountedThrough = Math.max(wanted.at, accountedBefore);
    const known = record ?? { ...NEVER_RUN, schedule, accountedThrough, claimNonce: '' };
    const switched = { ...known, fleetSwitch: wanted };
    return { kind: 'write', record: switched };
  }
}

/** Resuming what runs says nothing new. */
function isDone(stored: FleetSwitch | null, wanted: FleetSwitch): boolean {
  if (!wanted.isSuspended && !isSuspended(stored, wanted.liftsOption)) return true;
  if (stored === null) return false;
  const { isSuspended: is, at, by } = stored;
  return is === wanted.isSuspended && at === wanted.at && by === wanted.by;
}

export interface EndedRun {
  readonly run: ActiveRun;
  readonly endedAt: number;
  /** Null: it succeeded, or was cancelled. */
  readonly failure: string | null;
  /** Absent unless it was cancelled. */
  readonly cancellation?: RunCancellation;
  /** How many runs the record is to remember. */
  readonly historyLimit: number;
  /** The attempt that follows it; absent if none does. */
  readonly retry?: PendingRetry | undefined;
  /** Its handler was not called, for the reason that is given as its failure. */
  readonly isNotStarted?: boolean;
}

/**
 * Records how a run ended. If the run is not among the active ones, this does not prove that its end is recorded: a
 * version that was read late may be older than the run. A failure that a later leader has already recorded stays as it
 * is.
 */
export class RunEnd implements LedgerChange<void> {
  constructor(
    readonly job: string,
    readonly ending: EndedRun,
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    if (record === undefined || !lacksEnd(record, this.ending)) {
      return { kind: 'settled', result: undefined };
    }
    return { kind: 'write', record: withEnd(record, this.ending) };
  }
}

export function lacksEnd(record: JobRecord, { run, ...ended }: EndedRun): boolean {
  if (record.active.some(({ id }) => id === run.id)) return true;
  // Whatever else the record says of the run, another leader has recorded.
  if (ended.cancellation !== undefined) return false;
  if (ended.failure === null) return (record.lastSuccessfulTime ?? -Infinity) < ended.endedAt;
  const { lastFailed } = record;
  if (lastFailed === null) return true;
  return lastFailed.scheduledTime !== run.scheduledTime && lastFailed.at < ended.endedAt;
}

export function withEnd(record: JobRecord, ended: EndedRun): JobRecord {
  const { run, endedAt, failure, cancellation, retry, isNotStarted = false } = ended;
  const { id, scheduledTime } = run;
  // A run that was given up may have been followed by another attempt: only the change that removes it adds one.
  const recorded = record.active.find((each) => each.id === id);
  // Cancelled, though its process had not heard of that when it failed.
  const isFinal = recorded === undefined || recorded.cancellation !== undefined;
  const known = isFinal || retry === undefined ? record : withRetry(record, retry);
  return {
    ...known,
    // The claimant has heard of it, and the record of a quiet job is smaller without.
    claimNonce: record.claimNonce === id ? '' : record.claimNonce,
    active: record.active.filter((each) => each.id !== id),
    history: historyWith(record, ended),
    ...answerOf(record, id, isNotStarted ? 'not-started' : outcomeOf(ended), failure ?? ''),
    ...(failure === null &&
      cancellation === undefined && {
        lastSuccessfulTime: Math.max(endedAt, record.lastSuccessfulTime ?? endedAt),
      }),
    ...(failure !== null && { lastFailed: { scheduledTime, at: endedAt, reason: failure } }),
  };
}

function outcomeOf({ failure, cancellation }: EndedRun): PastOutcome {
  if (cancellation !== undefined) return 'cancelled';
  return failure === null ? 'succeeded' : 'failed';
}

function historyWith({ active, history }: JobRecord, ending: EndedRun): readonly PastRun[] {
  const { run, endedAt, failure, cancellation, historyLimit } = ending;
  const ended = { ...pastPart(run), endedAt, reason: failure ?? '', outcome: outcomeOf(ending) };
  const past: PastRun = cancellation === undefined ? ended : { ...ended, cancellation };
  const isKnown = active.some(({ id }) => id === run.id) || history.some(isRunOf(past));
  return isKnown ? remembering(history, past, historyLimit) : history;
}

/** Removes reports that have been delivered, whoever leads, so that no other leader delivers them again. */
export class ReportsTold implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly told: readonly string[],
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const untold = record?.untold.filter(({ id }) => !this.told.includes(id));
    if (record === undefined || untold?.length === record.untold.length) {
      return { kind: 'settled', result: undefined };
    }
    return { kind: 'write', record: { ...record, untold: untold! } };
  }
}
