import { handlerDecorator } from './handler.decorator.js';

/**
 * Called with the {@link Term} and the {@link RevocationReason} when this process has ceased to lead; `isLeader()` is
 * false and `term.signal` aborted. Called once for each term whose `@OnGranted` handlers were called, also while one of
 * those still runs.
 *
 * Awaited, for up to `drainTimeoutMs`, before the lease is released. If it throws, the error goes to the log and
 * `errors$`, and nothing else changes.
 *
 * @param role may be absent if the application has one role
 */
export function OnRevoked(role?: string): MethodDecorator {
  return handlerDecorator('OnRevoked', role);
}
