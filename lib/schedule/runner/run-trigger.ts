import type { Term } from '../../core/term.js';
import type { ActiveRun } from '../ledger/job-record.js';
import { RunStart } from '../ledger/ledger-changes.js';
import type { ScheduleLedger } from '../ledger/schedule-ledger.js';
import { type JobDefinition, missedTicks, type ScheduleEnvironment } from './job-definition.js';
import { type JobRun, JobWaitsForItselfError, RunWaiter } from './job-run.js';
import type { RunKeeper } from './run-keeper.js';
import type { ActiveRuns } from './active-runs.js';
import { wallMs } from '../../core/clock.js';

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

  /** @throws JobWaitsForItselfError */
  async trigger(term: Term, caller?: RunWaiter): Promise<TriggerResult> {
    if (this.definition.concurrencyPolicy === 'Replace') await this.endRunning(caller);
    // Nothing may come between this look and the reservation.
    if (!this.isFree(term)) return 'forbidden';
    const { clock, nonce } = this.environment;
    const record = this.keeper.runOf(term, wallMs(clock), nonce());
    const waiter = new RunWaiter();
    this.active.reserve(record.id, waiter);
    const result = this.run(term, record);
    return caller === undefined ? result : caller.during([waiter], result);
  }

  private async run(term: Term, record: ActiveRun): Promise<TriggerResult> {
    const { leadership } = this.environment;
    const starting = this.start(term, record);
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

  private async endRunning(caller: RunWaiter | undefined): Promise<void> {
    const running = this.active.running.filter(({ isOverdue }) => !isOverdue);
    if (caller !== undefined && running.some(({ waiter }) => waiter.needs(caller))) {
      throw new JobWaitsForItselfError(this.definition.name);
    }
    this.keeper.replace(running);
    const ended = Promise.all(running.map(({ madePlace }) => madePlace));
    const waiters = running.map(({ waiter }) => waiter);
    await (caller === undefined ? ended : caller.during(waiters, ended));
  }

  /** Undefined: it was not started, and is not recorded as active. */
  private async start(term: Term, record: ActiveRun): Promise<JobRun | undefined> {
    const { clock, changeTimeoutMs, leadership } = this.environment;
    const { name, schedule } = this.definition;
    const options = { deadline: clock.now() + changeTimeoutMs, signal: term.signal };
    const stored = await this.ledger.submit(new RunStart(name, schedule.text, record), options);
    const isStored = stored.kind === 'settled';
    if (isStored && leadership.term === term && !this.stopping.aborted) {
      return this.keeper.start(term, record, missedTicks([], false));
    }
    if (isStored)
      await this.keeper.recordEnd(record, 'not started: leadership or the job has ended');
    this.active.forget(record.id);
    return undefined;
  }
}
