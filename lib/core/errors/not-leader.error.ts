import { LeaderElectionError } from './leader-election.error.js';

/** The caller needs leadership and this process does not have it. Code `ERR_NOT_LEADER`. */
export class NotLeaderError extends LeaderElectionError {
  readonly code = 'ERR_NOT_LEADER';

  constructor(
    readonly role: string,
    /** Whoever leads as far as this process knows; undefined when nobody is known to. */
    readonly leader: string | undefined,
    what = 'This call',
  ) {
    super(
      `${what} runs only on the leader of role "${role}"; ` +
        (leader === undefined ? 'no leader is known at present.' : `the leader is "${leader}".`),
    );
  }
}
