import type { JobRecord } from './job-record.js';
import type { SweptDocument } from './job-sweep.js';
import type { LedgerChange } from './ledger-changes.js';
import type { JsonDocument } from '../../core/json-document.js';
import type { SubmitOptions, Submitted } from './pending-changes.js';

/** `isMarked`: the records of the document are where they are because marks of another one point to them. */
export type Sweep = (document: JsonDocument, isMarked: boolean) => SweptDocument;

/** What the jobs of a role use of what the fleet has recorded, in however many objects it is. */
export interface JobLedger {
  /** The record as last read or written; undefined if there is none, if it is unknown, or if it cannot be read. */
  known(job: string): JobRecord | undefined;
  /** Changes the record of a job. */
  submit<R>(change: LedgerChange<R>, options: SubmitOptions): Promise<Submitted<R>>;
  /** Reads what is needed to begin a term, repeating until it succeeds; false if the signal is aborted before. */
  load(signal: AbortSignal): Promise<boolean>;
  /** Reads what others may have recorded in the meantime, of one job or of all; false as with `load`. */
  refresh(signal: AbortSignal, job?: string): Promise<boolean>;
  /** Tidies each document whenever it is written anyway. */
  sweepBy(sweep: Sweep, onForgotten: (job: string) => void): void;
  /** The record as it is stored now, for people. @throws LockRequestError */
  inspect(job: string, signal: AbortSignal): Promise<JobRecord | undefined>;
}
