import type { ActiveRun, JobRecord, PastRun } from '../../lib/schedule/ledger/job-record.js';
import type { MissedReport } from '../../lib/schedule/runner/job-definition.js';
import type { AskedRun } from './asked-run.js';
import {
  AttemptHistory,
  type AttemptTraits,
  type AttemptVerdict,
  type Backups,
} from './attempt-history.js';
import { CancelHistory } from './cancel-history.js';
import { RequestHistory, type RequestVerdict } from './request-history.js';
import type { RecordLife } from './record-life.js';

export interface HistoryVerdict extends AttemptVerdict, RequestVerdict {
  readonly ticks: number;
  readonly started: number;
  /** Attempts of a tick that were started more than once. */
  readonly doubled: readonly string[];
  /** Reported as not started though they were. */
  readonly contradicted: readonly string[];
  readonly missed: number;
  /** Neither started nor reported, though somebody owes it. */
  readonly silent: readonly string[];
  /** Neither, and nobody owes it, as the record of the job was gone. */
  readonly excused: number;
  /** Started under Forbid while another run of the same process was under way. */
  readonly overlapped: readonly string[];
  /** Started by a process that no longer led by its clock. */
  readonly unled: readonly string[];
  /** Started before their jitter lets them. */
  readonly early: readonly string[];
  /** Not what the policy for missed ticks says: reported with 'all' while they could start, or started with 'none'. */
  readonly mistaken: readonly string[];
  /** Claimed while the job was suspended for all processes. */
  readonly unsuspended: readonly string[];
  /** Started later than any rule lets it. */
  readonly late: readonly string[];
  /** Reported twice by one process. */
  readonly retold: readonly string[];
  /** Ended well, in a process that lives, and recorded nowhere. */
  readonly unrecorded: readonly string[];
  /** Past runs that the record lacks, tells twice, or tells more of than it is to. */
  readonly misremembered: readonly string[];
  /** Neither started nor anything else, after all faults had ended. */
  readonly dead: readonly string[];
  /** Runs asked for or cancelled by hand whose result is not what became of them, or that have none. */
  readonly astray: readonly string[];
  /** Cancelled in the record, and their processes went on. */
  readonly unheard: readonly string[];
  /** Cancelled, marked or told as cancelled though not meant, or the other way round. */
  readonly unmeant: readonly string[];
}

/** A run that ended well. */
export interface GoodEnd {
  readonly time: number;
  readonly attempt: number;
  readonly by: string;
  /** By the clock of its process. */
  readonly endedAt: number;
  /** True if its process could not record it, and has said so or is gone. */
  readonly isExcused: () => boolean;
  isAccounted: boolean;
}

/** So shortly before the end, at most, every job has started a tick; its clock may be behind. */
const REVIVED_MS = 30_000;

/** What ends later may not be recorded before the simulation ends. */
const RECORDED_SECONDS = 60;

interface HistoryTraits extends AttemptTraits {
  /** Some runs are cancelled. */
  readonly mayBeCancelled: boolean;
  readonly everySeconds: number;
  readonly historyLimit: number;
  /** With 'all': how old a tick is, by every clock, when it may no longer start; otherwise null. */
  readonly startableMs: number | null;
}

/** What all processes together did and said of one job. */
export class JobHistory {
  readonly attempts: AttemptHistory;
  /** Ticks of which an attempt was started. */
  private readonly starts = new Set<number>();
  /** By whom, for each attempt of a tick. */
  private readonly startedBy = new Map<string, string[]>();
  private readonly told = new Set<string>();
  private readonly broken: Record<'unled' | 'early' | 'late' | 'retold', string[]> = {
    unled: [],
    early: [],
    late: [],
    retold: [],
  };
  private readonly misremembered: string[] = [];
  private readonly unsuspended: string[] = [];
  private readonly mistaken: string[] = [];
  private readonly goodEnds: GoodEnd[] = [];
  private readonly givenUp = new Set<string>();
  private lastStart = -Infinity;
  private readonly reported = new Set<number>();
  private readonly notStarted = new Set<number>();
  /** What a capped report lists: the first hundred, and the last where it was not started either. */
  private readonly capped = new Set<number>();
  private readonly overlaps: number[] = [];
  private readonly asked: AskedRun[] = [];
  readonly cancels = new CancelHistory();
  readonly requests: RequestHistory;

  constructor(
    readonly job: string,
    private readonly traits: HistoryTraits,
    readonly life: RecordLife,
  ) {
    this.requests = new RequestHistory(traits);
    this.attempts = new AttemptHistory(traits, (trueMs) => this.cancels.hasUnknownAt(trueMs));
  }

  get everySeconds(): number {
    return this.traits.everySeconds;
  }

