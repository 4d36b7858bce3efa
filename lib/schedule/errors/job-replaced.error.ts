import { LeaderElectionError } from '../../core/errors.js';

/** The reason of a run's aborted signal: its successor is due (`concurrencyPolicy: 'Replace'`). Code `ERR_JOB_REPLACED`. */
export class JobReplacedError extends LeaderElectionError {
  readonly code = 'ERR_JOB_REPLACED';

  constructor(readonly job: string) {
    super(`Job "${job}": this run gives way to the next (concurrencyPolicy 'Replace').`);
  }
}
