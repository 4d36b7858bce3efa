import type { ActiveRun, JobRecord, MissedReason } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/**
 * `won`: this process, and no other, may start the tick. `taken`: another has accounted for it. `outdated`: since the
 * decision an earlier tick was handed back, or the record has gone; so it has to be made anew.
 */
export type ClaimResult =
  | { readonly kind: 'won'; readonly missed: readonly number[] }
  | { readonly kind: 'taken' }
  | { readonly kind: 'outdated' };

export interface TickClaimRequest {
  readonly job: string;
  readonly schedule: string;
  /** The nominal time, computed from the expression: replicas with skewed clocks agree on it. */
  readonly tick: number;
  /** Unique to this attempt series. Without it a claim of another would be taken for one's own. */
  readonly nonce: string;
  /** The run to begin; null to report ticks as missed, `tick` the last of them. */
  readonly run: ActiveRun | null;
  /** Ticks before `tick` (and `tick` itself without a run) that nobody ran. */
  readonly missed: readonly number[];
  /** How far ticks were accounted for when the decision was made. */
  readonly basis: number;
  readonly reason: MissedReason;
  /** True if more were missed than are listed. */
  readonly isCapped: boolean;
}

/**
 * The per-tick claim (safety-rules section 6). `accountedThrough` only grows, and the step from below the tick to the
 * tick is one compare-and-set: it happens once in the total order of writes, and only the nonce that made it starts
 * the tick. Belief in leadership plays no part.
 */
export class TickClaim implements LedgerChange<ClaimResult> {
  readonly job: string;
  private counted: readonly number[] = [];

  constructor(private readonly request: TickClaimRequest) {
    this.job = request.job;
  }

  decide(record: JobRecord | undefined): Verdict<ClaimResult> {
    const { tick, nonce, schedule, run, missed, basis, reason, isCapped } = this.request;
    // Whether the tick has been run is known by the record alone.
    if (record === undefined) return { kind: 'settled', result: { kind: 'outdated' } };
    if (record.accountedThrough >= tick) {
      const isOwn = record.accountedThrough === tick && record.claim === nonce;
      return {
        kind: 'settled',
        result: isOwn ? { kind: 'won', missed: this.counted } : { kind: 'taken' },
      };
    }
    if (record.accountedThrough < basis) {
      return { kind: 'settled', result: { kind: 'outdated' } };
    }
    // What another process has accounted for meanwhile it has also reported.
    this.counted = missed.filter((time) => time > record.accountedThrough);
    return {
      kind: 'write',
      record: {
        ...record,
        schedule,
        accountedThrough: tick,
        claim: nonce,
        missedCount: record.missedCount + this.counted.length,
        lastMissedTime: this.counted.at(-1) ?? record.lastMissedTime,
        lastScheduleTime: run === null ? record.lastScheduleTime : tick,
        active: run === null ? record.active : [...record.active, run],
        untold:
          this.counted.length === 0
            ? record.untold
            : [...record.untold, { claim: nonce, reason, times: this.counted, isCapped }],
      },
    };
  }
}
