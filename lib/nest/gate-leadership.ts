import { Inject } from '@nestjs/common';
import type { GateLeadership } from './gated-work.js';
import { getLeadershipToken } from './leader-election.tokens.js';

/**
 * Has Nest inject the service into every instance of a class, for any scope and for subclasses too.
 *
 * It is kept on the object itself, as a property that is not enumerable. So a proxy or another wrapper around the
 * instance finds it as the instance does, whichever of them Nest assigns to and whichever a method is called on.
 */
export function injectLeadership(prototype: object, role: string | undefined): void {
  const key = leadershipKeyOf(role);
  if (key in prototype) return;
  Object.defineProperty(prototype, key, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, leadership: GateLeadership) {
      adopt(this, role, leadership);
    },
  });
  Inject(getLeadershipToken(role))(prototype, key);
}

/** Gives an instance its leadership, even one that Nest did not inject into (`useFactory`, `useValue`). */
export function adopt(
  instance: object,
  role: string | undefined,
  leadership: GateLeadership,
): void {
  const key = leadershipKeyOf(role);
  const property = { value: leadership, configurable: true, enumerable: false, writable: true };
  if (!keeps(instance, key, property)) asideOf(key).set(instance, leadership);
}

/**
 * Undefined if there is none: for an object made by hand, and for no object at all. By the key and not by the role, as
 * gates are called often.
 */
export function leadershipAt(instance: unknown, key: symbol): GateLeadership | undefined {
  if (typeof instance !== 'object' || instance === null) return undefined;
  let leadership: GateLeadership | undefined;
  try {
    leadership = (instance as Record<symbol, GateLeadership | undefined>)[key];
  } catch {
    // The proxy throws for unknown properties, so its leadership is kept elsewhere.
  }
  return leadership ?? ASIDE.get(key)?.get(instance);
}

/** The text is what Nest prints when it cannot inject the property. */
export function leadershipKeyOf(role: string | undefined): symbol {
  const shown = role === undefined ? '…' : JSON.stringify(role);
  const decorator = role === undefined ? '@LeaderOnly()' : `@LeaderOnly(${shown})`;
  return Symbol.for(
    `${decorator} needs LeaderElectionModule.forRoot({ role: ${shown} }) in the application`,
  );
}

/** For objects that take no property: frozen ones, and proxies that hide or refuse unknown properties. */
const ASIDE = new Map<symbol, WeakMap<object, GateLeadership>>();

function asideOf(key: symbol): WeakMap<object, GateLeadership> {
  const known = ASIDE.get(key);
  if (known !== undefined) return known;
  const aside = new WeakMap<object, GateLeadership>();
  ASIDE.set(key, aside);
  return aside;
}

function keeps(instance: object, key: symbol, property: PropertyDescriptor): boolean {
  try {
    if (!Reflect.defineProperty(instance, key, property)) return false;
    return (instance as Record<symbol, unknown>)[key] === property.value;
  } catch {
    return false;
  }
}
