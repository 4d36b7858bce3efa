import type { Timer } from '../../core/clock.js';
import type { JobLedger } from '../ledger/job-ledger.js';
import type { ScheduleEnvironment } from './job-definition.js';
import { type JobRun, LinkedSignal } from './job-run.js';

interface WatchedRun {
  /** On the clock's `now()`. */
  readonly since: number;
  /** Ends the run if the record, as last read or written, says that it was cancelled. */
  readonly look: () => void;
}

/**
 * Hears that another process has cancelled a run of this one, which only the store tells. While any run takes longer
 * than the lease lasts the document is read once per lease duration, for all jobs of the role together; shorter runs cost
 * no request.
 */
export class CancelWatch {
  private readonly runs = new Map<JobRun, WatchedRun>();
  private readAt = -Infinity;
  private timer: Timer | undefined;
  private reading: AbortController | undefined;

  constructor(
    private readonly ledger: JobLedger,
    private readonly environment: ScheduleEnvironment,
  ) {}

  follow(run: JobRun, look: () => void): void {
    this.runs.set(run, { since: this.environment.clock.now(), look });
    void run.ended.then(() => this.leave(run));
    // It may have been cancelled between its claim and the answer to that.
    look();
    this.arm();
  }

  /** The document was read for another reason. */
  look(): void {
    this.readAt = this.environment.clock.now();
    for (const { look } of this.runs.values()) look();
  }

  private leave(run: JobRun): void {
    this.runs.delete(run);
    if (this.runs.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
    this.reading?.abort();
  }

  private get dueAt(): number {
    const [oldest] = this.runs.values();
    if (oldest === undefined) return Infinity;
    return Math.max(oldest.since, this.readAt) + this.environment.leaseDurationMs;
  }

  private arm(): void {
    const { dueAt } = this;
    if (this.timer !== undefined || this.reading !== undefined || dueAt === Infinity) return;
    const { clock } = this.environment;
    this.timer = clock.setTimer(() => {
      this.timer = undefined;
      if (clock.now() < this.dueAt) this.arm();
      else void this.read();
    }, dueAt - clock.now());
  }

  /** What outlives its term has been told to end. */
  private async read(): Promise<void> {
    const { clock, leadership } = this.environment;
    const { term } = leadership;
    this.readAt = clock.now();
    if (term !== undefined) {
      this.reading = new AbortController();
      const linked = new LinkedSignal([this.reading.signal, term.signal]);
      const isRead = await this.ledger.refresh(linked.signal);
      linked.unlink();
      this.reading = undefined;
      if (isRead) this.look();
    }
    this.arm();
  }
}
