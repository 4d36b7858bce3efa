import { type JobRecord, NEVER_RUN } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-changes.js';

/**
 * A role may spread its jobs over several objects. The first one says where each of them is: the record of a job that
 * moves is marked there by a compare-and-set before anything is written for it elsewhere. From then on no change of it
 * is made in the first object, whoever holds an older version of it; its record is copied to its new object if that has
 * none, and the mark is cut down to what a copy must at least account for. Whoever finds a mark completes the move.
 *
 * The mark says where a job is, and no hash, so replicas with different options agree. It is never removed: a job in two
 * objects would run twice.
 */
export type RecordMark = JobRecord & { readonly movedTo: number };

export function isMark(record: JobRecord | undefined): record is RecordMark {
  return record?.movedTo !== undefined;
}

/**
 * What is left of a record where only this counts: of a mark whose record has been copied, and of a moved record that was
 * swept. No record may be missing where a mark points to, or an old mark would bring back what it once held.
 */
export function cutDown({ accountedThrough, claimNonce, returned }: JobRecord): JobRecord {
  return { ...NEVER_RUN, schedule: '', accountedThrough, claimNonce, returned };
}

export function isCutDown(record: JobRecord): boolean {
  const { schedule, active, untold, retries, fleetSwitch } = record;
  const isEmpty = active.length + untold.length + retries.length === 0 && fleetSwitch === null;
  return schedule === '' && isEmpty;
}

/** Marks the record of a job as moved; the mark of another process that was faster counts. */
export class RecordMove implements LedgerChange<RecordMark> {
  readonly isOfMark = true;

  constructor(
    readonly job: string,
    private readonly movedTo: number,
  ) {}

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<RecordMark> {
    if (isMark(record)) return { kind: 'settled', result: record };
    // A job that the fleet has not seen begins in its new object, when a leader adopts it.
    const accountedThrough = Math.max(0, accountedBefore);
    const known =
      record ?? cutDown({ ...NEVER_RUN, schedule: '', accountedThrough, claimNonce: '' });
    return { kind: 'write', record: { ...known, movedTo: this.movedTo } };
  }
}

/** Writes the record of a job to its new object, unless that has one: then it is a later state of the same record. */
export class RecordCopy implements LedgerChange<void> {
  readonly isOfMark = true;
  readonly job: string;
  private readonly record: JobRecord;

  constructor(job: string, { movedTo: _movedTo, source, ...record }: RecordMark) {
    this.job = job;
    const { format: _format, movedTo: _there, ...others } = source ?? {};
    this.record = { ...record, source: others };
  }

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    if (record !== undefined) return { kind: 'settled', result: undefined };
    const accountedThrough = Math.max(this.record.accountedThrough, accountedBefore);
    return { kind: 'write', record: { ...this.record, accountedThrough } };
  }
}

/** Cuts a mark down, once its record is known to be in its new object. */
export class MarkTrim implements LedgerChange<void> {
  readonly isOfMark = true;

  constructor(readonly job: string) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    if (!isMark(record) || isCutDown(record)) return { kind: 'settled', result: undefined };
    return { kind: 'write', record: { ...cutDown(record), movedTo: record.movedTo } };
  }
}
