import type { JobRecord } from './job-record.js';
import type { EndedRun } from './run-end.js';

/**
 * One change of one job's record, as a decision over whatever the record turns out to be. It is asked again after
 * every read and every write, so that the answer to "is it done?" always comes from a version that is known to be
 * stored, never from hope: a write whose outcome is unknown settles nothing.
 */
export interface LedgerChange<R> {
  readonly job: string;
  /** The run that begins with this change. If the change is not settled in time, it never will. */
  readonly beginning?: string | undefined;
  /** The run whose end this is, known to this process whatever the store says of it. */
  readonly ending?: EndedRun;
  /** `accountedBefore`: a record that begins now accounts for every tick up to there, as the job may have had one before. */
  decide(record: JobRecord | undefined, accountedBefore: number): Verdict<R>;
}

export type Verdict<R> =
  /** Nothing is left to write. */
  | { readonly kind: 'settled'; readonly result: R }
  /** This has to be stored, by a compare-and-set on the version the decision was made on. */
  | { readonly kind: 'write'; readonly record: JobRecord };
