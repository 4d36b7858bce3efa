import type { Term } from '../../core/term.js';
import type { ActiveRun } from '../claim/job-record.js';
import { RunEnd } from '../claim/run-end.js';
import type { ActiveRuns } from './active-runs.js';
import type { JobDefinition, MissedReport, MissedTicks } from './job-definition.js';
import { JobRun } from './job-run.js';
import { wallMs } from '../../core/clock.js';
import type { ScheduleEnvironment } from './schedule-environment.js';
import type { ScheduleLedger } from './schedule-ledger.js';

/** Starts runs that have been claimed, and records how they end. */
export class RunKeeper {
  constructor(
    private readonly definition: JobDefinition,
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
    private readonly active: ActiveRuns,
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
    const waiter = this.active.waiterOf(claim.run);
    const run = new JobRun(this.definition, claim, term, missed, clock, waiter);
    this.active.begin(run);
    run.start();
    leadership.track(this.untilRecorded(run));
    return run;
  }

  /** Asks what runs to make place. */
  replace(runs: readonly JobRun[]): void {
    const { observer } = this.environment;
    for (const run of runs) {
      run.replace(() => {
        observer.onOverdue(this.definition.name, new Date(run.claim.scheduledTime));
        this.active.freed();
      });
    }
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

  /** Null: it succeeded. False if that could not be stored. */
  async record(claim: ActiveRun, failure: string | null, endedAt?: number): Promise<boolean> {
    const { clock, claimTimeoutMs } = this.environment;
    const { run, scheduledTime } = claim;
    const ended = { run, scheduledTime, endedAt: endedAt ?? wallMs(clock), failure };
    const end = new RunEnd(this.definition.name, ended);
    const recorded = await this.ledger.submit(end, { deadline: clock.now() + claimTimeoutMs });
    return recorded.kind === 'settled';
  }

  private async untilRecorded(run: JobRun): Promise<void> {
    const { observer } = this.environment;
    const { name } = this.definition;
    const { claim } = run;
    const outcome = await run.ended;
    const scheduledTime = new Date(claim.scheduledTime);
    this.active.end(run);
    const recording = this.record(claim, outcome.failure, outcome.endedAt);
    observer.onEnded(name, scheduledTime, outcome);
    // The next tick may be claimed in the same write.
    this.active.freed();
    const isRecorded = await recording;
    this.active.forget(claim.run);
    if (!isRecorded) observer.onUnrecorded(name, scheduledTime);
  }
}
