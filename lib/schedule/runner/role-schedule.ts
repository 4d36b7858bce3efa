import { onAbort } from '../../core/abort-signal.js';
import type { Term } from '../../core/term.js';
import { wallMs } from '../../core/clock.js';
import type { JsonDocument } from '../../core/json-document.js';
import { sweepJobs, type SweptDocument } from '../ledger/job-sweep.js';
import { nextTurn, PORTION } from '../ledger/portions.js';
import type { JobLedger } from '../ledger/job-ledger.js';
import type { JobRecord } from '../ledger/job-record.js';
import type { JobDefinition, ScheduleEnvironment } from './job-definition.js';
import { JobRunner } from './job-runner.js';
import { ActiveRuns } from './active-runs.js';
import { CancelWatch } from './cancel-watch.js';
import { Job } from './job.js';
import { ToldReports } from './told-reports.js';

/** All jobs of one role in one process. */
export class RoleSchedule {
  private readonly runners = new Map<string, JobRunner>();
  private readonly active = new Map<string, ActiveRuns>();
  private readonly told = new ToldReports();
  private readonly cancelWatch: CancelWatch;
  /** Set once its document has been read. */
  private term: Term | undefined;
  private isStopped = false;

  constructor(
    private readonly ledger: JobLedger,
    private readonly environment: ScheduleEnvironment,
  ) {
    const { observer } = environment;
    this.cancelWatch = new CancelWatch(ledger, environment);
    ledger.sweepBy(
      (document, isMarked) => this.sweep(document, isMarked),
      (job) => observer.onForgotten(job),
    );
  }

  add(definition: JobDefinition): JobRunner {
    const { name } = definition;
    const { clock, leaseDurationMs } = this.environment;
    const active = this.active.get(name) ?? new ActiveRuns(clock, leaseDurationMs);
    const job = new Job(definition, active, this.ledger, this.cancelWatch, this.environment);
    const runner = new JobRunner(job, this.told);
    this.active.set(name, active);
    this.runners.set(name, runner);
    if (this.term !== undefined && !this.isStopped) runner.begin(this.term);
    return runner;
  }

  /** Ends the schedule of a job in this process; the fleet keeps its record. */
  remove(name: string): JobRunner | undefined {
    const runner = this.runners.get(name);
    this.runners.delete(name);
    runner?.stop();
    void this.active
      .get(name)
      ?.idle()
      .then(() => {
        if (!this.runners.has(name) && this.active.get(name)?.isEmpty) this.active.delete(name);
      });
    return runner;
  }

  /** This process is leader. Standbys read nothing and set no timer. */
  begin(term: Term): void {
    if (this.isStopped) return;
    const { leadership, atHome } = this.environment;
    leadership.track(atHome(() => this.beginLoaded(term)));
  }

  /** Another process has changed the records, and says so: they are read once (R27). */
  readNow(): void {
    const { leadership, atHome } = this.environment;
    const { term } = this;
    if (term === undefined || this.isStopped) return;
    leadership.track(
      atHome(async () => {
        const isRead = await this.ledger.refresh(term.signal);
        if (!isRead || this.isStopped) return;
        this.cancelWatch.look();
        for (const runner of this.runners.values()) runner.review();
      }),
    );
  }

  /** Schedules no further tick. What runs continues. */
  stop(): void {
    this.isStopped = true;
    for (const runner of this.runners.values()) runner.stop();
  }

  /** What is stored of a job. @throws LockRequestError */
  inspect(job: string, signal: AbortSignal): Promise<JobRecord | undefined> {
    return this.ledger.inspect(job, signal);
  }

  /** Only a leader decides that a job is unknown: others may be out of date. */
  private sweep(document: JsonDocument, isMarked: boolean): SweptDocument {
    const { term, runners } = this;
    if (term === undefined) return { document, forgotten: [] };
    const isKnown = (job: string): boolean => runners.has(job);
    const { clock, keptUnknownMs } = this.environment;
    const { fencingToken } = term;
    const leader = { now: wallMs(clock), fencingToken, keptUnknownMs, isKnown, isMarked };
    return sweepJobs(document, leader);
  }

  private async beginLoaded(term: Term): Promise<void> {
    if (this.runners.size > 0 && !(await this.ledger.load(term.signal))) return;
    if (term.signal.aborted || this.isStopped) return;
    this.term = term;
    this.cancelWatch.look();
    onAbort(term.signal, () => (this.term = undefined));
    for (const [index, runner] of [...this.runners.values()].entries()) {
      if (index > 0 && index % PORTION === 0) await nextTurn(this.environment.clock);
      if (term.signal.aborted || this.isStopped) return;
      runner.begin(term);
    }
  }
}
