import type { ModulesContainer } from '@nestjs/core';

type BootstrapHook = () => unknown;
type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;

/**
 * Calls back when the last `onApplicationBootstrap` hook of the application has ended, and never if one of them throws.
 *
 * Nest sends no such event. `HttpAdapterHost.init$` fires when the adapter is set, before anything else; `listen$`
 * does not fire in an application that never listens, nor in an application context or a microservice. What Nest 11
 * and 12 do keep is the order: hooks run module by module, farthest from the root first (global ones before those),
 * and in each module its class comes last. So the very last hook is that of the class of the nearest module, normally
 * the root. For one call it gets a hook that runs its own, if it has one, and then calls back; then it is as before.
 *
 * Where that class has no instance that Nest would call (its constructor injects something request-scoped) or the
 * instance is frozen, it calls back in the next turn of the event loop instead: hooks of other modules that are slower
 * may then still be running.
 */
export function afterLastBootstrapHook(modules: ModulesContainer, callback: () => void): void {
  const last = [...modules.values()].sort((a, b) => b.distance - a.distance).at(-1);
  const instance = last === undefined ? undefined : hookedInstance(last);
  if (instance === undefined) {
    setImmediate(callback);
    return;
  }
  const own = Object.getOwnPropertyDescriptor(instance, 'onApplicationBootstrap');
  Object.defineProperty(instance, 'onApplicationBootstrap', {
    configurable: true,
    enumerable: false,
    writable: true,
    value: async () => {
      if (own) Object.defineProperty(instance, 'onApplicationBootstrap', own);
      else delete instance.onApplicationBootstrap;
      await instance.onApplicationBootstrap?.();
      callback();
    },
  });
}

function hookedInstance(
  module: NestModule,
): { onApplicationBootstrap?: BootstrapHook } | undefined {
  const host = module.providers.get(module.metatype);
  if (!host?.isDependencyTreeStatic()) return undefined;
  const instance: unknown = host.instance;
  if (typeof instance !== 'object' || instance === null) return undefined;
  const own = Object.getOwnPropertyDescriptor(instance, 'onApplicationBootstrap');
  const canBeHooked = own === undefined ? Object.isExtensible(instance) : own.configurable;
  return canBeHooked ? (instance as { onApplicationBootstrap?: BootstrapHook }) : undefined;
}
