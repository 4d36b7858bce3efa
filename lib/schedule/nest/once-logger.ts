import { Logger } from '@nestjs/common';
import { messageOf, stackOf } from '../../core/thrown-value.js';
import { logSafely } from '../../nest/election-logger.js';
import type { RunEnding } from '../once/once-decision.js';
import type { OnceRecord } from '../once/once-record.js';
import type { OnceObserver } from '../once/once-work.js';

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

  onEnded(record: OnceRecord, { state, reason }: RunEnding, error?: unknown): void {
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
