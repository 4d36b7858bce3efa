import type { Timer } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import type { JobRecord } from '../ledger/job-record.js';
import type { Job } from './job.js';
import type { ToldReports } from './told-reports.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Honours what the record asks the leader for, beside the schedule and also while the job is suspended. A request that
 * could not be decided, as no answer to a write came in time, is tried again until it is decided: in ever longer pauses,
 * and once it is too late only to say so.
 */
export class AskedRuns {
  private isBusy = false;
  private failed:
    { readonly id: string; readonly times: number; readonly until: number } | undefined;
  private timer: Timer | undefined;

  constructor(
    private readonly job: Job,
    /** The requests that this process has seen decided, for as long as it lives: a store may go back. */
    private readonly decided: ToldReports,
    private readonly onRetry: () => void,
  ) {}

  look(record: JobRecord | undefined, term: Term): void {
    const { job } = this;
    const { trigger } = record ?? {};
    if (trigger === undefined || this.isBusy || this.decided.has(job.name, trigger.id)) return;
    const { clock, leadership } = job.environment;
    const pauseMs = this.failed?.id === trigger.id ? this.failed.until - clock.now() : 0;
    if (pauseMs > 0) return this.lookAfter(pauseMs);
    this.isBusy = true;
    const honoured = job.honour(term, trigger).then((isDecided) => {
      this.isBusy = false;
      if (isDecided) this.decided.add(job.name, trigger.id);
      else this.rememberFailure(trigger.id);
      // Another one may have been asked for in the meantime, or another term have begun.
      this.onRetry();
    });
    leadership.track(honoured);
  }

  /** The term or the schedule has ended. */
  rest(): void {
    this.timer?.cancel();
  }

  private lookAfter(pauseMs: number): void {
    this.timer?.cancel();
    this.timer = this.job.environment.clock.setTimer(this.onRetry, pauseMs);
  }

  private rememberFailure(id: string): void {
    const times = this.failed?.id === id ? this.failed.times + 1 : 1;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (times - 1), LONGEST_PAUSE_MS);
    this.failed = { id, times, until: this.job.environment.clock.now() + pauseMs };
  }
}
