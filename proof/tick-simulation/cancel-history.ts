import type { ActiveRun, JobRecord, PastRun } from '../../lib/schedule/ledger/job-record.js';
import type { CancelResult } from '../../lib/schedule/runner/cancelling.js';
import type { CancellableRun } from './cancellable-run.js';

export interface CancelVerdict {
  /** Runs that were cancelled in the record, and whose processes went on without hearing of it. */
  readonly unheard: readonly string[];
  /** Runs that were cancelled, marked or told as cancelled, and were not meant; or meant, and told as something else. */
  readonly unmeant: readonly string[];
  /** Calls whose result is not what became of the runs, or that have none. */
  readonly strays: readonly string[];
}

/** One call of `cancel()`. Its id is the reason that it gives. */
interface Call {
  readonly by: string;
  /** The last nonce of its process at that time: a run of that process with a later one had not begun. */
  readonly lastNonce: number;
  readonly isOrphaned: () => boolean;
  /** True times. */
  readonly calledAt: number;
  toldAt?: number;
  result?: CancelResult | 'unknown';
}

/** In a network without faults a process reads the record once in 3 s, and has its answer soon after. */
const HEARD_MS = 10_000;

/** The last request of a call whose outcome is not known arrives so long after its end at most. */
const STRAGGLER_MS = 25_000;
/** In which a call that has no end has sent its last request. */
const CALL_MS = 40_000;

/** What cancelling has done to the runs of one job, by its record and by its processes. */
export class CancelHistory {
  private readonly runs = new Map<string, CancellableRun>();
  private readonly calls = new Map<string, Call>();
  /** Runs that a call has found in its own process. */
  private readonly meant = new Set<string>();
  private readonly marks = new Map<string, { readonly call: string; readonly trueMs: number }>();
  private readonly appearedAt = new Map<string, number>();
  private readonly goneAt = new Map<string, number>();
  private readonly again = new Set<string>();
  private readonly unmeant: string[] = [];
  private readonly strays: string[] = [];
  private active: ReadonlySet<string> = new Set();

  /** Its handler has been called. */
  started(run: CancellableRun): void {
    this.runs.set(run.id, run);
  }

  called(id: string, call: Call, own: readonly CancellableRun[]): void {
    this.calls.set(id, call);
    for (const run of own) this.meant.add(run.id);
  }

  told(id: string, result: CancelResult | 'unknown', trueMs: number): void {
    Object.assign(this.calls.get(id)!, { result, toldAt: trueMs });
    if (result !== 'ended') return;
    for (const [run, { call }] of this.marks) {
      const truth = this.runs.get(run);
      const isUnderWay = truth !== undefined && truth.endedAt === undefined && !truth.isOrphaned();
      const isActive = this.active.has(run) && !this.again.has(run);
      if (call === id && isUnderWay && isActive) this.strays.push(`${id}: ${run} lasts`);
    }
  }

  /** A process ends the run, as it holds it to be cancelled. */
  cancelled(run: CancellableRun): void {
    run.isCancelled = true;
    if (!this.isMeant(run.id)) this.unmeant.push(`${run.id} is ended`);
  }

  /** Every step of the stored record. */
  written(before: JobRecord | undefined, after: JobRecord | undefined, trueMs: number): void {
    const [last, next] = [before?.active ?? [], after?.active ?? []];
    this.active = new Set(next.map(({ id }) => id));
    for (const { id } of next) {
      if (!this.appearedAt.has(id)) this.appearedAt.set(id, trueMs);
      // A triggered run that was given up may be recorded again.
      if (this.goneAt.delete(id)) this.again.add(id);
    }
    for (const run of next) if (run.cancellation !== undefined) this.marked(run, trueMs);
    for (const run of last) if (!this.active.has(run.id)) this.gone(run, after, trueMs);
  }

  /** True if a call may have written the record then whose caller has not heard of it. */
  hasUnknownAt(trueMs: number): boolean {
    return this.isCalledAt(trueMs, ({ result = 'unknown' }) => result === 'unknown');
  }

