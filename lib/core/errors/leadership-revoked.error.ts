import type { RevocationReason } from '../term.js';
import { LeaderElectionError } from './leader-election.error.js';

/** The reason of an aborted `term.signal`: leadership ended. Code `ERR_LEADERSHIP_REVOKED`. */
export class LeadershipRevokedError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_REVOKED';

  constructor(
    readonly role: string,
    readonly term: number,
    readonly reason: RevocationReason,
  ) {
    super(`Leadership of role "${role}", term ${term}, has ended: ${reason}.`);
  }
}
