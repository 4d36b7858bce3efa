import type { ElectionOptions } from '../core/election-options.js';
import { type CommandCall, millisecondsOf, textOf } from './command.js';

type ElectionTimes = Pick<
  ElectionOptions,
  'profile' | 'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs'
>;

/** The times of an election, as they were given. The election checks them, together with its other options. */
export function electionTimesOf(call: CommandCall): ElectionTimes {
  return given({
    profile: textOf(call, 'profile') as ElectionTimes['profile'],
    leaseDurationMs: millisecondsOf(call, 'lease-duration-ms'),
    renewDeadlineMs: millisecondsOf(call, 'renew-deadline-ms'),
    retryPeriodMs: millisecondsOf(call, 'retry-period-ms'),
  });
}

type Given<T> = { [Field in keyof T]?: Exclude<T[Field], undefined> };

/** Without what was not given: an option that is undefined is not the same as one that is left out. */
export function given<T extends object>(options: T): Given<T> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Given<T>;
}
