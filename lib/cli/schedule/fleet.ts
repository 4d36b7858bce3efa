import { SystemClock } from '../../elector/system-clock.js';
import { FleetJobs } from '../../fleet/fleet-jobs.js';
import type { CommandCall } from '../command.js';
import { operatorName, withLock } from '../connection.js';

/** The jobs of the role that a command is about. */
export function withFleetJobs<T>(
  call: CommandCall,
  use: (jobs: FleetJobs) => Promise<T>,
): Promise<T> {
  const warn = (text: string): void => call.output.warn(text);
  const caller = { by: operatorName(call), clock: new SystemClock(), warn };
  return withLock(call, (lock) => use(new FleetJobs(lock, caller)));
}
