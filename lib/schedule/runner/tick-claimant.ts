import type { Term } from '../../core/term.js';
import type { ActiveRun, JobRecord } from '../claim/job-record.js';
import type { LedgerChange } from '../claim/ledger-change.js';
import { TickClaim } from '../claim/tick-claim.js';
import type { TickDecision } from '../claim/tick-decision.js';
import { TickReturn } from '../claim/tick-return.js';
import type { ActiveRuns } from './active-runs.js';
import { missedTicks, type JobDefinition } from './job-definition.js';
import { LinkedSignal } from './linked-signal.js';
import type { Submitted } from './pending-change.js';
import type { RunKeeper } from './run-keeper.js';
import { wallMs } from '../../core/clock.js';
import type { ReturnCause, ScheduleEnvironment } from './schedule-environment.js';
import type { ScheduleLedger } from './schedule-ledger.js';

/** A tick that may still start gets at least one request. */
const SHORTEST_CLAIM_MS = 1_000;

/** What of a decision leads to a claim, with the record it was made on. */
export interface ClaimOrder {
  readonly decision: Extract<TickDecision, { kind: 'claim' | 'report' }>;
  readonly record: JobRecord;
  readonly isCapped: boolean;
}

/** Claims the ticks of one job, and starts what it has won. */
export class TickClaimant {
  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
    private readonly keeper: RunKeeper,
    /** Aborted when the job is no longer scheduled in this process. */
    private readonly stopping: AbortSignal,
    private readonly isSuspended: () => boolean,
  ) {}

  /**
   * False if the outcome is not known: then nothing is started, for nobody knows whether the claim is in the store.
   * Only another claim may start the tick, with a nonce of its own.
   */
  async claim(term: Term, order: ClaimOrder): Promise<boolean> {
    const { decision, record, isCapped } = order;
    const { name } = this.definition;
    const { tick } = decision;
    const nonce = this.environment.nonce();
    const run = decision.kind === 'claim' ? this.keeper.claimOf(term, tick, nonce) : null;
    if (run !== null) this.active.reserve(nonce);
    const claimed = await this.submit(
      this.changeOf(order, nonce, run),
      term,
      run === null ? null : tick,
    );
    if (claimed.kind === 'settled' && claimed.result.kind === 'won') {
      const missed = missedTicks(claimed.result.missed, isCapped);
      if (run === null) return true;
      const cause = this.causeNotToStart(term);
      if (cause === undefined) {
        this.keeper.start(term, run, missed);
        return true;
      }
      await this.handBack(run, record.lastScheduleTime, cause);
      return true;
    }
    this.active.forget(nonce);
    if (claimed.kind === 'settled' || run === null) return true;
    this.environment.observer.onUnresolved(name, new Date(tick));
    return false;
  }

  /** Until the deadline of the tick, the end of the term, or the end of the schedule. */
  async submit<R>(change: LedgerChange<R>, term: Term, tick: number | null): Promise<Submitted<R>> {
    const { clock, claimTimeoutMs } = this.environment;
    const { startingDeadlineMs } = this.definition;
    const limitMs =
      tick === null || startingDeadlineMs === null
        ? claimTimeoutMs
        : Math.max(SHORTEST_CLAIM_MS, tick + startingDeadlineMs - wallMs(clock));
    const linked = new LinkedSignal([this.stopping, term.signal]);
    try {
      const deadline = clock.now() + limitMs;
      return await this.ledger.submit(change, { deadline, signal: linked.signal });
    } finally {
      linked.unlink();
    }
  }

  private changeOf(
    { decision, record, isCapped }: ClaimOrder,
    nonce: string,
    run: ActiveRun | null,
  ): TickClaim {
    const { name } = this.definition;
    const { tick, missed, reason } = decision;
    const basis = record.accountedThrough;
    const request = { job: name, schedule: record.schedule, tick, nonce, run, missed };
    return new TickClaim({ ...request, basis, reason, isCapped });
  }

  /** What has come to an end since the claim was sent. */
  private causeNotToStart(term: Term): ReturnCause | undefined {
    if (this.environment.leadership.term !== term) return 'leadership ended';
    if (this.stopping.aborted) return 'its schedule ended';
    return this.isSuspended() ? 'it was suspended' : undefined;
  }

  private async handBack(
    run: ActiveRun,
    previous: number | null,
    cause: ReturnCause,
  ): Promise<void> {
    const { clock, observer, claimTimeoutMs } = this.environment;
    const { name } = this.definition;
    const claimed = { tick: run.scheduledTime, nonce: run.run };
    const returned = await this.ledger.submit(new TickReturn(name, claimed, previous), {
      deadline: clock.now() + claimTimeoutMs,
    });
    this.active.forget(run.run);
    this.active.freed();
    const isReturned = returned.kind === 'settled' && returned.result;
    observer.onReturned(name, new Date(run.scheduledTime), { isReturned, cause });
  }
}
