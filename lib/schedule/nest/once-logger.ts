import type { Clock } from '../../core/clock.js';
import { messageOf, stackOf } from '../../core/thrown-value.js';
import type { LogEvent, LogLines, SaidLine } from '../../election/log-entry.js';
import type { OnceRecord } from '../once/once-record.js';
import type { ElectionSource } from '../../election/election-channels.js';
import type { EndedRun, OnceObserver } from '../once/once-work.js';
import type { RunEvents, RunReport } from './run-events.js';
import { type LoggedSource, scheduleLines } from './schedule-logger.js';

/** The same failure is logged at most once in this time. */
const REPEAT_AFTER_MS = 60_000;

/** One line for each run, as they are rare; the same failure once a minute. */
export class OnceLogger implements OnceObserver {
  private readonly lines: LogLines;

  constructor(
    source: LoggedSource,
    private readonly key: string,
  ) {
    this.lines = scheduleLines(source);
  }

  onStarted(record: OnceRecord): void {
    const { attempt } = record;
    this.say(record, {
      event: 'once.started',
      level: 'log',
      text: `started (attempt ${attempt})`,
      fields: { attempt },
    });
  }

  onEnded(record: OnceRecord, { state, reason, error }: EndedRun): void {
    if (state === 'succeeded') {
      return this.say(record, { event: 'once.succeeded', level: 'log', text: 'succeeded' });
    }
    const isFailed = state === 'failed';
    const how = isFailed ? 'failed' : 'was interrupted, as leadership ended';
    this.say(record, {
      event: isFailed ? 'once.failed' : 'once.interrupted',
      level: 'error',
      text: `${how}: ${reason}`,
      stack: stackOf(error),
    });
  }

  onUnrecorded(record: OnceRecord): void {
    const text =
      'ended, and that could not be recorded: another replica has given it up as interrupted, or the application has closed';
    this.say(record, { event: 'once.unrecorded', level: 'warn', text });
  }

  onReturned(record: OnceRecord): void {
    const text = 'was handed back, as leadership or the wait for it ended before it was started';
    this.say(record, { event: 'once.handed-back', level: 'log', text });
  }

  onSuperseded({ version, state, holderIdentity, startedAt }: OnceRecord, wanted: string): void {
    const claimed = `replica ${holderIdentity} claimed version ${version} at ${new Date(startedAt).toISOString()} (${state})`;
    const text = `does not run: ${claimed}, and a version never goes back`;
    this.say({ version: wanted }, { event: 'once.superseded', level: 'warn', text });
  }

  notReady(error: unknown): void {
    const text = `this replica is not ready: ${messageOf(error)}`;
    this.lines.say({ event: 'once.not-ready', level: 'error', text, fields: { job: this.key } });
  }

  private say<E extends LogEvent>(
    { version, term }: Pick<OnceRecord, 'version'> & Partial<Pick<OnceRecord, 'term'>>,
    { text, fields, ...line }: SaidLine<E>,
  ): void {
    const { key } = this;
    const said = `work "${key}", version ${version}, ${text}`;
    this.lines.say<E>({ ...line, text: said, fields: { job: key, version, term, ...fields } });
  }
}

/** What concerns the work of a role as a whole. */
export class OnceRoleLogger {
  private readonly lines: LogLines;
  private readonly told = new Map<string, number>();

  constructor(
    source: LoggedSource,
    private readonly clock: Clock,
  ) {
    this.lines = scheduleLines(source);
  }

  competes(key: string, lease: string): void {
    const text = `work "${key}" has to run, and this replica competes for ${lease}`;
    this.lines.say({ event: 'once.competes', level: 'log', text, fields: { job: key, lease } });
  }

  /** The start of the application fails. */
  startFails(keys: readonly string[]): void {
    const works = keys.map((key) => `"${key}"`).join(', ');
    const text = `the application does not start, as work that it waits for has failed. Before it ends, what runs here has to: ${works}`;
    this.lines.say({ event: 'once.start-fails', level: 'error', text });
  }

  failed(error: Error): void {
    const message = messageOf(error);
    const now = this.clock.now();
    for (const [text, at] of this.told) if (now >= at + REPEAT_AFTER_MS) this.told.delete(text);
    if (this.told.has(message)) return;
    this.told.set(message, now);
    this.lines.say({ event: 'once.request-failed', level: 'error', text: message });
  }
}

/** Logs what becomes of the runs of a key, and makes events of it. */
export class OnceReporter extends OnceLogger {
  constructor(
    private readonly source: ElectionSource,
    private readonly events: RunEvents,
    private readonly job: string,
  ) {
    super(source, job);
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
