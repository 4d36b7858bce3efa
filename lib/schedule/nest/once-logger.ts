import { Logger } from '@nestjs/common';
import { messageOf, stackOf } from '../../core/thrown-value.js';
import { logSafely } from '../../election/election-logger.js';
import type { OnceRecord } from '../once/once-record.js';
import type { ElectionSource } from '../../election/election-channels.js';
import type { EndedRun, OnceObserver } from '../once/once-work.js';
import type { RunEvents, RunReport } from './run-events.js';

/** One line for each run, as they are rare; the same failure once until something else is logged. */
export class OnceLogger implements OnceObserver {
  private readonly logger = new Logger('LeaderSchedule');
  private lastError = '';

  constructor(
    private readonly role: string,
    private readonly key = '',
  ) {}

  onStarted(record: OnceRecord): void {
    this.write('log', record, `started (attempt ${record.attempt})`);
  }

  onEnded(record: OnceRecord, { state, reason, error }: EndedRun): void {
    if (state === 'succeeded') return this.write('log', record, 'succeeded');
    const how = state === 'failed' ? 'failed' : 'was interrupted, as leadership ended';
    this.write('error', record, `${how}: ${reason}`, stackOf(error));
  }

  onUnrecorded(record: OnceRecord): void {
    this.write(
      'warn',
      record,
      'ended, and that could not be recorded: another replica has given it up as interrupted, or the application has closed',
    );
  }

  onReturned(record: OnceRecord): void {
    this.write('log', record, 'was handed back: leadership ended before it was started');
  }

  notReady(error: unknown): void {
    const line = `This replica is not ready: ${messageOf(error)}`;
    logSafely('LeaderSchedule', () => this.logger.error(line));
  }

  failed(error: Error): void {
    const message = messageOf(error);
    if (message === this.lastError) return;
    this.lastError = message;
    logSafely('LeaderSchedule', () => this.logger.error(`Role "${this.role}": ${message}`));
  }

  private write(
    level: 'log' | 'warn' | 'error',
    { version }: OnceRecord,
    text: string,
    stack?: string,
  ): void {
    const line = `Role "${this.role}": work "${this.key}", version ${version}, ${text}`;
    logSafely('LeaderSchedule', () =>
      stack === undefined ? this.logger[level](line) : this.logger[level](line, stack),
    );
  }
}

/** Logs what becomes of the runs of a key, and makes events of it. */
export class OnceReporter extends OnceLogger {
  constructor(
    private readonly source: ElectionSource,
    private readonly events: RunEvents,
    private readonly job: string,
  ) {
    super(source.role, job);
  }

  override onStarted(record: OnceRecord): void {
    super.onStarted(record);
    this.tell(record, { kind: 'started' });
  }

  override onEnded(record: OnceRecord, ended: EndedRun): void {
    super.onEnded(record, ended);
    const { state, reason, durationMs } = ended;
    const kind = state === 'succeeded' ? state : 'failed';
    this.tell(record, { kind, durationMs, ...(reason !== null && { reason }) });
  }

  override onReturned(record: OnceRecord): void {
    super.onReturned(record);
    this.tell(record, { kind: 'skipped', reason: 'returned', attempt: 0 });
  }

  private tell(
    { version, attempt, term, startedAt }: OnceRecord,
    report: Pick<RunReport, 'kind'> & Partial<RunReport>,
  ): void {
    const { job } = this;
    const scheduledTime = new Date(startedAt);
    this.events.tell(this.source, () => ({
      job,
      version,
      scheduledTime,
      attempt,
      term,
      ...report,
    }));
  }
}
