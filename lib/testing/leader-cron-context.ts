import type { Term } from '../core/term.js';
import type { LeaderCronContext } from '../schedule/runner/job-definition.js';
import { testTerm } from './test-term.js';

export interface LeaderCronContextOptions {
  /** @default the present time */
  readonly scheduledTime?: Date;
  /** Nominal times of ticks that were missed before this one. @default none */
  readonly missed?: readonly Date[];
  /** @default a first term that lasts */
  readonly term?: Term;
  /** @default the signal of the term */
  readonly signal?: AbortSignal;
}

/** What a `@LeaderCron()` handler is called with, to call it directly. */
export function leaderCronContext({
  scheduledTime = new Date(),
  missed = [],
  term = testTerm(),
  signal = term.signal,
}: LeaderCronContextOptions = {}): LeaderCronContext {
  return {
    scheduledTime,
    missed: { count: missed.length, times: missed, isCapped: false },
    term,
    signal,
  };
}
