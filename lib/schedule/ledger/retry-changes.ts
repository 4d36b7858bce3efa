import { type ActiveRun, isSuspended, type JobRecord, type PendingRetry } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-changes.js';
import {
  isSameAttempt,
  withoutRetries,
  withoutRetry,
  withRetryReturned,
} from './pending-retries.js';

/**
 * `won`: this process, and no other, may start the attempt. `taken`: another has claimed or dropped it. `outdated`: the
 * decision has to be made again, as the record has gone or the job was suspended.
 */
export type RetryClaimResult = 'won' | 'taken' | 'outdated';

/**
 * Claims an attempt after the first: one compare-and-set removes it from those that are to start and adds its run to the
 * active ones. It is won only once that run is found there, and is not won if another leader has given it up since.
 */
export class RetryClaim implements LedgerChange<RetryClaimResult> {
  readonly beginning: string;
  private claimed: PendingRetry;

  constructor(
    readonly job: string,
    wanted: PendingRetry,
    private readonly run: ActiveRun,
    /** As of a `TickClaim`. */
    private readonly isOptionSuspend: boolean,
  ) {
    this.beginning = run.id;
    this.claimed = wanted;
  }

  /**
   * The attempt as the record had it when it was claimed: with the runs that had claimed it and handed it back since this
   * process read it. An attempt that is handed back without their names is taken for an older one, and dropped.
   */
  get retry(): PendingRetry {
    return this.claimed;
  }

  decide(record: JobRecord | undefined): Verdict<RetryClaimResult> {
    const { run } = this;
    if (record === undefined) return { kind: 'settled', result: 'outdated' };
    if (record.active.some(({ id }) => id === run.id)) return { kind: 'settled', result: 'won' };
    const open = record.retries.find((each) => isSameAttempt(each, this.claimed));
    if (open === undefined) return { kind: 'settled', result: 'taken' };
    if (isSuspended(record.fleetSwitch, this.isOptionSuspend)) {
      return { kind: 'settled', result: 'outdated' };
    }
    this.claimed = open;
    const claimed = withoutRetry(record, open);
    return { kind: 'write', record: { ...claimed, active: [...record.active, run] } };
  }
}

/**
 * Hands back an attempt that was claimed and will not be started, because leadership ended between the two. Only its
 * claimant may do so, after it has decided never to start it. Too late once another leader has given the run up, and not
 * done to one that was cancelled: a leader gives that up. True if the attempt is to start again, or was until another
 * process claimed it.
 */
export class RetryReturn implements LedgerChange<boolean> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    readonly retry: PendingRetry,
    run: ActiveRun,
  ) {
    this.beginning = run.id;
  }

  decide(record: JobRecord | undefined): Verdict<boolean> {
    const { retry, beginning } = this;
    const claimed = record?.active.find(({ id }) => id === beginning);
    if (record === undefined || claimed === undefined) {
      const isReturned = record?.retries.some(({ returned }) => returned.includes(beginning));
      return { kind: 'settled', result: isReturned === true };
    }
    if (claimed.cancellation !== undefined) return { kind: 'settled', result: false };
    return { kind: 'write', record: withRetryReturned(record, retry, beginning) };
  }
}

/** Removes attempts that are no longer to start. Resolves with them; another process may have removed them first. */
export class RetryDrop implements LedgerChange<readonly PendingRetry[]> {
  private dropped: readonly PendingRetry[] = [];

  constructor(
    readonly job: string,
    private readonly isDropped: (retry: PendingRetry) => boolean,
  ) {}

  decide(record: JobRecord | undefined): Verdict<readonly PendingRetry[]> {
    const dropped = record?.retries.filter((retry) => this.isDropped(retry)) ?? [];
    if (record === undefined || dropped.length === 0) {
      return { kind: 'settled', result: this.dropped };
    }
    this.dropped = dropped;
    return { kind: 'write', record: withoutRetries(record, dropped) };
  }
}
