import type { JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/**
 * Hands back a tick that was claimed and will not be started, because leadership ended between the two: the next
 * leader may then catch it up. Only its claimant may do so, after it has decided never to start it; so it is still
 * started at most once. Missed ticks before it stay accounted for. True if it is open again, or was until another
 * claimed it.
 */
export class TickReturn implements LedgerChange<boolean> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    private readonly claimed: { readonly tick: number; readonly nonce: string },
    private readonly lastScheduleTime: number | null,
  ) {
    this.beginning = claimed.nonce;
  }

  decide(record: JobRecord | undefined): Verdict<boolean> {
    const { tick, nonce } = this.claimed;
    if (record?.accountedThrough !== tick || record.claim !== nonce) {
      return { kind: 'settled', result: record?.returned.includes(nonce) === true };
    }
    return {
      kind: 'write',
      record: {
        ...record,
        accountedThrough: tick - 1,
        claim: '',
        returned: [...record.returned, nonce],
        lastScheduleTime: this.lastScheduleTime,
        active: record.active.filter(({ run }) => run !== nonce),
      },
    };
  }
}
