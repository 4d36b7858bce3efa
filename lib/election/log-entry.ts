import { messageOf } from '../core/thrown-value.js';

/**
 * Every event that the library logs, and its levels: `debug` for whoever looks for a fault in the library, `log` for what
 * happens as it should, `warn` for what works and needs attention, `error` for what failed. docs/operations.md says what
 * each of them means, and what to do.
 */
export const LOG_EVENTS = {
  // The election
  'election.started': ['log'],
  'election.waits-for-start': ['log'],
  'election.waits-for-hooks': ['warn'],
  'election.waits-for-init': ['warn'],
  'lock.chosen': ['log', 'warn'],
  'lock.not-closed': ['warn'],
  'leader.changed': ['log'],
  'leader.unknown': ['log'],
  'leader.of-other-application': ['warn'],
  'leadership.settling': ['log'],
  'leadership.granted': ['log'],
  'leadership.revoked': ['log', 'warn'],
  'leadership.released': ['log'],
  'leadership.asked-to-step-down': ['log'],
  'leadership.refused-to-step-down': ['warn'],
  'leadership.not-as-named': ['debug'],
  'lease.created': ['log'],
  'lease.created-again': ['warn'],
  'lease.emptied': ['warn'],
  'lease.without-holder': ['log', 'warn'],
  'lease.coordinated': ['warn'],
  'request.failed': ['error'],
  'request.recovered': ['log'],
  'work.failed': ['error'],
  'watchdog.failed': ['warn'],
  'events.failed': ['warn'],
  // Who else is there, and who should lead
  'eligibility.lost': ['log', 'warn'],
  'eligibility.restored': ['log'],
  'eligibility.overridden': ['warn'],
  'members.changed': ['log'],
  'members.unknown': ['warn'],
  'placement.failed': ['warn'],
  'container.unknown': ['warn'],
  // Gates
  'gates.listed': ['log'],
  'gates.without-timers': ['warn'],
  'gates.skipped-early': ['warn'],
  'gates.failed': ['error'],
  'gates.observer-failed': ['warn'],
  'handlers.unheard': ['error'],
  'shadow.on': ['warn'],
  'shadow.skipped': ['log'],
  'shadow.total': ['log'],
  // Scheduled work
  'job.started': ['debug'],
  'job.succeeded': ['debug'],
  'job.failed': ['error'],
  'job.rerun': ['warn'],
  'job.attempt-dropped': ['warn'],
  'job.missed': ['warn'],
  'job.skipped': ['debug'],
  'job.unresolved': ['warn'],
  'job.cancelling': ['log'],
  'job.cancelled': ['log'],
  'job.overdue': ['error'],
  'job.unrecorded': ['warn'],
  'job.handed-back': ['log'],
  'job.not-handed-back': ['warn'],
  'job.suspended': ['log'],
  'job.resumed': ['log'],
  'job.callback-failed': ['error'],
  'job.ahead': ['error'],
  'job.forgotten': ['log'],
  'schedule.request-failed': ['error'],
  // Work that runs once per version
  'once.competes': ['log'],
  'once.started': ['log'],
  'once.succeeded': ['log'],
  'once.failed': ['error'],
  'once.interrupted': ['error'],
  'once.unrecorded': ['warn'],
  'once.handed-back': ['log'],
  'once.superseded': ['warn'],
  'once.not-ready': ['error'],
  'once.start-fails': ['error'],
  'once.request-failed': ['error'],
} as const satisfies Readonly<Record<string, readonly LogLevel[]>>;

export type LogLevel = 'debug' | 'log' | 'warn' | 'error';
/** What a line says, e.g. `leadership.granted`; docs/operations.md lists them. The same in every version. */
export type LogEvent = keyof typeof LOG_EVENTS;

/** What a line is about, beside its event: strings and numbers alone, so that any logger can write them. */
export type LogFields = Readonly<Record<string, string | number | undefined>>;

/**
 * One line of the log. Where a logger writes text it reads as a sentence, and where a logger writes fields it has them:
 * `event`, `role`, `lease`, `identity`, `term`, `reason` and others as far as they apply, with the sentence as `msg`.
 *
 * It is an object for loggers that take one: the JSON logger of Nest writes it as `message`, nestjs-pino merges its fields
 * into the record, nest-winston reads `message`. All that makes text of it gets the sentence.
 */
export class LogEntry {
  /** Of {@link LOG_EVENTS}; the same in every version. */
  readonly event: LogEvent;
  /** The sentence, and what it is about in brackets. */
  readonly msg: string;
  /** Of an error that points to the code of the application. */
  declare readonly stack?: string;
  readonly [field: string]: unknown;

  constructor(event: LogEvent, msg: string, fields: LogFields) {
    this.event = event;
    this.msg = msg;
    const known = Object.entries(fields).filter(([, value]) => value !== undefined);
    Object.assign(this, Object.fromEntries(known));
  }

  /** The sentence, for loggers that look for it here. Not a field of its own. */
  get message(): string {
    return this.msg;
  }

  /** The sentence, and the stack below it if there is one. */
  toString(): string {
    return this.stack === undefined ? this.msg : `${this.msg}\n${this.stack}`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** Where the lines go. It is foreign code: what it throws becomes a warning of the process. */
export interface ElectionLog {
  /** Details, for whoever looks for a fault in the library. */
  debug(entry: LogEntry): void;
  /** What happens as it should. */
  log(entry: LogEntry): void;
  /** What works and needs attention. */
  warn(entry: LogEntry): void;
  /** What failed. */
  error(entry: LogEntry): void;
}

export interface SaidLine<E extends LogEvent> {
  readonly event: E;
  readonly level: (typeof LOG_EVENTS)[E][number];
  readonly text: string;
  readonly fields?: LogFields;
  readonly stack?: string | undefined;
}

/** Lines about one subject, which each of them has as its fields and names in brackets unless it is empty. */
export class LogLines {
  constructor(
    private readonly logger: ElectionLog,
    private readonly subject: string,
    private readonly fields: LogFields,
  ) {}

  /**
   * The application's logger is in the middle of an election or a schedule, which must not suffer from its faults. One that
   * takes only strings gets the text.
   */
  say<E extends LogEvent>({ event, level, text, fields, stack }: SaidLine<E>): void {
    const entry = new LogEntry(event, about(this.subject, text), {
      ...this.fields,
      ...fields,
      stack,
    });
    const method: LogLevel = level;
    try {
      this.logger[method](entry);
    } catch {
      try {
        this.logger[method](entry.toString() as unknown as LogEntry);
      } catch (error) {
        process.emitWarning(
          `The application's logger threw: ${messageOf(error)}`,
          'LeaderElection',
        );
      }
    }
  }
}

/**
 * An identity as `localIdentity()` makes them, `<pod or host>_<uuid>`, without most of its uuid: what is left finds the
 * whole one, which is in the fields and in the first line of that replica. Any other identity as it is.
 */
export function shortIdentity(identity: string): string {
  return identity.replace(/(_[0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, '$1');
}

/** At the end of the first line; a remedy may have several. */
function about(subject: string, text: string): string {
  if (subject === '') return text;
  const end = text.indexOf('\n');
  const first = end < 0 ? text : text.slice(0, end);
  return `${first} [${subject}]${text.slice(first.length)}`;
}
