import { LeaderElectionError } from '../../core/errors.js';
import { messageOf } from '../../core/thrown-value.js';

/**
 * A handler threw; `cause` is what it threw. Code `ERR_LEADERSHIP_HANDLER`.
 * After a failed `@OnGranted` this process steps down for a while; the others change nothing.
 */
export class LeadershipHandlerError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_HANDLER';

  constructor(
    readonly role: string,
    /** Class and method, e.g. `PlanScheduler.start`. */
    readonly handler: string,
    decorator: string,
    cause: unknown,
  ) {
    super(`${decorator} ${handler} of role "${role}" failed: ${messageOf(cause)}`, { cause });
  }
}
