import { MethodMarks, methodTarget } from './method-marks.js';

const EVERY_REPLICA = Symbol.for('nestjs-leader-election:every-replica-class');

/** Methods that {@link EveryReplica} was put on, themselves and not their class. */
export const EVERY_REPLICA_MARKS = new MethodMarks<true>('nestjs-leader-election:every-replica');

/**
 * A `@Cron`, `@Interval` or `@Timeout` method that runs on every replica, in an application whose timers are otherwise
 * gated by `gateSchedules: true`. On a class: each of its timers that has no `@LeaderOnly()` of its own.
 *
 * It also leaves a handler out of a `LeaderGuard` of its class or of the whole application, and on a class all of its handlers
 * out of that of the application: for probes, which every replica answers.
 *
 * May be above or below other decorators. As with Nest's decorators, a subclass that overrides the method decorates it
 * again; the mark of a class holds for its subclasses. Where it would leave nothing out, as no role has
 * `gateSchedules: true` and no guard is there, or together with `@LeaderOnly()` on the same method, the application does not
 * start.
 *
 * @example
 * @EveryReplica()
 * @Interval(10_000)
 * refreshCache() {}
 *
 * @throws LeaderElectionOptionsError when the class is defined, if what it decorates is neither a class nor a method
 */
export function EveryReplica(): MethodDecorator & ClassDecorator {
  return (target: unknown, key?: unknown, descriptor?: PropertyDescriptor): void => {
    if (key === undefined && typeof target === 'function') {
      Reflect.defineMetadata(EVERY_REPLICA, true, target);
      return;
    }
    const method = methodTarget('@EveryReplica()', target, key, descriptor);
    EVERY_REPLICA_MARKS.add(method.prototype, method.key, method.descriptor.value as object, true);
  };
}

/** Whether its class, or one above it, has the mark. */
export function isClassOfEveryReplica(prototype: object | null): boolean {
  const owner: unknown = prototype?.constructor;
  return typeof owner === 'function' && Reflect.hasMetadata(EVERY_REPLICA, owner);
}
