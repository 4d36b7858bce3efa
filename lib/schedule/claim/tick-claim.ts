import type { ActiveRun, JobRecord, MissedReason } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/**
 * `won`: this process, and no other, may start the tick. `taken`: another has accounted for it. `outdated`: the
 * decision has to be made again, since an earlier tick was handed back, the record has gone, or another has accounted
 * for some of the missed ticks, and the list of these is not complete.
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
 * The per-tick claim (docs/scheduling.md). `accountedThrough` only grows, and the step from below the tick to the
 * tick is one compare-and-set: it happens once in the total order of writes, and only the nonce that made it starts
 * the tick. Belief in leadership plays no part.
 *
 * What the record says is the store's and, where a version went back, what this process has seen of later ones: both
 * only forbid ticks, and neither lets one start that no compare-and-set of this nonce has won.
 */
export class TickClaim implements LedgerChange<ClaimResult> {
  readonly job: string;
  readonly beginning: string | undefined;
  private counted: readonly number[] = [];

  constructor(private readonly request: TickClaimRequest) {
    this.job = request.job;
    this.beginning = request.run?.run;
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
    const isCutShort = isCapped && record.accountedThrough > basis;
    if (record.accountedThrough < basis || isCutShort) {
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
        returned: tick === record.accountedThrough + 1 ? record.returned : [],
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