  /** `by`: the process. */
  tickStarted(time: number, attempt: number, by: string): void {
    const tick = this.tickOf(time);
    const name = `${printed(tick)} ${attempt}`;
    this.starts.add(tick);
    this.startedBy.set(name, [...(this.startedBy.get(name) ?? []), by]);
    this.attempts.started(tick, attempt);
    this.lastStart = Math.max(this.lastStart, tick);
  }

  startedUnled(time: number): void {
    this.broken.unled.push(printed(time));
  }

  startedEarly(time: number, byMs: number): void {
    this.broken.early.push(`${printed(time)} by ${Math.round(byMs)} ms`);
  }

  startedMissed(time: number): void {
    this.mistaken.push(`${printed(time)} is started`);
  }

  startedLate(time: number, byMs: number): void {
    this.broken.late.push(`${printed(time)} by ${Math.round(byMs)} ms`);
  }

  endedWell(end: GoodEnd): void {
    end.isAccounted = this.givenUp.has(nameOfEnd(end));
    this.goodEnds.push(end);
  }

  /** Every step of the stored record; only those in which a run is active no more matter here. */
  written(before: JobRecord | undefined, after: JobRecord | undefined, trueMs: number): void {
    this.cancels.written(before, after, trueMs);
    this.requests.written(before, after);
    this.checkReports(before, after, trueMs);
    this.checkHistory(after);
    this.checkSuspension(before, after);
    if (before === undefined || before.active.length === 0) return;
    for (const run of before.active) {
      if (after?.active.some((other) => other.id === run.id)) continue;
      // Before its end another leader gives a run up; at its end it is recorded.
      this.givenUp.add(nameOf(run));
      for (const end of this.goodEnds) {
        if (nameOfEnd(end) !== nameOf(run)) continue;
        if (this.cancels.explains(run, after, trueMs)) {
          end.isAccounted = true;
          continue;
        }
        end.isAccounted ||= isAccounted(end, before, after);
        this.checkRemembered(end, before, after);
      }
    }
  }

  private checkReports(
    before: JobRecord | undefined,
    after: JobRecord | undefined,
    trueMs: number,
  ): void {
    const { startableMs } = this.traits;
    if (startableMs === null) return;
    const known = new Set(before?.untold.map(({ id }) => id));
    for (const { id, reason, times } of after?.untold ?? []) {
      // A run that was claimed, and whose process has not heard of that in time.
      const isOfRun = reason === 'interrupted' || id.endsWith('/not-started');
      if (isOfRun || known.has(id)) continue;
      for (const time of times) {
        if (trueMs < time + startableMs) this.mistaken.push(`${printed(time)} is reported`);
      }
    }
  }

  private checkSuspension(before: JobRecord | undefined, after: JobRecord | undefined): void {
    if (before?.fleetSwitch?.isSuspended !== true) return;
    // One write may resume the job and claim its next tick.
    const { fleetSwitch } = after ?? {};
    if (fleetSwitch?.at !== before.fleetSwitch.at || fleetSwitch.by !== before.fleetSwitch.by)
      return;
    const known = new Set(before.active.map(({ id }) => id));
    for (const { id, scheduledTime, isTriggered } of after?.active ?? []) {
      if (isTriggered !== true && !known.has(id)) this.unsuspended.push(printed(scheduledTime));
    }
  }

  private checkHistory(after: JobRecord | undefined): void {
    const { history = [] } = after ?? {};
    const runs = new Set(history.map((run) => `${run.startedAt} ${nameOf(run)}`));
    const isRight = runs.size === history.length && history.length <= this.traits.historyLimit;
    if (!isRight) this.misremembered.push(`${history.length} runs, ${runs.size} different`);
  }

  /** As long as no more runs end in one write than are remembered. */
  private checkRemembered(end: GoodEnd, before: JobRecord, after: JobRecord | undefined): void {
    if (this.traits.historyLimit < 10 || after === undefined) return;
    const isOfEnd = (run: PastRun): boolean => nameOf(run) === nameOfEnd(end);
    const isRemembered = after.history.some((run) => run.outcome !== 'failed' && isOfEnd(run));
    // It keeps the place it got when it was given up, and may be the oldest.
    const wasRemembered = before.history.some(isOfEnd);
    if (!isGivenUp(end, before, after) && !isRemembered && !wasRemembered) {
      this.misremembered.push(`${printed(end.time)} is forgotten`);
    }
  }

  overlapped(time: number): void {
    this.overlaps.push(time);
  }

  missed({ times, reason, isCapped }: MissedReport, by: string): void {
    if (isCapped) for (const time of times) this.capped.add(this.tickOf(time.getTime()));
    for (const time of times) {
      const tick = this.tickOf(time.getTime());
      const told = `${printed(time.getTime())} ${reason} by ${by}`;
      if (this.told.has(told)) this.broken.retold.push(told);
      this.told.add(told);
      this.reported.add(tick);
      if (reason !== 'interrupted') this.notStarted.add(tick);
    }
  }

