import type { LeaderElectionOptionsError } from '../core/errors.js';
import { HANDLED_BY_CLASS } from './entry-point.js';
import { type Gate, gateMethod, GATES } from './gated-method.js';
import { HANDLER_MARKS } from './leadership-handler.decorators.js';
import { checkedRole, classMethods, decorationFault, methodTarget } from './method-marks.js';

/** What `@LeaderOnly()` gates by, and what a follower does instead. */
export interface LeaderOnlyOptions {
  /**
   * The role that has to be led.
   * @default the only role of the application
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * What a call does while this process does not lead. `'skip'`: nothing, and it returns nothing in the shape of the
   * method (a promise of undefined, an empty array, Observable or generator, otherwise undefined). `'throw'`:
   * NotLeaderError.
   *
   * A request that waits for an answer is refused in either case: HTTP 503, RpcException, WsException, a GraphQL error, a
   * rejected command or query. A consumer of messages or events (`@EventPattern`, `@Processor`, `@Process`,
   * `@EventsHandler`, `@OnEvent`) must choose, as a skipped message counts as done.
   * @default 'skip'
   * @example
   * onFollower: 'throw'
   */
  readonly onFollower?: 'skip' | 'throw';
}

/**
 * The method runs only while this process leads the role. On a class: each of its entry points, that is every method
 * with metadata of a handler decorator (`@Cron`, a route …) and the one by which `@CommandHandler`, `@QueryHandler`,
 * `@EventsHandler` and `@Processor` call it; other methods, Nest's life-cycle hooks and `@OnGranted` / `@OnRevoked` /
 * `@OnNewLeader` handlers are not affected.
 *
 * May be above or below other decorators; works for providers and controllers of any scope, for subclasses, and through
 * proxies and other wrappers of the instance. A subclass that overrides the method decorates it again. Fails closed: on
 * an object that has no LeadershipService it throws LeadershipUnavailableError and the method does not run.
 *
 * Leadership is checked when the method is called. A promise that it returns is awaited before the lease is released, for
 * up to `drainTimeoutMs`; an Observable or async iterator ends with the term; anything else with a `then` is run once and
 * becomes a promise. Work that may take longer than the term should
 * watch `term.signal`.
 *
 * @example
 * @LeaderOnly()
 * @Cron(CronExpression.EVERY_HOUR)
 * async closeExpiredPlans() {}
 *
 * @throws LeaderElectionOptionsError when the class is defined, if what it decorates is not a method or the class has no entry point
 */
export function LeaderOnly(
  roleOrOptions?: string | LeaderOnlyOptions,
): MethodDecorator & ClassDecorator {
  const gate = checkedGate(roleOrOptions);
  return (target: unknown, key?: unknown, descriptor?: PropertyDescriptor): void => {
    if (key === undefined && typeof target === 'function') return gateEntryPoints(target, gate);
    const method = methodTarget('@LeaderOnly()', target, key, descriptor);
    gateMethod(method.prototype, method.key, method.descriptor, gate);
  };
}

const LIFECYCLE_HOOKS: readonly (string | symbol)[] = [
  'onModuleInit',
  'onApplicationBootstrap',
  'onModuleDestroy',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
];

function gateEntryPoints(target: { readonly name: string; prototype: unknown }, gate: Gate): void {
  const prototype = target.prototype as object;
  const handlers = new Set(HANDLER_MARKS.all(prototype).map(({ key }) => key));
  const ofClass = { ...gate, ofClass: target.name };
  let found = 0;
  for (const { key, method, descriptor } of classMethods(prototype)) {
    if (LIFECYCLE_HOOKS.includes(key) || handlers.has(key)) continue;
    const isMarked = Reflect.getOwnMetadataKeys(method).length > 0;
    if (!isMarked && !HANDLED_BY_CLASS.includes(key)) continue;
    found += 1;
    if (GATES.of(prototype, key).length > 0) continue;
    // A decorator above this one may still make it a handler.
    gateMethod(prototype, key, descriptor, isMarked ? ofClass : { ...ofClass, ifHandler: true });
    Object.defineProperty(prototype, key, descriptor);
  }
  if (found === 0) throw classWithoutEntryPoints(target.name);
}

export function classWithoutEntryPoints(name: string): LeaderElectionOptionsError {
  return decorationFault(
    `@LeaderOnly() on ${name}`,
    undefined,
    'gates methods with handler metadata (@Cron, a route, @OnEvent …), and this class has none',
    'decorate the methods themselves',
  );
}

function checkedGate(roleOrOptions: unknown): Gate {
  const decorator = '@LeaderOnly()';
  if (typeof roleOrOptions !== 'object' || roleOrOptions === null) {
    return { role: checkedRole(decorator, roleOrOptions), onFollower: undefined };
  }
  const { role, onFollower, ...unknown } = roleOrOptions as Record<string, unknown>;
  const [stray] = Object.keys(unknown);
  if (stray !== undefined) {
    const rule = 'is not an option of @LeaderOnly()';
    throw decorationFault(`${decorator} ${stray}`, unknown[stray], rule, 'use role, onFollower');
  }
  if (onFollower !== undefined && onFollower !== 'skip' && onFollower !== 'throw') {
    const rule = 'must be "skip" or "throw"';
    throw decorationFault(`${decorator} onFollower`, onFollower, rule, 'use "skip"');
  }
  return { role: checkedRole(decorator, role), onFollower };
}