  /** A run that is gone from the record may have been cancelled, whatever its process then records. */
  explains(run: ActiveRun, after: JobRecord | undefined, trueMs: number): boolean {
    if (run.cancellation !== undefined) return true;
    const past = after?.history.find((each) => isPastOf(run, each));
    // Without a history there is nothing to see of a leader that has marked it and given it up in one write.
    return past === undefined ? this.isCalledAt(trueMs) : past.outcome === 'cancelled';
  }

  /**
   * `until`: the true time up to which marks should have been heard of; `calmFrom`: from when they can be. A store that goes
   * back shows whoever waits for the end of a run that it is not active.
   */
  verdict(calmFrom: number, until: number, isRestored: boolean): CancelVerdict {
    const unheard = [...this.marks].filter(([id, { trueMs }]) => {
      const run = this.runs.get(id);
      if (run === undefined || run.isOrphaned()) return false;
      const limit = Math.max(trueMs, calmFrom) + HEARD_MS;
      return limit < until && Math.min(run.endingAt, this.goneAt.get(id) ?? Infinity) > limit;
    });
    const silent = [...this.calls].filter(
      ([, { result, isOrphaned }]) => result === undefined && !isOrphaned(),
    );
    return {
      unheard: unheard.map(([id]) => id),
      unmeant: this.unmeant,
      strays: [...(isRestored ? [] : this.strays), ...silent.map(([id]) => `${id}: no result`)],
    };
  }

  private isCalledAt(trueMs: number, isOne: (call: Call) => boolean = () => true): boolean {
    return [...this.calls.values()].some((call) => {
      const { calledAt, toldAt, result = 'unknown' } = call;
      const endedAt = toldAt ?? calledAt + CALL_MS;
      const until = result === 'unknown' ? endedAt + STRAGGLER_MS : endedAt;
      return isOne(call) && calledAt <= trueMs && trueMs <= until;
    });
  }

  private isMeant(id: string): boolean {
    return this.marks.has(id) || this.meant.has(id);
  }

  private marked({ id, cancellation }: ActiveRun, trueMs: number): void {
    if (this.marks.has(id)) return;
    const call = cancellation!.reason;
    this.marks.set(id, { call, trueMs });
    const { by, lastNonce } = this.calls.get(call)!;
    const [holder, nonce] = id.split('/') as [string, string];
    const isLater = holder === by && Number(nonce) > lastNonce;
    // The runs that one call is about were active together.
    const appearedAt = this.appearedAt.get(id)!;
    const isAfterAnother = [...this.marks].some(
      ([other, mark]) => mark.call === call && (this.goneAt.get(other) ?? Infinity) < appearedAt,
    );
    if (isLater || isAfterAnother) this.unmeant.push(`${id} is marked by ${call}`);
  }

  private gone(run: ActiveRun, after: JobRecord | undefined, trueMs: number): void {
    this.goneAt.set(run.id, trueMs);
    const past = after?.history.find((each) => isPastOf(run, each));
    if (past === undefined || this.again.has(run.id)) return;
    // A leader marks and gives up in one write.
    const { cancellation } = past;
    if (cancellation !== undefined && !this.isMeant(run.id))
      this.marked({ ...run, cancellation }, trueMs);
    const isHeld = this.runs.get(run.id)?.isCancelled === true;
    const isMarked = run.cancellation !== undefined;
    const { outcome } = past;
    const isGivenUp = outcome === 'interrupted';
    const isWrong = outcome === 'cancelled' ? !this.isMeant(run.id) : isGivenUp ? isMarked : isHeld;
    if (isWrong) this.unmeant.push(`${run.id} is told as ${past.outcome}`);
  }
}

function isPastOf(run: ActiveRun, past: PastRun): boolean {
  return (
    past.startedAt === run.startedAt &&
    past.scheduledTime === run.scheduledTime &&
    past.holderIdentity === run.holderIdentity
  );
}