  runAsked(asked: AskedRun): void {
    this.asked.push(asked);
  }

  /** On the ticks of so many seconds from `begin` on; `end`: for how many seconds the simulation lasted. */
  verdict(begin: number, seconds: number, end: number, backups: Backups): HistoryVerdict {
    const { isRestored } = backups;
    const { starts, reported, notStarted } = this;
    const everyMs = this.everySeconds * 1_000;
    const ticks = Math.floor(seconds / this.everySeconds);
    const [calmFrom, until] = [begin + (seconds + 20) * 1_000, begin + end * 1_000];
    const cancels = this.cancels.verdict(calmFrom, until, isRestored);
    const within = Array.from({ length: ticks }, (_, index) => begin + (index + 1) * everyMs);
    const neither = within.filter((tick) => !starts.has(tick) && !reported.has(tick));
    // A report that is capped counts for those after the hundred too, up to the one that was accounted for with it.
    const covered = new Set(this.capped);
    for (const tick of neither) if (covered.has(tick - everyMs)) covered.add(tick);
    const silent = neither.filter((tick) => this.life.isOwed(tick) && !covered.has(tick));
    return {
      ticks,
      started: within.filter((tick) => starts.has(tick)).length,
      doubled: [...this.startedBy]
        .filter(([, by]) => isDoubled(by, isRestored))
        .map(([attempt]) => attempt),
      contradicted: isRestored
        ? []
        : [...notStarted].filter((tick) => starts.has(tick)).map(printed),
      missed: within.filter((tick) => reported.has(tick)).length,
      silent: isRestored ? [] : silent.map(printed),
      excused: neither.length - silent.length,
      overlapped: this.overlaps.map(printed),
      unsuspended: this.unsuspended,
      mistaken: this.mistaken,
      misremembered: isRestored ? [] : this.misremembered,
      ...this.attempts.verdict(begin + end * 1_000, backups, (tick) => reported.has(tick)),
      ...this.requests.verdict(until, isRestored),
      ...this.broken,
      // Where the first object has lost the mark, nothing shows that an attempt waits for no deadline.
      early: backups.isUnmarked ? [] : this.broken.early,
      late: backups.isUnmarked ? [] : this.broken.late,
      // A tick that is due once more is told of once more.
      retold: isRestored ? [] : this.broken.retold,
      unrecorded: isRestored ? [] : this.unrecorded(begin + (seconds + RECORDED_SECONDS) * 1_000),
      dead: this.lastStart < begin + end * 1_000 - REVIVED_MS - 1.5 * everyMs ? [this.job] : [],
      astray: [...this.asked.flatMap((asked) => asked.fault ?? []), ...cancels.strays],
      unheard: isRestored ? [] : cancels.unheard,
      unmeant: isRestored ? [] : cancels.unmeant,
    };
  }

  private unrecorded(until: number): string[] {
    const lost = this.goodEnds.filter((end) => !end.isAccounted && !end.isExcused());
    return lost.filter(({ time }) => time < until).map(({ time }) => printed(time));
  }

  /** Of the timer's time, too: whoever starts a tick late starts that tick. */
  private tickOf(time: number): number {
    const everyMs = this.everySeconds * 1_000;
    return Math.floor(time / everyMs) * everyMs;
  }
}

/** A restored document lets another process start a tick once more, and not the one that has started it. */
function isDoubled(by: readonly string[], isRestored: boolean): boolean {
  return isRestored ? new Set(by).size < by.length : by.length > 1;
}

/** Recorded as a success, or given up by another leader first, or no longer there to be recorded. */
function isAccounted(end: GoodEnd, before: JobRecord, after: JobRecord | undefined): boolean {
  if (after === undefined) return true;
  return (after.lastSuccessfulTime ?? -Infinity) >= end.endedAt || isGivenUp(end, before, after);
}

/** Before, or by a claimant that does not know that it has started; two attempts perhaps by one change, at one time. */
function isGivenUp({ time }: GoodEnd, before: JobRecord, { lastFailed }: JobRecord): boolean {
  if (JSON.stringify(lastFailed) !== JSON.stringify(before.lastFailed)) return true;
  return lastFailed?.scheduledTime === time && lastFailed.reason.startsWith('interrupted');
}

type NamedRun = Pick<ActiveRun, 'scheduledTime' | 'attempt' | 'holderIdentity'>;

function nameOf({ scheduledTime, attempt = 1, holderIdentity }: NamedRun): string {
  return nameOfEnd({ time: scheduledTime, attempt, by: holderIdentity });
}

function nameOfEnd({ time, attempt, by }: Pick<GoodEnd, 'time' | 'attempt' | 'by'>): string {
  return `${time} ${attempt} ${by}`;
}

function printed(time: number): string {
  return new Date(time).toISOString();
}
