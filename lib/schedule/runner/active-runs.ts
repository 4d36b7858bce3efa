import type { Clock } from '../../elector/clock.js';
import type { ActiveRun, JobRecord } from '../claim/job-record.js';
import type { JobRun } from './job-run.js';

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
 */
export class ActiveRuns {
  /** Undefined: not begun, or ended and not yet recorded as such. */
  private readonly own = new Map<string, JobRun | undefined>();
  private readonly firstSeen = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    private readonly leaseDurationMs: number,
  ) {}

  /** From before its claim is sent until its end is recorded a run is this process's own affair. */
  reserve(run: string): void {
    this.own.set(run, undefined);
  }

  begin(run: JobRun): void {
    this.own.set(run.claim.run, run);
  }

  forget(run: string): void {
    this.own.delete(run);
  }

  get running(): JobRun[] {
    return [...this.own.values()].filter((run) => run !== undefined);
  }

  /** True if a recorded run cannot be under way any more. */
  isOver(recorded: ActiveRun, reader: RecordReader): boolean {
    if (this.own.has(recorded.run)) return false;
    const token = tokenOf(recorded);
    if (token === null || token < reader.fencingToken) return true;
    if (recorded.holderIdentity === reader.holderIdentity) return true;
    return this.clock.now() >= this.seenSince(recorded.run) + this.leaseDurationMs;
  }

  count(record: JobRecord | undefined, reader: RecordReader): number {
    return this.running.length + this.ofOthers(record, reader).length;
  }

  /** Milliseconds until the first run of another stops counting; Infinity if there is none. */
  nextExpiryMs(record: JobRecord | undefined, reader: RecordReader): number {
    const now = this.clock.now();
    const ends = this.ofOthers(record, reader).map(
      ({ run }) => this.seenSince(run) + this.leaseDurationMs - now,
    );
    return Math.min(Infinity, ...ends);
  }

  private ofOthers(record: JobRecord | undefined, reader: RecordReader): ActiveRun[] {
    const active = record?.active ?? [];
    for (const run of this.firstSeen.keys()) {
      if (!active.some((recorded) => recorded.run === run)) this.firstSeen.delete(run);
    }
    return active.filter((run) => !this.own.has(run.run) && !this.isOver(run, reader));
  }

  private seenSince(run: string): number {
    const since = this.firstSeen.get(run) ?? this.clock.now();
    this.firstSeen.set(run, since);
    return since;
  }
}

function tokenOf({ fencingToken }: ActiveRun): bigint | null {
  return /^\d{1,30}$/.test(fencingToken) ? BigInt(fencingToken) : null;
}
