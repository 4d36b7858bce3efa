import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { OptionFault } from '../core/errors.js';
import { entryPointAt, timerKindOf, type Transport } from './entry-point.js';
import { EVERY_REPLICA_MARKS, isClassOfEveryReplica } from './every-replica.decorator.js';
import { GATES } from './gated-method.js';
import { GuardedTerm } from './guarded-term.js';
import type { Redirect } from './guard-redirect.js';
import { watchHandler } from './handler-call.js';
import { classMethods, hasMarkedMethods, type InstanceWrapper } from './method-marks.js';

/** What a class of guards was made with. */
export interface GuardSettings {
  /** Undefined: the only role of the application. */
  readonly role: string | undefined;
  readonly redirect: Redirect;
  readonly onFollower: 'throw' | undefined;
}

/** Where a class of guards keeps its settings, for its subclasses too. */
export const GUARD_SETTINGS = Symbol.for('nestjs-leader-election:guard');

/** Of a guard or a class of guards; undefined for those of others. */
export function settingsOf(guard: unknown): GuardSettings | undefined {
  const owner: unknown = typeof guard === 'object' ? guard?.constructor : guard;
  if (typeof owner !== 'function') return undefined;
  return (owner as { [GUARD_SETTINGS]?: GuardSettings })[GUARD_SETTINGS];
}

/** `GUARDS_METADATA` and `INTERCEPTORS_METADATA` of Nest, by value. */
const GUARDS = '__guards__';
const INTERCEPTORS = '__interceptors__';
const TERM = new GuardedTerm();

const GUARDED: readonly Transport[] = ['http', 'sse', 'rpc', 'ws', 'graphql'];

/** Finds what `LeaderGuard` is used on, and gives those handlers the interceptor that does what a guard cannot. */
@Injectable()
export class GuardedHandlers {
  /** Those that are guards of the whole application. */
  private readonly globals: readonly GuardSettings[];

  /** Nest reads interceptors before any hook runs. */
  constructor(modules: ModulesContainer) {
    const all = [...modules.values()];
    this.globals = all.flatMap(({ providers, injectables }) =>
      [...providers, ...injectables].flatMap(([token, wrapper]) =>
        typeof token === 'string' && token.startsWith('APP_GUARD') ? globalGuards(wrapper) : [],
      ),
    );
    for (const { controllers, providers } of all) {
      for (const { metatype } of controllers.values()) this.install(metatype);
      for (const { metatype, inject } of providers.values()) if (!inject) this.install(metatype);
    }
  }

  /** False for a class that no guard is for, unless one is on a method of it. */
  areUsedOn(prototype: object | null): boolean {
    return this.globals.length > 0 || guardsOn(prototype?.constructor).length > 0;
  }

  /** Whether an `@EveryReplica()` on a method, or with no key on the class, leaves it out of a guard. */
  leftOutBy(prototype: object | null): (key: string | symbol | undefined) => boolean {
    if (!this.areUsedOn(prototype)) return () => false;
    const guarded = classMethods(prototype).filter(({ key }) => isGuarded(prototype, key));
    const isGlobal = this.globals.length > 0;
    const isOfClass = guardsOn(prototype?.constructor).length > 0;
    return (key) => {
      if (key === undefined) return isGlobal && !isOfClass && guarded.length > 0;
      const found = guarded.find((each) => each.key === key);
      return found !== undefined && (isGlobal || isOfClass) && guardsOn(found.method).length === 0;
    };
  }

  /** The roles that guards of this class ask for. */
  rolesOf(prototype: object | null): (string | undefined)[] {
    const ofMethods = classMethods(prototype).flatMap(({ method }) => guardsOn(method));
    const all = [...this.globals, ...guardsOn(prototype?.constructor), ...ofMethods];
    return all.map(({ role }) => role);
  }

  private install(metatype: unknown): void {
    if (typeof metatype !== 'function') return;
    const prototype = metatype.prototype as object | null;
    const ofClass = this.globals.length > 0 || guardsOn(metatype).length > 0;
    if (!ofClass && !hasMarkedMethods(prototype)) return;
    for (const found of classMethods(prototype)) {
      const { key, method } = found;
      if (!ofClass && guardsOn(method).length === 0) continue;
      if (!isGuarded(prototype, key)) continue;
      const interceptors = (Reflect.getMetadata(INTERCEPTORS, method) ?? []) as unknown[];
      if (!interceptors.includes(TERM)) {
        // The innermost: what others do before has been done when leadership is asked for again.
        Reflect.defineMetadata(INTERCEPTORS, [...interceptors, TERM], method);
      }
      watchHandler(found);
    }
  }

