import type { HandlerKind } from '../election/leadership-handlers.dispatcher.js';
import { checkedRole, handlerTarget, MethodMarks, refuseLateInstances } from './method-marks.js';

/** What a decorator leaves on the method: one entry per use, as several roles may share a method. */
export interface HandlerMark {
  readonly kind: HandlerKind;
  readonly role: string | undefined;
}

export const HANDLER_MARKS = new MethodMarks<HandlerMark>('nestjs-leader-election:handler-marks');

/** Marks a method as a handler. Marks accumulate, so that one method may serve several roles and events. */
function handlerDecorator(kind: HandlerKind, role: string | undefined): MethodDecorator {
  const named = checkedRole(`@${kind}()`, role);
  return (target, key, descriptor) => {
    const { prototype, descriptor: method } = handlerTarget(`@${kind}()`, target, key, descriptor);
    const marks = HANDLER_MARKS.own(prototype, key, method.value);
    if (marks.some((mark) => mark.kind === kind && mark.role === named)) return;
    HANDLER_MARKS.add(prototype, key, method.value as object, { kind, role: named });
    refuseLateInstances(prototype);
  };
}

/**
 * Called with the {@link Term} when this process becomes leader; `isLeader()` is true. May run as long as the term:
 * renewals continue meanwhile, and rejecting with `term.signal.reason` at the end is not an error.
 *
 * If it throws while the term lasts, this process steps down (reason `handler-failed`) and competes again after
 * `retryPeriodMs` × 2^(such terms in a row), at most 60 s.
 *
 * Handlers wait until the application has been initialised. If a term ends before that, neither this nor `@OnRevoked`
 * is called. Works on providers and controllers of the default scope.
 *
 * @param role may be absent if the application has one role
 * @throws LeaderElectionOptionsError when the class is defined, if the role is not a string or what it decorates is not a method or a generator that is not async
 */
export function OnGranted(role?: string): MethodDecorator {
  return handlerDecorator('OnGranted', role);
}

/**
 * Called with the {@link Term} and the {@link RevocationReason} when this process has lost leadership; `isLeader()` is
 * false and `term.signal` aborted. Called once for each term whose `@OnGranted` handlers were called, even while one of
 * those still runs.
 *
 * Awaited, for up to `drainTimeoutMs`, before the lease is released. If it throws, the error is logged and emitted by
 * `errors$`, and nothing else changes.
 *
 * @param role may be absent if the application has one role
 * @throws LeaderElectionOptionsError when the class is defined, if the role is not a string or what it decorates is not a method or a generator that is not async
 */
export function OnRevoked(role?: string): MethodDecorator {
  return handlerDecorator('OnRevoked', role);
}

/**
 * Called with the identity of the leader whenever a new one is seen: another process or this one. Calls begin in the
 * order of the changes and are not awaited. Before the application has been initialised they wait, and then report only
 * the current leader.
 *
 * @param role may be absent if the application has one role
 * @throws LeaderElectionOptionsError when the class is defined, if the role is not a string or what it decorates is not a method or a generator that is not async
 */
export function OnNewLeader(role?: string): MethodDecorator {
  return handlerDecorator('OnNewLeader', role);
}
