import { LeaderElectionError } from '../../core/errors.js';

/** The application has shut down; this process will not lead the role again. Code `ERR_ELECTION_STOPPED`. */
export class ElectionStoppedError extends LeaderElectionError {
  readonly code = 'ERR_ELECTION_STOPPED';

  constructor(readonly role: string) {
    super(
      `Role "${role}": the application is shutting down, so this process no longer competes for the lease.`,
    );
  }
}
