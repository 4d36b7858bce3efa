import { LeaderElectionError } from './leader-election.error.js';

/** One field of a lease that is stored otherwise than it was sent. */
export interface LeaseAlteration {
  readonly field: string;
  readonly sent: unknown;
  readonly stored: unknown;
}

/**
 * The store answered that it has applied a write, and holds something else. What is stored counts, as that is what all
 * others see: this process does not lead by it. Code `ERR_LEASE_ALTERED`.
 */
export class LeaseAlteredError extends LeaderElectionError {
  readonly code = 'ERR_LEASE_ALTERED';

  constructor(
    readonly role: string,
    readonly write: 'acquire' | 'renew' | 'release',
    readonly alterations: readonly LeaseAlteration[],
  ) {
    const changes = alterations.map(
      ({ field, sent, stored }) =>
        `${field} ${JSON.stringify(sent)} was sent and ${JSON.stringify(stored)} is stored`,
    );
    super(
      `Role "${role}": something changes this lease between this process and its store: ${changes.join(', ')}. ` +
        `What is stored counts, so this process cannot ${write} it. Find what changes it, such as a mutating admission ` +
        `webhook or a proxy, and exempt this lease from it.`,
    );
  }
}
