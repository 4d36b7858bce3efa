import { LeaderElectionError } from '../../core/errors.js';

/**
 * `trigger()` was called, under `concurrencyPolicy: 'Replace'`, from a run that would have to end first. Code
 * `ERR_JOB_WAITS_FOR_ITSELF`.
 */
export class JobWaitsForItselfError extends LeaderElectionError {
  readonly code = 'ERR_JOB_WAITS_FOR_ITSELF';

  constructor(readonly job: string) {
    super(
      `Job "${job}": trigger() was called from a run that has to end before another may start ` +
        `(concurrencyPolicy 'Replace'), so both would wait for each other. Call it when that run has ended, or use ` +
        `concurrencyPolicy 'Allow'.`,
    );
  }
}
