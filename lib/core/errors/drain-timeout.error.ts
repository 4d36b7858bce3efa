import { LeaderElectionError } from './leader-election.error.js';

/**
 * The work of an ended term was still running when `drainTimeoutMs` had passed. The lease is then not released
 * but left to lapse, so that nobody starts beside that work sooner than the lease allows (R10). This process stands
 * again only once the work has ended. Code `ERR_DRAIN_TIMEOUT`.
 */
export class DrainTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_DRAIN_TIMEOUT';

  constructor(role: string, term: number, drainTimeoutMs: number) {
    super(
      `Role "${role}": work from term ${term} is still running ${drainTimeoutMs} ms (drainTimeoutMs) after its leadership ended. ` +
        `The lease will expire instead of being released, and this process will not compete for it until that work ends. ` +
        `Make @OnGranted, @OnRevoked and gated methods end when term.signal is aborted, or raise drainTimeoutMs.`,
    );
  }
}
