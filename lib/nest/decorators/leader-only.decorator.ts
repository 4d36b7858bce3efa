import { classMethods, type ClassMethod } from '../class-methods.js';
import { gateMethod, gatesOf, type Gate } from '../gated-method.js';
import { handlerMarksOf } from '../leadership-handler.js';
import { checkedRole, decorationFault, methodTarget } from './decorator-target.js';

export interface LeaderOnlyOptions {
  /** May be absent if the application has one role. */
  readonly role?: string;
  /**
   * What a call does while this process does not lead. `'skip'`: nothing, and it returns undefined (a promise of it
   * from an async method). `'throw'`: NotLeaderError; choose it for queue consumers, where a skipped message would
   * count as done. HTTP handlers answer 503 in either case. Default `'skip'`.
   */
  readonly onFollower?: 'skip' | 'throw';
}

/**
 * The method runs only while this process leads the role. On a class: every entry point of it, that is each method
 * with metadata of some handler decorator (`@Cron`, a route, `@OnEvent` …); helpers, Nest's life-cycle hooks and
 * `@OnGranted` / `@OnRevoked` / `@OnNewLeader` handlers are left alone.
 *
 * May stand above or below other decorators; works for providers and controllers of any scope and for subclasses. A
 * subclass that overrides the method decorates it again. Fails closed: on an object that knows no leadership it throws
 * LeadershipUnavailableError and the method does not run.
 *
 * Leadership is checked when the method is called. A promise it returns is waited for before the lease is released, up
 * to `drainTimeoutMs`; what may take longer than the term watches `term.signal`.
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
  const entryPoints = classMethods(prototype).filter(isEntryPoint);
  if (entryPoints.length === 0) {
    throw decorationFault(
      `@LeaderOnly() on ${target.name}`,
      undefined,
      'gates methods with handler metadata (@Cron, a route, @OnEvent …), and this class has none',
      'decorate the methods themselves',
    );
  }
  for (const { key, descriptor, method } of entryPoints) {
    if (gatesOf(method).length > 0) continue;
    gateMethod(prototype, key, descriptor, gate);
    Object.defineProperty(prototype, key, descriptor);
  }
}

function isEntryPoint({ key, method }: ClassMethod): boolean {
  if (LIFECYCLE_HOOKS.includes(key) || handlerMarksOf(method).length > 0) return false;
  return Reflect.getOwnMetadataKeys(method).length > 0;
}

function checkedGate(roleOrOptions: unknown): Gate {
  const decorator = '@LeaderOnly()';
  if (typeof roleOrOptions !== 'object' || roleOrOptions === null) {
    return { role: checkedRole(decorator, roleOrOptions), onFollower: 'skip' };
  }
  const { role, onFollower = 'skip', ...unknown } = roleOrOptions as Record<string, unknown>;
  const [stray] = Object.keys(unknown);
  if (stray !== undefined) {
    const rule = 'is not an option of @LeaderOnly()';
    throw decorationFault(`${decorator} ${stray}`, unknown[stray], rule, 'use role, onFollower');
  }
  if (onFollower !== 'skip' && onFollower !== 'throw') {
    const rule = 'must be "skip" or "throw"';
    throw decorationFault(`${decorator} onFollower`, onFollower, rule, 'use "skip"');
  }
  return { role: checkedRole(decorator, role), onFollower };
}
