import type { Clock } from '../../core/clock.js';
import { type ActiveRun, fencingTokenOf, type JobRecord } from '../ledger/job-record.js';
import type { JobRun, RunWaiter } from './job-run.js';

/** The leader that reads the record. */
export interface RecordReader {
  readonly holderIdentity: string;
  readonly fencingToken: bigint;
}

/**
 * Which runs of a job count as active: those of this process, and recorded ones of others for as long as the lease of
 * their term may last. Under this leader the lease of an earlier term has expired. If another process recorded the same
 * or a later term, this contradicts the order of terms (a lease deleted or edited by hand, a restored backup); then the
 * run counts until it has been seen for a whole lease duration.
 *
 * It outlives the schedule of its job: a run that continues while the job is removed and added again still counts.
 */
export class ActiveRuns {
  private readonly own = new Map<string, JobRun>();
  private readonly firstSeen = new Map<string, number>();
  private readonly waiting = new Set<() => void>();
  private onFreed: () => void = () => {};

  constructor(
    private readonly clock: Clock,
    private readonly leaseDurationMs: number,
  ) {}

  /** Notifies the present schedule of the job, and no earlier one, when a tick may have been waiting for this. */
  follow(onFreed: () => void): void {
    this.onFreed = onFreed;
  }

  freed(): void {
    this.onFreed();
  }

  /** A run belongs to this process from before the request that records it until its end is recorded. */
  reserve(run: JobRun): void {
    this.own.set(run.record.id, run);
  }

  forget(run: JobRun): void {
    this.own.delete(run.record.id);
    for (const look of this.waiting) look();
  }

  get isEmpty(): boolean {
    return this.own.size === 0;
  }

  get running(): JobRun[] {
    return [...this.own.values()].filter(({ isRunning }) => isRunning);
  }

  /** Of this process. */
  get ids(): string[] {
    return [...this.own.keys()];
  }

  /** Those of this process among recorded runs. */
  owned(ids: readonly string[]): JobRun[] {
    return ids.flatMap((id) => this.own.get(id) ?? []);
  }

  /**
   * Resolves when the present runs of this process are forgotten. It waits neither for later ones, nor for the run that
   * calls it, nor for one that waits for that run.
   */
  idle(caller?: RunWaiter): Promise<void> {
    const awaited = [...this.own.values()].filter(({ waiter }) => !caller || !waiter.needs(caller));
    return this.idleWithin(Infinity, awaited, caller);
  }

  /** Resolves when these runs of this process are forgotten, and after so long anyway. */
  idleWithin(timeoutMs: number, runs: readonly JobRun[], caller?: RunWaiter): Promise<void> {
    const idle = this.untilForgotten(runs, timeoutMs);
    const waiters = runs.map(({ waiter }) => waiter);
    return caller === undefined ? idle : caller.during(waiters, idle);
  }

  private untilForgotten(runs: readonly JobRun[], timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const isBounded = timeoutMs < Infinity;
      const timer = isBounded ? this.clock.setTimer(() => end(), timeoutMs) : undefined;
      const end = (): void => {
        this.waiting.delete(look);
        timer?.cancel();
        resolve();
      };
      const look = (): void => {
        if (!runs.some(({ record }) => this.own.has(record.id))) end();
      };
      this.waiting.add(look);
      look();
    });
  }

  /** True if a recorded run can no longer be under way. */
  isOver(recorded: ActiveRun, reader: RecordReader): boolean {
    if (this.own.has(recorded.id)) return false;
    const token = fencingTokenOf(recorded);
    if (token === undefined || token < reader.fencingToken) return true;
    if (recorded.holderIdentity === reader.holderIdentity) return true;
    return this.clock.now() >= this.seenSince(recorded.id) + this.leaseDurationMs;
  }

  count(record: JobRecord | undefined, reader: RecordReader): number {
    const own = [...this.own.values()].filter(({ isActive }) => isActive);
    return own.length + this.ofOthers(record, reader).length;
  }

  /** Milliseconds until the first run of another process stops counting; Infinity if there is none. */
  nextExpiryMs(record: JobRecord | undefined, reader: RecordReader): number {
    const now = this.clock.now();
    const ends = this.ofOthers(record, reader).map(
      ({ id }) => this.seenSince(id) + this.leaseDurationMs - now,
    );
    return Math.min(Infinity, ...ends);
  }

  private ofOthers(record: JobRecord | undefined, reader: RecordReader): ActiveRun[] {
    const active = record?.active ?? [];
    for (const id of this.firstSeen.keys()) {
      if (!active.some((run) => run.id === id)) this.firstSeen.delete(id);
    }
    return active.filter((run) => !this.own.has(run.id) && !this.isOver(run, reader));
  }

  private seenSince(id: string): number {
    const since = this.firstSeen.get(id) ?? this.clock.now();
    this.firstSeen.set(id, since);
    return since;
  }
}
