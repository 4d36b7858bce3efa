import { Logger } from '@nestjs/common';
import type { LockRequestError } from '../../core/errors.js';
import {
  cancelledBy,
  type PendingRetry,
  type RunCancellation,
  shortReason,
} from '../ledger/job-record.js';
import type { Term } from '../../core/term.js';
import type {
  DropCause,
  EndedOutcome,
  EndingCause,
  MissedReport,
  ObservedRun,
  ObservedSwitch,
  ReturnedTick,
  ScheduleObserver,
  SkipReason,
} from '../runner/job-definition.js';
import { GRACE_MS } from '../runner/job-run.js';
import { stackOf } from '../../core/thrown-value.js';
import type { ElectionSource } from '../../election/election-channels.js';
import {
  type LogEvent,
  type LogFields,
  LogLines,
  type SaidLine,
} from '../../election/log-entry.js';

const WHY: Readonly<Record<MissedReport['reason'], (it: string) => string>> = {
  'not-started': (it) => `no leader started ${it} in time`,
  forbidden: () => "the previous run had not ended (concurrencyPolicy 'Forbid')",
  interrupted: (it) =>
    `a leader claimed ${it} and never recorded an end; the work may be done in full, in part or not at all`,
};

const WHY_SKIPPED: Readonly<Record<SkipReason, string>> = {
  taken: 'another replica has accounted for its tick',
  forbidden: "it was triggered while another run was active (concurrencyPolicy 'Forbid')",
  unresolved: 'it was triggered, and could not be recorded',
};

const WHY_ENDED: Readonly<Record<EndingCause, string>> = {
  replaced: "concurrencyPolicy 'Replace'",
  cancelled: 'it was cancelled',
};

const WHY_DROPPED: Readonly<Record<DropCause, string>> = {
  'too-late': 'no leader started it within startingDeadlineSeconds',
  cancelled: 'it was cancelled',
  replaced: "the next tick takes its place (concurrencyPolicy 'Replace')",
};

export type LoggedSource = Pick<ElectionSource, 'role' | 'lock' | 'holderIdentity'>;

/** Times beyond this are counted, not listed. */
const MOST_LISTED = 5;

/** One line per missed tick and failure; ordinary runs at debug only. */
export class ScheduleLogger implements ScheduleObserver {
  private readonly lines: LogLines;
  private lastError = '';

  constructor(source: LoggedSource) {
    this.lines = scheduleLines(source);
  }

  onStarted(run: ObservedRun): void {
    this.lastError = '';
    this.say(run.job, {
      event: 'job.started',
      level: 'debug',
      text: `started ${runOf(run)}`,
      fields: fieldsOf(run),
    });
  }

  onEnded(run: ObservedRun, outcome: EndedOutcome): void {
    const { succeeded, error, failure, cancellation, retryAt } = outcome;
    const { job } = run;
    const fields = fieldsOf(run);
    if (cancellation !== undefined)
      return this.say(job, {
        event: 'job.cancelled',
        level: 'log',
        text: `ended ${runOf(run)}, ${failure}`,
        fields,
      });
    if (succeeded)
      return this.say(job, {
        event: 'job.succeeded',
        level: 'debug',
        text: `finished ${runOf(run)}`,
        fields,
      });
    const next =
      retryAt === null ? '' : `; attempt ${run.attempt + 1} may start at ${retryAt.toISOString()}`;
    this.say(job, {
      event: 'job.failed',
      level: 'error',
      text: `failed in ${runOf(run)}: ${failure}${next}`,
      fields,
      stack: stackOf(error),
    });
  }

  onRerun(run: ObservedRun): void {
    const { job, scheduledTime, attempt } = run;
    const tick = tickOf(scheduledTime);
    const why = 'its leader never recorded an end of the run before';
    this.say(job, {
      event: 'job.rerun',
      level: 'warn',
      text: `runs ${tick} again, as attempt ${attempt}: ${why}`,
      fields: fieldsOf(run),
    });
  }

  onDropped(job: string, retry: PendingRetry, cause: DropCause, term: Term | undefined): void {
    const { attempt } = retry;
    const scheduledTime = new Date(retry.scheduledTime);
    this.say(job, {
      event: 'job.attempt-dropped',
      level: 'warn',
      text: `gave up attempt ${attempt} of ${tickOf(scheduledTime)}: ${WHY_DROPPED[cause]}`,
      fields: { ...fieldsOf({ scheduledTime, attempt, term }), reason: cause },
    });
  }

  onMissed({ job, reason, count, times, isCapped }: MissedReport, term: Term): void {
    const listed = times.slice(0, MOST_LISTED).map((time) => time.toISOString());
    const rest = count > listed.length || isCapped ? ' …' : '';
    const many = `${isCapped ? 'more than ' : ''}${count} ${count === 1 ? 'tick' : 'ticks'}`;
    const why = WHY[reason](count === 1 ? 'it' : 'them');
    this.say(job, {
      event: 'job.missed',
      level: 'warn',
      text: `missed ${many} (${listed.join(', ')}${rest}): ${why}`,
      fields: { term: term.number, reason, count },
    });
  }

