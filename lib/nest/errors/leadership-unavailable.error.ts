import { LeaderElectionError } from '../../core/errors.js';

/**
 * A `@LeaderOnly()` method was called on an object that has no LeadershipService; it did not run.
 * Code `ERR_LEADERSHIP_UNAVAILABLE`.
 */
export class LeadershipUnavailableError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_UNAVAILABLE';

  constructor(method: string) {
    super(
      `${method} is @LeaderOnly() and was called on an object that has no LeadershipService, so it did not run. ` +
        `Let Nest make the instance (not "new"), call it as a method (not detached: pass () => service.method()), ` +
        `do not call instances from useFactory or useValue before onApplicationBootstrap, give a lazily loaded module the ` +
        `class instead of a factory, and import LeaderElectionModule.`,
    );
  }
}
