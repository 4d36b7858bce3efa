import { Logger } from '@nestjs/common';
import { messageOf } from '../core/thrown-value.js';
import { LogLines } from '../election/log-entry.js';

/** What concerns no election, or a timer whose election cannot say it. */
export const applicationLog = {
  notInitialised(afterMs: number): void {
    const text =
      `the application has not been initialised within ${afterMs / 1_000} s, and does not compete for a lease until it is: ` +
      'a hybrid application needs app.init() or app.listen() as well as app.startAllMicroservices()';
    linesOf().say({ event: 'election.waits-for-init', level: 'warn', text });
  },

  gateFailed(role: string, timer: string, error: unknown): void {
    const text = `${timer} was skipped, as isLeader() threw: ${messageOf(error)}`;
    linesOf(role).say({ event: 'gates.failed', level: 'error', text });
  },

  /** @param how what an APM did instead of calling the timer */
  observerFailed(job: string, how: string): void {
    const text = `what follows the runs of @nestjs/schedule ${how}`;
    linesOf().say({ event: 'gates.observer-failed', level: 'warn', text, fields: { job } });
  },
};

function linesOf(role?: string): LogLines {
  return new LogLines(new Logger('LeaderElection'), role ?? '', { role });
}
