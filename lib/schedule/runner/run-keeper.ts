import type { Term } from '../../core/term.js';
import type { ActiveRun } from '../claim/job-record.js';
import { RunEnd } from '../claim/run-end.js';
import { RunStart } from '../claim/run-start.js';
import type { ActiveRuns } from './active-runs.js';
import {
  missedTicks,
  type JobDefinition,
  type MissedReport,
  type MissedTicks,
} from './job-definition.js';
import { JobRun } from './job-run.js';
import { wallMs, type ScheduleEnvironment } from './schedule-environment.js';
import type { ScheduleLedger } from './schedule-ledger.js';

/**
 * What became of a run asked for by `trigger()`. `forbidden`: another run is active. `unresolved`: it could not be
 * recorded, so it was not started.
 */
export type TriggerResult = 'succeeded' | 'failed' | 'forbidden' | 'unresolved';

/** Starts runs that have been claimed, and records how they end. */
export class RunKeeper {
  private readonly ending = new Set<Promise<unknown>>();

  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
    private readonly onEnded: () => void,
  ) {}

  claimOf(term: Term, scheduledTime: number, nonce: string): ActiveRun {
    return {
      run: nonce,
      scheduledTime,
      startedAt: wallMs(this.environment.clock),
      term: term.number,
      fencingToken: String(term.fencingToken),
      holderIdentity: term.holderIdentity,
    };
  }

  /** The lease is not released before the run has ended and its end is recorded. */
  start(term: Term, claim: ActiveRun, missed: MissedTicks): JobRun {
    const { clock, leadership, observer } = this.environment;
    observer.onStarted(this.definition.name, new Date(claim.scheduledTime));
    const run = new JobRun(this.definition, claim, term, missed, clock);
    this.active.begin(run);
    const recorded = this.untilRecorded(run);
    this.ending.add(recorded);
    leadership.track(recorded.finally(() => this.ending.delete(recorded)));
    return run;
  }

  async trigger(term: Term): Promise<TriggerResult> {
    const { clock, claimTimeoutMs, nonce, leadership } = this.environment;
    const { name, concurrencyPolicy } = this.definition;
    if (concurrencyPolicy !== 'Allow' && this.active.count(this.ledger.known(name), term) > 0) {
      if (concurrencyPolicy === 'Forbid') return 'forbidden';
      const running = this.active.running;
      for (const run of running) run.replace();
      await Promise.all(running.map(({ ended }) => ended));
    }
    const claim = this.claimOf(term, wallMs(clock), nonce());
    this.active.reserve(claim.run);
    const options = { deadline: clock.now() + claimTimeoutMs, signal: term.signal };
    const started = await this.ledger.submit(new RunStart(name, claim), options);
    if (started.kind !== 'settled' || !started.result || leadership.term !== term) {
      this.active.forget(claim.run);
      return 'unresolved';
    }
    const { succeeded } = await this.start(term, claim, missedTicks([], false)).ended;
    return succeeded ? 'succeeded' : 'failed';
  }

  async idle(): Promise<void> {
    while (this.ending.size > 0) await Promise.all(this.ending);
  }

  report(report: MissedReport): void {
    const { observer, leadership } = this.environment;
    const { name, onMissed } = this.definition;
    observer.onMissed(report);
    if (onMissed === null) return;
    const told = (async () => onMissed(report))().catch((error: unknown) =>
      observer.onCallbackFailed(name, error),
    );
    leadership.track(told);
  }

  private async untilRecorded(run: JobRun): Promise<void> {
    const { clock, observer, claimTimeoutMs } = this.environment;
    const { name } = this.definition;
    const { scheduledTime } = run.claim;
    const outcome = await run.ended;
    observer.onEnded(name, new Date(scheduledTime), outcome);
    this.active.reserve(run.claim.run);
    const { failure, endedAt } = outcome;
    const end = new RunEnd(name, { run: run.claim.run, scheduledTime, endedAt, failure });
    const recording = this.ledger.submit(end, { deadline: clock.now() + claimTimeoutMs });
    // The next tick may be claimed in the same write.
    this.onEnded();
    const recorded = await recording;
    this.active.forget(run.claim.run);
    if (recorded.kind === 'unresolved') observer.onUnrecorded(name, new Date(scheduledTime));
  }
}