  /** @param hasGatedTimers whether a role has `gateSchedules` */
  faults(prototype: object | null, owner: string, hasGatedTimers: boolean): OptionFault[] {
    const ofClass = guardsOn(prototype?.constructor);
    const found = classMethods(prototype).map((each) => ({ ...each, own: guardsOn(each.method) }));
    if (!this.areUsedOn(prototype) && found.every(({ own }) => own.length === 0)) return [];
    const methods = found.map(({ key, method, own }) => ({
      key,
      place: `LeaderGuard on ${owner}.${String(key)}`,
      own,
      entryPoint: entryPointAt(prototype, key),
      isGuarded: isGuarded(prototype, key),
      timer: timerKindOf(method),
    }));
    const faults: OptionFault[] = [];
    for (const { key, place, own, entryPoint, isGuarded: guarded, timer } of methods) {
      const guards = [...own, ...ofClass, ...(guarded ? this.globals : [])];
      if (guards.length === 0) continue;
      const isEvent = entryPoint.consumes === EVENT_PATTERN;
      if (isEvent && !guards.some(({ onFollower }) => onFollower === 'throw')) {
        faults.push(eventFault(place));
      } else if (!guarded && own.length > 0) faults.push(unguardedFault(place));
      else if (!guarded && (timer !== undefined || entryPoint.consumes !== undefined)) {
        const isGated = GATES.of(prototype, key).length > 0;
        if (!isGated && !(timer !== undefined && hasGatedTimers)) {
          faults.push(unguardedFault(place));
        }
      }
    }
    if (ofClass.length > 0 && !methods.some((each) => each.isGuarded)) {
      faults.push(unguardedFault(`LeaderGuard on ${owner}`));
    }
    return faults;
  }
}

const EVENT_PATTERN = '@EventPattern()';

/** Whether Nest runs guards before the method. */
function isGuarded(prototype: object | null, key: string | symbol): boolean {
  const { transports, consumes } = entryPointAt(prototype, key);
  return consumes === EVENT_PATTERN || transports.some((each) => GUARDED.includes(each));
}

function guardsOn(target: unknown): GuardSettings[] {
  if (typeof target !== 'function') return [];
  const guards = (Reflect.getMetadata(GUARDS, target) ?? []) as unknown[];
  return guards.map(settingsOf).filter((settings) => settings !== undefined);
}

function globalGuards({ metatype, inject, instance }: InstanceWrapper): GuardSettings[] {
  return [metatype, instance, ...(inject ?? [])]
    .map(settingsOf)
    .filter((settings) => settings !== undefined)
    .slice(0, 1);
}

/** Whether `@EveryReplica()` leaves it out of the guard of its class, or of the application; the nearer of two counts. */
export function isOfEveryReplica(
  owner: { readonly prototype: unknown },
  handler: { readonly name: string },
): boolean {
  if (guardsOn(handler).length > 0) return false;
  const prototype = owner.prototype as object;
  if (EVERY_REPLICA_MARKS.of(prototype, keyOf(prototype, handler)).length > 0) return true;
  return guardsOn(owner).length === 0 && isClassOfEveryReplica(prototype);
}

const KEYS = new WeakMap<object, string | symbol>();

/** The name of its method: another decorator may have put a function of another name in its place. */
export function keyOf(prototype: object, handler: { readonly name: string }): string | symbol {
  const known = KEYS.get(handler);
  if (known !== undefined) return known;
  const found = classMethods(prototype).find(({ method }) => method === handler);
  const key = found?.key ?? handler.name;
  KEYS.set(handler, key);
  return key;
}

function eventFault(field: string): OptionFault {
  return {
    field,
    value: undefined,
    rule: 'can only make an event fail on a follower, and not every broker sends it again, so it must say onFollower',
    fix:
      'best let followers consume nothing: without the guard, begin to consume in @OnGranted() and stop in @OnRevoked(). ' +
      "Otherwise write LeaderGuard.for({ onFollower: 'throw' }) if what fails is sent again",
  };
}

function unguardedFault(field: string): OptionFault {
  return {
    field,
    value: undefined,
    rule: 'does not guard what Nest calls without guards: timers, events of the application, jobs of a queue, commands, and calls from code',
    fix: 'put @LeaderOnly() on the method instead',
  };
}
