import type { ActiveRun, JobRecord, PendingRetry, RunCancellation } from './job-record.js';
import {
  type AdoptionRequest,
  type LedgerChange,
  type Verdict,
  withGivenUp,
} from './ledger-changes.js';
import { isSameAttempt, withoutRetries } from './pending-retries.js';

export interface RunCancelRequest {
  readonly job: string;
  readonly cancellation: RunCancellation;
  /** False for a run that has begun after this was asked for. */
  readonly isCandidate: (run: string) => boolean;
  /** Of the leader, which frees what can no longer be under way; null in any other process. */
  readonly leader: Pick<AdoptionRequest, 'isOver' | 'now' | 'historyLimit'> | null;
}

export interface CancelledRuns {
  /** How many runs and attempts that were to start it has found. */
  readonly found: number;
  /** Runs that it has found, and that are still active. */
  readonly active: readonly string[];
  /** Attempts that are no longer to start. */
  readonly dropped: readonly PendingRetry[];
}

interface Found {
  readonly runs: readonly string[];
  readonly retries: readonly PendingRetry[];
}

/**
 * Marks runs as cancelled, and drops attempts that are to start; any process may. The process that runs them finds the
 * mark and ends them, or a leader that gives them up records what they were. The first mark of a run stays.
 *
 * What it is about is what it finds first, and stays the same whatever is read later: an answer that was lost must not let
 * it hit the next run. So it is submitted once the document has been read.
 */
export class RunCancel implements LedgerChange<CancelledRuns> {
  readonly job: string;
  private found: Found | undefined;
  private dropped: readonly PendingRetry[] = [];

  constructor(private readonly request: RunCancelRequest) {
    this.job = request.job;
  }

  decide(record: JobRecord | undefined): Verdict<CancelledRuns> {
    const { isCandidate, cancellation, leader } = this.request;
    const { active = [], retries = [] } = record ?? {};
    this.found ??= { runs: active.map(({ id }) => id).filter(isCandidate), retries };
    const { found } = this;
    const isMeant = (run: ActiveRun): boolean => isFound(run, found);
    const isFreed = (run: ActiveRun): boolean => isMeant(run) && leader?.isOver(run) === true;
    const dropped = retries.filter((retry) => isOneOf(found.retries, retry));
    const isMarked = active.every((run) => !isMeant(run) || run.cancellation !== undefined);
    if (record === undefined || (isMarked && dropped.length === 0 && !active.some(isFreed))) {
      return { kind: 'settled', result: this.resultOn(active.filter(isMeant)) };
    }
    this.dropped = dropped;
    const marked = active.map((run) =>
      isMeant(run) ? { ...run, cancellation: run.cancellation ?? cancellation } : run,
    );
    const cancelled = withoutRetries({ ...record, active: marked }, dropped);
    if (leader === null) return { kind: 'write', record: cancelled };
    return { kind: 'write', record: withGivenUp(cancelled, { ...leader, isOver: isFreed }) };
  }

  private resultOn(active: readonly ActiveRun[]): CancelledRuns {
    const { runs, retries } = this.found!;
    return {
      found: runs.length + retries.length,
      active: active.map(({ id }) => id),
      dropped: this.dropped.filter((retry) => !active.some((run) => isAttempt(run, retry))),
    };
  }
}

/** An attempt that was to start may have begun in the meantime. */
function isFound(run: ActiveRun, { runs, retries }: Found): boolean {
  return runs.includes(run.id) || retries.some((retry) => isAttempt(run, retry));
}

function isAttempt({ scheduledTime, attempt, isTriggered }: ActiveRun, retry: PendingRetry) {
  if (isTriggered === true) return false;
  return scheduledTime === retry.scheduledTime && attempt === retry.attempt;
}

function isOneOf(retries: readonly PendingRetry[], retry: PendingRetry): boolean {
  return retries.some((each) => isSameAttempt(each, retry));
}