  onSkipped(run: ObservedRun, reason: SkipReason): void {
    this.say(run.job, {
      event: 'job.skipped',
      level: 'debug',
      text: `did not start ${runOf(run)}: ${WHY_SKIPPED[reason]}`,
      fields: { ...fieldsOf(run), reason },
    });
  }

  onUnresolved(run: ObservedRun): void {
    const why = 'could not confirm that its claim was stored';
    this.say(run.job, {
      event: 'job.unresolved',
      level: 'warn',
      text: `did not start ${attemptOf(run)}: ${why}`,
      fields: fieldsOf(run),
    });
  }

  onCancelled(run: ObservedRun, cancellation: RunCancellation): void {
    const when = new Date(cancellation.at).toISOString();
    const text = `aborts the signal of ${runOf(run)}, ${cancelledBy(cancellation)} (${when})`;
    this.say(run.job, { event: 'job.cancelling', level: 'log', text, fields: fieldsOf(run) });
  }

  onOverdue(run: ObservedRun, cause: EndingCause): void {
    const ignored = `ignored its signal for ${GRACE_MS / 1_000} s in ${runOf(run)}`;
    const text = `${ignored}; the next run no longer waits for it (${WHY_ENDED[cause]})`;
    this.say(run.job, {
      event: 'job.overdue',
      level: 'error',
      text,
      fields: { ...fieldsOf(run), reason: cause },
    });
  }

  onUnrecorded(run: ObservedRun): void {
    const text = `finished ${runOf(run)}, but the result could not be recorded`;
    this.say(run.job, { event: 'job.unrecorded', level: 'warn', text, fields: fieldsOf(run) });
  }

  onReturned(run: ObservedRun, { isReturned, cause }: ReturnedTick): void {
    const { job } = run;
    const tick = attemptOf(run);
    const text = isReturned
      ? `handed ${tick} back: ${cause} before the run started`
      : `claimed ${tick} and did not start it: ${cause} first, and handing it back failed`;
    const line = { text, fields: { ...fieldsOf(run), reason: cause } };
    if (isReturned) this.say(job, { event: 'job.handed-back', level: 'log', ...line });
    else this.say(job, { event: 'job.not-handed-back', level: 'warn', ...line });
  }

  onSwitched(job: string, { isSuspended, at, by, reason }: ObservedSwitch): void {
    const what = isSuspended ? 'was suspended' : 'was resumed';
    const why = reason === '' ? '' : `: ${reason}`;
    const event = isSuspended ? 'job.suspended' : 'job.resumed';
    const text = `${what} for all replicas by ${by} at ${at.toISOString()}${why}`;
    this.say(job, {
      event,
      level: 'log',
      text,
      fields: { by, reason: reason === '' ? undefined : reason },
    });
  }

  onCallbackFailed(job: string, error: unknown): void {
    const text = `onMissed failed: ${shortReason(error)}`;
    this.say(job, { event: 'job.callback-failed', level: 'error', text, stack: stackOf(error) });
  }

  onAhead(job: string, until: Date): void {
    const text =
      `starts nothing until ${until.toISOString()}, as its record already accounts for every tick up to then: the clock of an ` +
      'earlier leader was ahead, or the record was edited. To start sooner, check the clocks of all replicas, then delete ' +
      "the schedule's object, with which every job starts as a new one (docs/scheduling.md)";
    this.say(job, { event: 'job.ahead', level: 'error', text });
  }

  onForgotten(job: string): void {
    const text = 'has been unknown to every leader for 30 days; its record was deleted';
    this.say(job, { event: 'job.forgotten', level: 'log', text });
  }

  /** The same failure is logged once until a request has succeeded. */
  onError({ message }: LockRequestError): void {
    if (message === this.lastError) return;
    this.lastError = message;
    this.lines.say({ event: 'schedule.request-failed', level: 'error', text: message });
  }

  private say<E extends LogEvent>(job: string, { text, fields, ...line }: SaidLine<E>): void {
    this.lines.say<E>({ ...line, text: `job "${job}" ${text}`, fields: { job, ...fields } });
  }
}

/** @internal Whose schedule the lines are about. */
export function scheduleLines({ role, lock, holderIdentity }: LoggedSource): LogLines {
  const fields = { role, lease: lock, identity: holderIdentity };
  return new LogLines(new Logger('LeaderSchedule'), role, fields);
}

interface LoggedRun extends Pick<ObservedRun, 'scheduledTime' | 'attempt'> {
  readonly term: Term | undefined;
}

function fieldsOf({ scheduledTime, attempt, term }: LoggedRun): LogFields {
  return { scheduledTime: scheduledTime.toISOString(), attempt, term: term?.number };
}

function tickOf(scheduledTime: Date): string {
  return `the tick due at ${scheduledTime.toISOString()}`;
}

function attemptOf({ scheduledTime, attempt }: ObservedRun): string {
  const tick = tickOf(scheduledTime);
  return attempt > 1 ? `attempt ${attempt} of ${tick}` : tick;
}

/** Of a tick, or triggered: then at no tick. */
function runOf({ scheduledTime, attempt }: ObservedRun): string {
  const run = `the run of ${scheduledTime.toISOString()}`;
  return attempt > 1 ? `attempt ${attempt} of ${run}` : run;
}
