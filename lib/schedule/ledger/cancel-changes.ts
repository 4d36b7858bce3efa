import type { JobRecord, RunCancellation } from './job-record.js';
import {
  type AdoptionRequest,
  type LedgerChange,
  type Verdict,
  withGivenUp,
} from './ledger-changes.js';

export interface RunCancelRequest {
  readonly job: string;
  /**
   * The runs that it is about, as one read of the store has shown them. They stay the same whatever is read later: an
   * answer that was lost must not let the mark of one run hit the next.
   */
  readonly runs: readonly string[];
  readonly cancellation: RunCancellation;
  /** Of the leader, which frees what can no longer be under way; null in any other process. */
  readonly leader: Pick<AdoptionRequest, 'isOver' | 'now' | 'historyLimit'> | null;
}

/**
 * Marks runs as cancelled; any process may. The one that runs them finds the mark and ends them, or a leader that gives
 * them up records what they were. The first mark of a run stays.
 */
export class RunCancel implements LedgerChange<void> {
  readonly job: string;

  constructor(private readonly request: RunCancelRequest) {
    this.job = request.job;
  }

  decide(record: JobRecord | undefined): Verdict<void> {
    const { runs, cancellation, leader } = this.request;
    const isMeant = (id: string): boolean => runs.includes(id);
    const isDone = record?.active.every(
      (run) => !isMeant(run.id) || (run.cancellation !== undefined && leader?.isOver(run) !== true),
    );
    if (record === undefined || isDone === true) return { kind: 'settled', result: undefined };
    const active = record.active.map((run) =>
      isMeant(run.id) ? { ...run, cancellation: run.cancellation ?? cancellation } : run,
    );
    const marked = { ...record, active };
    if (leader === null) return { kind: 'write', record: marked };
    const isOver: typeof leader.isOver = (run) => isMeant(run.id) && leader.isOver(run);
    return { kind: 'write', record: withGivenUp(marked, { ...leader, isOver }) };
  }
}
