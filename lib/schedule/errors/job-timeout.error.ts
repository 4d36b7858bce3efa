import { LeaderElectionError } from '../../core/errors.js';

/** The reason of a run's aborted signal: it has taken longer than `timeoutMs`. Code `ERR_JOB_TIMEOUT`. */
export class JobTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_JOB_TIMEOUT';

  constructor(
    readonly job: string,
    timeoutMs: number,
  ) {
    super(`Job "${job}": this run has taken longer than ${timeoutMs} ms (timeoutMs).`);
  }
}
