import { Logger } from '@nestjs/common';
import type { LockRequestError } from '../../core/errors/lock-request.error.js';
import { messageOf, stackOf } from '../../core/thrown-value.js';
import { shortReason } from '../claim/short-reason.js';
import type { MissedReport } from '../runner/job-definition.js';
import { REPLACE_GRACE_MS, type RunOutcome } from '../runner/job-run.js';
import type { ScheduleObserver } from '../runner/schedule-environment.js';

const WHY: Readonly<Record<MissedReport['reason'], string>> = {
  'not-started': 'nobody could start it in time',
  forbidden: "the run before had not ended (concurrencyPolicy 'Forbid')",
  interrupted: 'its leader ended before it told how the run went',
};

/** Times beyond this are counted, not listed. */
const MOST_LISTED = 5;

/** One line per missed tick and failure; ordinary runs at debug only. */
export class ScheduleLogger implements ScheduleObserver {
  private readonly logger = new Logger('LeaderSchedule');
  private lastError = '';

  constructor(private readonly role: string) {}

  onStarted(job: string, scheduledTime: Date): void {
    this.lastError = '';
    this.write('debug', job, `starts the tick of ${scheduledTime.toISOString()}`);
  }

  onEnded(job: string, scheduledTime: Date, { succeeded, error, failure }: RunOutcome): void {
    const tick = `the tick of ${scheduledTime.toISOString()}`;
    if (succeeded) return this.write('debug', job, `has ended ${tick}`);
    this.write('error', job, `failed in ${tick}: ${failure}`, stackOf(error));
  }

  onMissed({ job, reason, count, times, isCapped }: MissedReport): void {
    const listed = times.slice(0, MOST_LISTED).map((time) => time.toISOString());
    const rest = count > listed.length || isCapped ? ' …' : '';
    const many = `${isCapped ? 'more than ' : ''}${count} ${count === 1 ? 'tick' : 'ticks'}`;
    this.write('warn', job, `missed ${many} (${listed.join(', ')}${rest}): ${WHY[reason]}`);
  }

  onUnresolved(job: string, scheduledTime: Date): void {
    const tick = scheduledTime.toISOString();
    const why = 'whether its claim was stored is not known';
    this.write('warn', job, `does not start the tick of ${tick}: ${why}`);
  }

  onOverdue(job: string, scheduledTime: Date): void {
    const tick = `the tick of ${scheduledTime.toISOString()}`;
    const grace = `${REPLACE_GRACE_MS / 1_000} s`;
    this.write(
      'error',
      job,
      `has ignored its signal for ${grace} in ${tick}; the next run no longer waits for it (concurrencyPolicy 'Replace')`,
    );
  }

  onUnrecorded(job: string, scheduledTime: Date): void {
    const tick = scheduledTime.toISOString();
    this.write('warn', job, `has ended the tick of ${tick}, which could not be recorded`);
  }

  onReturned(job: string, scheduledTime: Date, isReturned: boolean): void {
    const tick = `the tick of ${scheduledTime.toISOString()}, as leadership has ended`;
    if (isReturned) this.write('log', job, `hands back ${tick}`);
    else this.write('warn', job, `has claimed and does not start ${tick}`);
  }

  onCallbackFailed(job: string, error: unknown): void {
    this.write('error', job, `onMissed failed: ${shortReason(error)}`, stackOf(error));
  }

  onForgotten(job: string): void {
    this.write(
      'log',
      job,
      'has been unknown to every leader for 30 days, and its record is removed',
    );
  }

  /** Until something works again the same failure is told once. */
  onError({ message }: LockRequestError): void {
    if (message === this.lastError) return;
    this.lastError = message;
    this.safely(() => this.logger.error(`Role "${this.role}": ${message}`));
  }

  private write(
    level: 'log' | 'warn' | 'debug' | 'error',
    job: string,
    text: string,
    stack?: string,
  ): void {
    const line = `Role "${this.role}": job "${job}" ${text}`;
    this.safely(() =>
      stack === undefined ? this.logger[level](line) : this.logger[level](line, stack),
    );
  }

  /** The application's logger is foreign code; the schedule must not pay for its faults. */
  private safely(log: () => void): void {
    try {
      log();
    } catch (error) {
      process.emitWarning(`The application's logger threw: ${messageOf(error)}`, 'LeaderSchedule');
    }
  }
}
