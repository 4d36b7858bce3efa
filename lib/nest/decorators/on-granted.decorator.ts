import { handlerDecorator } from './handler.decorator.js';

/**
 * Called with the {@link Term} when this process begins to lead; `isLeader()` is true. May run as long as the term:
 * renewals go on beside it, and rejecting with `term.signal.reason` at the end is not an error.
 *
 * If it throws while the term lasts, this process steps down (reason `handler-failed`) and competes again after
 * `retryPeriodMs` × 2^(such terms in a row), at most 60 s.
 *
 * Handlers wait until the application has been initialised. A term that ends before that calls neither this nor
 * `@OnRevoked`. On providers and controllers of the default scope.
 *
 * @param role may be absent if the application has one role
 */
export function OnGranted(role?: string): MethodDecorator {
  return handlerDecorator('OnGranted', role);
}
