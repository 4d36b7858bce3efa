import type { ActiveRun, JobRecord, UntoldReport } from './job-record.js';
import { type EndedRun, lacksEnd, withEnd } from './ledger-changes.js';

/** Runs and jobs beyond this are forgotten, the oldest first: a store that goes back does not go back far. */
const MOST_REMEMBERED = 1_000;

type Accounted = Pick<JobRecord, 'accountedThrough' | 'claimNonce'>;

/**
 * What this process has seen in the store, or knows about its own runs, for as long as it lives. A store may show less
 * later: an etcd that was restored, a backup that was applied, a hand edit, a stale cache. This process then trusts
 * what it has seen: it starts no tick that it knows to be accounted for, and gives up no run that it knows to have
 * ended. It cannot change what other processes do by such a record.
 */
export class LedgerMemory {
  private readonly accounted = new Map<string, Accounted>();
  private readonly ended = new Map<string, EndedRun>();
  private readonly neverStarted = new Set<string>();

  /** A record that is known to be stored. */
  saw(job: string, { accountedThrough, claimNonce, returned }: JobRecord): void {
    const known = this.accounted.get(job);
    if (known === undefined || !isOlder({ accountedThrough, returned }, known)) {
      this.accounted.delete(job);
      this.accounted.set(job, { accountedThrough, claimNonce });
      cut(this.accounted);
    }
  }

  /** A run of this process has ended; whether that is recorded does not matter. */
  runEnded(ended: EndedRun): void {
    this.ended.set(ended.run.id, ended);
    cut(this.ended);
  }

  /** A run that this process has given up before it began; the store may hold it nevertheless. */
  runAbandoned(run: string): void {
    this.neverStarted.add(run);
    cut(this.neverStarted);
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
        recalled = withoutBeginning(recalled, begun);
      }
    }
    return recalled;
  }
}

/** A claim that was handed back leaves its nonce; a record without it is older than the claim. */
function isOlder(
  { accountedThrough, returned }: Pick<JobRecord, 'accountedThrough' | 'returned'>,
  known: Accounted,
): boolean {
  if (accountedThrough >= known.accountedThrough) return false;
  return accountedThrough !== known.accountedThrough - 1 || !returned.includes(known.claimNonce);
}

/** Its tick was claimed, this was not known in time, and it no longer starts. */
function withoutBeginning(
  record: JobRecord,
  { id, scheduledTime, isTriggered }: ActiveRun,
): JobRecord {
  const active = record.active.filter((run) => run.id !== id);
  if (isTriggered === true) return { ...record, active, isRecalled: true };
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

function cut(remembered: Map<string, unknown> | Set<string>): void {
  if (remembered.size <= MOST_REMEMBERED) return;
  const [oldest] = remembered.keys();
  remembered.delete(oldest!);
}
