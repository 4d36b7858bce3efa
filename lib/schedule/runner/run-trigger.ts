import type { Term } from '../../core/term.js';
import type { ActiveRun } from '../claim/job-record.js';
import { RunStart } from '../claim/run-start.js';
import type { ActiveRuns } from './active-runs.js';
import { missedTicks, type JobDefinition } from './job-definition.js';
import type { JobRun } from './job-run.js';
import type { RunKeeper } from './run-keeper.js';
import { wallMs, type ScheduleEnvironment } from './schedule-environment.js';
import type { ScheduleLedger } from './schedule-ledger.js';

/**
 * What became of a run asked for by `trigger()`. `forbidden`: another run is active, or about to start.
 * `unresolved`: it was not started, as it could not be recorded, or leadership or the job has ended first.
 */
export type TriggerResult = 'succeeded' | 'failed' | 'forbidden' | 'unresolved';

/** Runs of one job that belong to no tick. */
export class RunTrigger {
  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
    private readonly keeper: RunKeeper,
    /** Aborted when the job is no longer scheduled in this process. */
    private readonly stopping: AbortSignal,
  ) {}

  async trigger(term: Term): Promise<TriggerResult> {
    if (this.definition.concurrencyPolicy === 'Replace') await this.endRunning();
    // Nothing may come between this look and the reservation.
    if (!this.isFree(term)) return 'forbidden';
    const { clock, nonce, leadership } = this.environment;
    const claim = this.keeper.claimOf(term, wallMs(clock), nonce());
    this.active.reserve(claim.run);
    const starting = this.start(term, claim);
    leadership.track(starting);
    const run = await starting;
    // A tick may have come due meanwhile: under 'Replace' it ends this run.
    this.active.freed();
    if (run === undefined) return 'unresolved';
    const { succeeded } = await run.ended;
    return succeeded ? 'succeeded' : 'failed';
  }

  private isFree(term: Term): boolean {
    const { name, concurrencyPolicy } = this.definition;
    return concurrencyPolicy === 'Allow' || this.active.count(this.ledger.known(name), term) === 0;
  }

  private async endRunning(): Promise<void> {
    const { running } = this.active;
    for (const run of running) run.replace();
    await Promise.all(running.map(({ ended }) => ended));
  }

  /** Undefined: it was not started, and is not recorded as active. */
  private async start(term: Term, claim: ActiveRun): Promise<JobRun | undefined> {
    const { clock, claimTimeoutMs, leadership } = this.environment;
    const { name, schedule } = this.definition;
    const options = { deadline: clock.now() + claimTimeoutMs, signal: term.signal };
    const stored = await this.ledger.submit(new RunStart(name, schedule.text, claim), options);
    const isStored = stored.kind === 'settled';
    if (isStored && leadership.term === term && !this.stopping.aborted) {
      return this.keeper.start(term, claim, missedTicks([], false));
    }
    if (isStored) await this.keeper.record(claim, 'not started: leadership or the job has ended');
    this.active.forget(claim.run);
    return undefined;
  }
}
