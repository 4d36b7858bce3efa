import { Logger } from '@nestjs/common';
import type { Clock } from '../../core/clock.js';
import { messageOf, stackOf } from '../../core/thrown-value.js';
import { logSafely } from '../../election/election-logger.js';
import type { OnceRecord } from '../once/once-record.js';
import type { ElectionSource } from '../../election/election-channels.js';
import type { EndedRun, OnceObserver } from '../once/once-work.js';
import type { RunEvents, RunReport } from './run-events.js';

/** The same failure is logged at most once in this time. */
const REPEAT_AFTER_MS = 60_000;

/** One line for each run, as they are rare; the same failure once a minute. */
export class OnceLogger implements OnceObserver {
  private readonly logger = new Logger('LeaderSchedule');

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
    this.write(
      'log',
      record,
      'was handed back, as leadership or the wait for it ended before it was started',
    );
  }

  onSuperseded({ version, state, holderIdentity, startedAt }: OnceRecord, wanted: string): void {
    const claimed = `replica ${holderIdentity} claimed version ${version} at ${new Date(startedAt).toISOString()} (${state})`;
    this.line('warn', wanted, `does not run: ${claimed}, and a version never goes back`);
  }

  notReady(error: unknown): void {
    const line = `This replica is not ready: ${messageOf(error)}`;
    logSafely('LeaderSchedule', () => this.logger.error(line));
  }

  private write(
    level: 'log' | 'warn' | 'error',
    { version }: OnceRecord,
    text: string,
    stack?: string,
  ): void {
    this.line(level, version, text, stack);
  }

  private line(
    level: 'log' | 'warn' | 'error',
    version: string,
    text: string,
    stack?: string,
  ): void {
    const line = `Role "${this.role}": work "${this.key}", version ${version}, ${text}`;
    logSafely('LeaderSchedule', () =>
      stack === undefined ? this.logger[level](line) : this.logger[level](line, stack),
    );
  }
}

/** What concerns the work of a role as a whole. */
export class OnceRoleLogger {
  private readonly logger = new Logger('LeaderSchedule');
  private readonly told = new Map<string, number>();

  constructor(
    private readonly role: string,
    private readonly clock: Clock,
  ) {}

  competes(key: string, lease: string): void {
    this.write('log', `work "${key}" has to run, and this replica competes for ${lease}`);
  }

  /** The start of the application fails. */
  startFails(keys: readonly string[]): void {
    const works = keys.map((key) => `"${key}"`).join(', ');
    this.write(
      'error',
      `the application does not start, as work that it waits for has failed. Before it ends, what runs here has to: ${works}`,
    );
  }

  failed(error: Error): void {
    const message = messageOf(error);
    const now = this.clock.now();
    for (const [text, at] of this.told) if (now >= at + REPEAT_AFTER_MS) this.told.delete(text);
    if (this.told.has(message)) return;
    this.told.set(message, now);
    this.write('error', message);
  }

  private write(level: 'log' | 'error', text: string): void {
    logSafely('LeaderSchedule', () => this.logger[level](`Role "${this.role}": ${text}`));
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
