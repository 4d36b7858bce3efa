import type { ActiveRun, JobRecord, PendingRetry, UntoldReport } from './job-record.js';
import { type EndedRun, lacksEnd, type LedgerChange, withEnd } from './ledger-changes.js';
import { withoutRetries, withRetryReturned } from './pending-retries.js';
import { answerOf } from './trigger-answer.js';

/** Runs and jobs beyond this are forgotten, the oldest first: a store that goes back does not go back far. */
const MOST_REMEMBERED = { runs: 1_000, jobs: 16_000 };

type Accounted = Pick<JobRecord, 'accountedThrough' | 'claimNonce'>;

/** The last attempt of a tick that is known, with the runs that have claimed it. */
interface KnownAttempt {
  readonly attempt: number;
  readonly runs: readonly string[];
}

/**
 * What this process has seen in the store, or knows about its own runs, for as long as it lives. A store may show less
 * later: an etcd that was restored, a backup that was applied, a hand edit, a stale cache. This process then trusts
 * what it has seen: it starts no tick that it knows to be accounted for, and gives up no run that it knows to have
 * ended. It cannot change what other processes do by such a record.
 */
export class LedgerMemory {
  private readonly accounted = new Map<string, Accounted>();
  private readonly ended = new Map<string, EndedRun>();
  private readonly neverStarted = new Map<string, PendingRetry | undefined>();
  /** By job and tick. */
  private readonly attempts = new Map<string, KnownAttempt>();

  /** A record that is known to be stored. */
  saw(job: string, record: JobRecord): void {
    const { accountedThrough, claimNonce, returned, active, retries } = record;
    for (const { scheduledTime, attempt = 1, id } of active) {
      if (attempt > 1) this.sawAttempt(tickName(job, scheduledTime), attempt, [id]);
    }
    for (const retry of retries) {
      this.sawAttempt(tickName(job, retry.scheduledTime), retry.attempt, retry.returned);
    }
    const known = this.accounted.get(job);
    if (known === undefined || !isOlder({ accountedThrough, returned }, known)) {
      this.accounted.delete(job);
      this.accounted.set(job, { accountedThrough, claimNonce });
      cut(this.accounted, MOST_REMEMBERED.jobs);
    }
  }

  /** A run of this process has ended; whether that is recorded does not matter. */
  runEnded(ended: EndedRun): void {
    this.ended.set(ended.run.id, ended);
    cut(this.ended, MOST_REMEMBERED.runs);
  }

  /**
   * A run that this process has given up before it began; the store may hold it nevertheless. `retry`: what it is an
   * attempt of, after the first.
   */
  runAbandoned(run: string, retry?: PendingRetry): void {
    this.neverStarted.set(run, retry);
    cut(this.neverStarted, MOST_REMEMBERED.runs);
  }

  /** Nothing is known of what became of a change, and its caller no longer waits for it. */
  gaveUp({ beginning, ending, retry }: LedgerChange<unknown>): void {
    if (beginning !== undefined) this.runAbandoned(beginning, retry);
    if (ending !== undefined) this.runEnded(ending);
  }

  /** A new record of the job accounts for every tick up to here; -Infinity if no earlier one was seen. */
  accountedBefore(job: string): number {
    return this.accounted.get(job)?.accountedThrough ?? -Infinity;
  }

  /** The record, completed by what it lacks. */
  recall(job: string, record: JobRecord): JobRecord {
    const known = this.accounted.get(job);
    let recalled = record;
    if (known !== undefined && isOlder(record, known)) {
      const { accountedThrough, claimNonce } = known;
      recalled = { ...record, accountedThrough, claimNonce, returned: [], isRecalled: true };
    }
    for (const { id } of record.active) {
      const ended = this.ended.get(id);
      if (ended !== undefined && lacksEnd(recalled, ended)) {
        recalled = { ...withEnd(recalled, ended), isRecalled: true };
      }
      const begun = recalled.active.find((run) => run.id === id);
      if (begun !== undefined && this.neverStarted.has(id)) {
        recalled = withoutBeginning(recalled, begun, this.neverStarted.get(id));
      }
    }
    return this.withoutClaimed(job, recalled);
  }

  private sawAttempt(tick: string, attempt: number, runs: readonly string[]): void {
    const known = this.attempts.get(tick);
    if (known !== undefined && known.attempt > attempt) return;
    const earlier = known?.attempt === attempt ? known.runs : [];
    this.attempts.delete(tick);
    this.attempts.set(tick, { attempt, runs: [...new Set([...earlier, ...runs])] });
    cut(this.attempts, MOST_REMEMBERED.runs);
  }

  /** An attempt that was handed back names the runs that had claimed it; one that does not is older than these claims. */
  private withoutClaimed(job: string, record: JobRecord): JobRecord {
    const retries = record.retries.filter(({ scheduledTime, attempt, returned }) => {
      const known = this.attempts.get(tickName(job, scheduledTime));
      if (known === undefined || known.attempt < attempt) return true;
      return known.attempt === attempt && known.runs.every((run) => returned.includes(run));
    });
    return retries.length === record.retries.length
      ? record
      : { ...record, retries, isRecalled: true };
  }
}

function tickName(job: string, tick: number): string {
  return `${tick} ${job}`;
}

/** A claim that was handed back leaves its nonce; a record without it is older than the claim. */
function isOlder(
  { accountedThrough, returned }: Pick<JobRecord, 'accountedThrough' | 'returned'>,
  known: Accounted,
): boolean {
  if (accountedThrough >= known.accountedThrough) return false;
  return accountedThrough !== known.accountedThrough - 1 || !returned.includes(known.claimNonce);
}

/**
 * Its tick was claimed, this was not known in time, and it no longer starts. An attempt after the first is to start again,
 * as another run, unless it was cancelled.
 */
function withoutBeginning(
  record: JobRecord,
  { id, scheduledTime, isTriggered, cancellation }: ActiveRun,
  retry: PendingRetry | undefined,
): JobRecord {
  if (retry !== undefined) {
    const open = withRetryReturned(record, retry, id);
    const known = cancellation === undefined ? open : withoutRetries(open, [retry]);
    return { ...known, isRecalled: true };
  }
  const active = record.active.filter((run) => run.id !== id);
  if (isTriggered === true) {
    const answer = answerOf(record, id, 'not-started', 'its claim could not be confirmed in time');
    return { ...record, active, ...answer, isRecalled: true };
  }
  const report: UntoldReport = {
    id: `${id}/not-started`,
    reason: 'not-started',
    times: [scheduledTime],
    isCapped: false,
  };
  return {
    ...record,
    active,
    missedCount: record.missedCount + 1,
    lastMissedTime: Math.max(scheduledTime, record.lastMissedTime ?? scheduledTime),
    untold: [...record.untold, report],
    isRecalled: true,
  };
}

function cut(remembered: Map<string, unknown>, most: number): void {
  if (remembered.size <= most) return;
  const [oldest] = remembered.keys();
  remembered.delete(oldest!);
}
