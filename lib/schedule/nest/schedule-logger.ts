import { Logger } from '@nestjs/common';
import type { LockRequestError } from '../../core/errors.js';
import { cancelledBy, type RunCancellation, shortReason } from '../ledger/job-record.js';
import type { Term } from '../../core/term.js';
import type {
  EndingCause,
  MissedReport,
  ObservedRun,
  ObservedSwitch,
  ReturnedTick,
  RunOutcome,
  ScheduleObserver,
  SkipReason,
} from '../runner/job-definition.js';
import { GRACE_MS } from '../runner/job-run.js';
import { stackOf } from '../../core/thrown-value.js';
import { logSafely } from '../../nest/election-logger.js';

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

/** Times beyond this are counted, not listed. */
const MOST_LISTED = 5;

/** One line per missed tick and failure; ordinary runs at debug only. */
export class ScheduleLogger implements ScheduleObserver {
  private readonly logger = new Logger('LeaderSchedule');
  private lastError = '';

  constructor(private readonly role: string) {}

  onStarted({ job, scheduledTime }: ObservedRun): void {
    this.lastError = '';
    this.write('debug', job, `started ${runOf(scheduledTime)}`);
  }

  onEnded({ job, scheduledTime }: ObservedRun, outcome: RunOutcome): void {
    const { succeeded, error, failure, cancellation } = outcome;
    const run = runOf(scheduledTime);
    if (cancellation !== undefined) return this.write('log', job, `ended ${run}, ${failure}`);
    if (succeeded) return this.write('debug', job, `finished ${run}`);
    this.write('error', job, `failed in ${run}: ${failure}`, stackOf(error));
  }

  onMissed({ job, reason, count, times, isCapped }: MissedReport, _term: Term): void {
    const listed = times.slice(0, MOST_LISTED).map((time) => time.toISOString());
    const rest = count > listed.length || isCapped ? ' …' : '';
    const many = `${isCapped ? 'more than ' : ''}${count} ${count === 1 ? 'tick' : 'ticks'}`;
    const why = WHY[reason](count === 1 ? 'it' : 'them');
    this.write('warn', job, `missed ${many} (${listed.join(', ')}${rest}): ${why}`);
  }

  onSkipped({ job, scheduledTime }: ObservedRun, reason: SkipReason): void {
    this.write('debug', job, `did not start ${runOf(scheduledTime)}: ${WHY_SKIPPED[reason]}`);
  }

  onUnresolved({ job, scheduledTime }: ObservedRun): void {
    const why = 'could not confirm that its claim was stored';
    this.write('warn', job, `did not start ${tickOf(scheduledTime)}: ${why}`);
  }

  onCancelled({ job, scheduledTime }: ObservedRun, cancellation: RunCancellation): void {
    const when = new Date(cancellation.at).toISOString();
    const run = runOf(scheduledTime);
    this.write('log', job, `aborts the signal of ${run}, ${cancelledBy(cancellation)} (${when})`);
  }

  onOverdue({ job, scheduledTime }: ObservedRun, cause: EndingCause): void {
    const ignored = `ignored its signal for ${GRACE_MS / 1_000} s in ${runOf(scheduledTime)}`;
    this.write(
      'error',
      job,
      `${ignored}; the next run no longer waits for it (${WHY_ENDED[cause]})`,
    );
  }

  onUnrecorded({ job, scheduledTime }: ObservedRun): void {
    const run = runOf(scheduledTime);
    this.write('warn', job, `finished ${run}, but the result could not be recorded`);
  }

  onReturned({ job, scheduledTime }: ObservedRun, { isReturned, cause }: ReturnedTick): void {
    const tick = tickOf(scheduledTime);
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

/** Of a tick, or triggered: then at no tick. */
function runOf(scheduledTime: Date): string {
  return `the run of ${scheduledTime.toISOString()}`;
}
