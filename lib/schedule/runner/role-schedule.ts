import type { Term } from '../../core/term.js';
import type { JsonDocument } from '../../locks/document-store.js';
import type { JobDefinition } from './job-definition.js';
import { JobRunner } from './job-runner.js';
import type { ScheduleEnvironment } from './schedule-environment.js';
import type { ScheduleLedger } from './schedule-ledger.js';

/** All jobs of one role in one process. */
export class RoleSchedule {
  private readonly runners = new Map<string, JobRunner>();
  /** Set once its document has been read. */
  private term: Term | undefined;
  private isStopped = false;

  constructor(
    private readonly ledger: ScheduleLedger,
    private readonly environment: ScheduleEnvironment,
  ) {}

  get jobs(): JobRunner[] {
    return [...this.runners.values()];
  }

  job(name: string): JobRunner | undefined {
    return this.runners.get(name);
  }

  add(definition: JobDefinition): JobRunner {
    const runner = new JobRunner(definition, this.ledger, this.environment);
    this.runners.set(definition.name, runner);
    if (this.term !== undefined && !this.isStopped) runner.begin(this.term);
    return runner;
  }

  /** Ends the schedule of a job in this process; the fleet keeps its record. */
  remove(name: string): JobRunner | undefined {
    const runner = this.runners.get(name);
    this.runners.delete(name);
    runner?.stop();
    return runner;
  }

  /** This process leads. Standbys read nothing and set no timer. */
  begin(term: Term): void {
    if (this.isStopped) return;
    this.environment.leadership.track(this.beginLoaded(term));
  }

  /** Nothing is scheduled any more. What runs goes on. */
  stop(): void {
    this.isStopped = true;
    for (const runner of this.runners.values()) runner.stop();
  }

  inspect(signal: AbortSignal): Promise<JsonDocument> {
    return this.ledger.inspect(signal);
  }

  private async beginLoaded(term: Term): Promise<void> {
    if (this.runners.size > 0 && !(await this.ledger.load(term.signal))) return;
    if (term.signal.aborted || this.isStopped) return;
    this.term = term;
    term.signal.addEventListener('abort', () => (this.term = undefined), { once: true });
    for (const runner of this.runners.values()) runner.begin(term);
  }
}
