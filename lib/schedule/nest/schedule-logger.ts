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
import { logSafely } from '../../election/election-logger.js';

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

/** Times beyond this are counted, not listed. */
const MOST_LISTED = 5;

/** One line per missed tick and failure; ordinary runs at debug only. */
export class ScheduleLogger implements ScheduleObserver {
  private readonly logger = new Logger('LeaderSchedule');
  private lastError = '';

  constructor(private readonly role: string) {}

  onStarted(run: ObservedRun): void {
    this.lastError = '';
    this.write('debug', run.job, `started ${runOf(run)}`);
  }

  onEnded(run: ObservedRun, outcome: EndedOutcome): void {
    const { succeeded, error, failure, cancellation, retryAt } = outcome;
    const { job } = run;
    if (cancellation !== undefined)
      return this.write('log', job, `ended ${runOf(run)}, ${failure}`);
    if (succeeded) return this.write('debug', job, `finished ${runOf(run)}`);
    const next =
      retryAt === null ? '' : `; attempt ${run.attempt + 1} may start at ${retryAt.toISOString()}`;
    this.write('error', job, `failed in ${runOf(run)}: ${failure}${next}`, stackOf(error));
  }

  onRerun({ job, scheduledTime, attempt }: ObservedRun): void {
    const tick = tickOf(scheduledTime);
    const why = 'its leader never recorded an end of the run before';
    this.write('warn', job, `runs ${tick} again, as attempt ${attempt}: ${why}`);
  }

  onDropped(
    job: string,
    { scheduledTime, attempt }: PendingRetry,
    cause: DropCause,
    _term: Term | undefined,
  ): void {
    const tick = tickOf(new Date(scheduledTime));
    this.write('warn', job, `gave up attempt ${attempt} of ${tick}: ${WHY_DROPPED[cause]}`);
  }

  onMissed({ job, reason, count, times, isCapped }: MissedReport, _term: Term): void {
    const listed = times.slice(0, MOST_LISTED).map((time) => time.toISOString());
    const rest = count > listed.length || isCapped ? ' …' : '';
    const many = `${isCapped ? 'more than ' : ''}${count} ${count === 1 ? 'tick' : 'ticks'}`;
    const why = WHY[reason](count === 1 ? 'it' : 'them');
    this.write('warn', job, `missed ${many} (${listed.join(', ')}${rest}): ${why}`);
  }

  onSkipped(run: ObservedRun, reason: SkipReason): void {
    this.write('debug', run.job, `did not start ${runOf(run)}: ${WHY_SKIPPED[reason]}`);
  }

  onUnresolved(run: ObservedRun): void {
    const why = 'could not confirm that its claim was stored';
    this.write('warn', run.job, `did not start ${attemptOf(run)}: ${why}`);
  }

  onCancelled(run: ObservedRun, cancellation: RunCancellation): void {
    const when = new Date(cancellation.at).toISOString();
    const line = `aborts the signal of ${runOf(run)}, ${cancelledBy(cancellation)} (${when})`;
    this.write('log', run.job, line);
  }

  onOverdue(run: ObservedRun, cause: EndingCause): void {
    const ignored = `ignored its signal for ${GRACE_MS / 1_000} s in ${runOf(run)}`;
    this.write(
      'error',
      run.job,
      `${ignored}; the next run no longer waits for it (${WHY_ENDED[cause]})`,
    );
  }

  onUnrecorded(run: ObservedRun): void {
    this.write('warn', run.job, `finished ${runOf(run)}, but the result could not be recorded`);
  }

  onReturned(run: ObservedRun, { isReturned, cause }: ReturnedTick): void {
    const { job } = run;
    const tick = attemptOf(run);
    if (isReturned) {
      this.write('log', job, `handed ${tick} back: ${cause} before the run started`);
    } else {
      this.write(
        'warn',
        job,
        `claimed ${tick} and did not start it: ${cause} first, and handing it back failed`,
      );
    }
  }

  onSwitched(job: string, { isSuspended, at, by, reason }: ObservedSwitch): void {
    const what = isSuspended ? 'was suspended' : 'was resumed';
    const why = reason === '' ? '' : `: ${reason}`;
    this.write('log', job, `${what} for all replicas by ${by} at ${at.toISOString()}${why}`);
  }

  onCallbackFailed(job: string, error: unknown): void {
    this.write('error', job, `onMissed failed: ${shortReason(error)}`, stackOf(error));
  }

  onAhead(job: string, until: Date): void {
    this.write(
      'error',
      job,
      `starts nothing until ${until.toISOString()}, as its record already accounts for every tick up to then: the clock of an ` +
        'earlier leader was ahead, or the record was edited. To start sooner, check the clocks of all replicas, then delete ' +
        "the schedule's object, with which every job starts as a new one (docs/scheduling.md)",
    );
  }

  onForgotten(job: string): void {
    this.write('log', job, 'has been unknown to every leader for 30 days; its record was deleted');
  }

  /** The same failure is logged once until a request has succeeded. */
  onError({ message }: LockRequestError): void {
    if (message === this.lastError) return;
    this.lastError = message;
    logSafely('LeaderSchedule', () => this.logger.error(`Role "${this.role}": ${message}`));
  }

  private write(
    level: 'log' | 'warn' | 'debug' | 'error',
    job: string,
    text: string,
    stack?: string,
  ): void {
    const line = `Role "${this.role}": job "${job}" ${text}`;
    logSafely('LeaderSchedule', () =>
      stack === undefined ? this.logger[level](line) : this.logger[level](line, stack),
    );
  }
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
