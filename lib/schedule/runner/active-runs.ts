import type { Clock } from '../../core/clock.js';
import { type ActiveRun, fencingTokenOf, type JobRecord } from '../ledger/job-record.js';
import type { JobRun, RunWaiter } from './job-run.js';

/** Whose eyes a record is looked at with. */
export interface RecordReader {
  readonly holderIdentity: string;
  readonly fencingToken: bigint;
}

/**
 * Which runs of a job count as active: the own ones, and recorded ones of others for as long as the lease of their
 * term may last. Under this leader an earlier term's lease has gone. A record of the same or a later term by another
 * is against the order of terms (a lease deleted or edited by hand, a restored backup); then the run counts until it
 * has been seen for a whole lease duration.
 *
 * It outlives the schedule of its job: what runs while the job is removed and added again still counts.
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

  /** Tells the job's present schedule, and no earlier one, when a tick may have been waiting for this. */
  follow(onFreed: () => void): void {
    this.onFreed = onFreed;
  }

  freed(): void {
    this.onFreed();
  }

  /** From before it is sent to be recorded until its end is, a run is this process's own affair. */
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

  /**
   * Resolves when the own runs of this moment are forgotten; later ones are not waited for, and neither is the caller,
   * if it is a run, nor one that waits for it.
   */
  idle(caller?: RunWaiter): Promise<void> {
    const awaited = [...this.own.values()].filter(({ waiter }) => !caller || !waiter.needs(caller));
    const idle = this.untilForgotten(awaited);
    const waiters = awaited.map(({ waiter }) => waiter);
    return caller === undefined ? idle : caller.during(waiters, idle);
  }

  private untilForgotten(runs: readonly JobRun[]): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (runs.some(({ record }) => this.own.has(record.id))) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }

  /** True if a recorded run cannot be under way any more. */
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

  /** Milliseconds until the first run of another stops counting; Infinity if there is none. */
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
