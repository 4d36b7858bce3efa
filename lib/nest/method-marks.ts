import { Inject } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { workFault } from '../election/run-to-end.js';

/** What Nest keeps of a provider or controller. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

export interface ClassMethod {
  readonly key: string | symbol;
  /** The prototype that has it. */
  readonly level: object;
  readonly method: (this: unknown, ...args: unknown[]) => unknown;
  readonly descriptor: PropertyDescriptor;
}

/**
 * The methods that instances of a class have, each once and as the most derived class defines it. Accessors are
 * skipped, as reading them would run them.
 */
export function classMethods(prototype: object | null): ClassMethod[] {
  const seen = new Set<string | symbol>(['constructor']);
  const methods: ClassMethod[] = [];
  for (const level of levels(prototype)) {
    for (const key of Reflect.ownKeys(level)) {
      if (seen.has(key)) continue;
      seen.add(key);
      const descriptor = Object.getOwnPropertyDescriptor(level, key)!;
      const method: unknown = descriptor.value;
      if (typeof method !== 'function') continue;
      methods.push({ key, level, method: method as ClassMethod['method'], descriptor });
    }
  }
  return methods;
}

/** The method of that name, as the most derived class defines it. */
export function classMethod(prototype: object | null, key: string | symbol): object | undefined {
  for (const level of levels(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(level, key);
    if (descriptor === undefined) continue;
    const method: unknown = descriptor.value;
    return typeof method === 'function' ? method : undefined;
  }
  return undefined;
}

/**
 * False for most classes of an application: no decorator has left metadata on a method of theirs, or on a prototype. To be
 * asked first: what decorators leave is found name by name, which takes longer than all else that a start does.
 */
export function hasMarkedMethods(prototype: object | null): boolean {
  for (const level of levels(prototype)) {
    if (Reflect.getOwnMetadataKeys(level).length > 0) return true;
    for (const key of Reflect.ownKeys(level)) {
      const method: unknown = Object.getOwnPropertyDescriptor(level, key)!.value;
      if (key !== 'constructor' && typeof method === 'function' && isMarked(method)) return true;
    }
  }
  return false;
}

/** Metadata is inherited, so that of a function in whose place this one was put counts too. */
function isMarked(method: object): boolean {
  for (
    let each: object | null = method;
    each !== null && each !== Function.prototype;
    each = Object.getPrototypeOf(each) as object | null
  ) {
    if (Reflect.getOwnMetadataKeys(each).length > 0) return true;
  }
  return false;
}

/** Null if there is none, or if a proxy hides it. */
export function prototypeOf(instance: unknown): object | null {
  if (typeof instance !== 'object' || instance === null) return null;
  try {
    return Object.getPrototypeOf(instance) as object | null;
  } catch {
    return null;
  }
}

/** A method of instances, as a legacy (`experimentalDecorators`) method decorator receives it. */
export interface MethodTarget {
  readonly prototype: object;
  readonly key: string | symbol;
  readonly descriptor: PropertyDescriptor;
}

/** @throws LeaderElectionOptionsError at decoration, naming what was decorated */
export function methodTarget(
  decorator: string,
  target: unknown,
  key: unknown,
  descriptor: PropertyDescriptor | undefined,
): MethodTarget {
  if (isStandardContext(key)) {
    throw decorationFault(
      decorator,
      undefined,
      'is a legacy decorator, as those of Nest are, and was applied as a standard one',
      'set "experimentalDecorators": true in tsconfig.json',
    );
  }
  const isStatic = typeof target === 'function';
  const owner = isStatic ? target.name : ((target as object | undefined)?.constructor?.name ?? '?');
  const place = `${decorator} on ${owner}.${String(key)}`;
  if (isStatic) {
    const rule = 'works on methods of instances; this one is static and belongs to no instance';
    throw decorationFault(place, undefined, rule, 'make it an instance method of a provider');
  }
  if (descriptor !== undefined && !('value' in descriptor)) {
    const rule = 'works on methods; this is an accessor';
    throw decorationFault(place, undefined, rule, 'make it a method');
  }
  if (typeof descriptor?.value !== 'function') {
    const rule =
      'works on methods; this is a property (a property that holds an arrow function is not a method)';
    throw decorationFault(place, undefined, rule, `write ${String(key)}() { … }`);
  }
  return { prototype: target as object, key: key as string | symbol, descriptor };
}

/** As {@link methodTarget}, of a method that we call and whose end we wait for. */
export function handlerTarget(
  decorator: string,
  target: unknown,
  key: unknown,
  descriptor: PropertyDescriptor | undefined,
): MethodTarget {
  const method = methodTarget(decorator, target, key, descriptor);
  const fault = workFault(method.descriptor.value);
  if (fault === undefined) return method;
  const place = `${decorator} on ${method.prototype.constructor.name}.${String(key)}`;
  throw decorationFault(place, undefined, fault.rule, fault.fix);
}

/** A role as decorators take it. @throws LeaderElectionOptionsError at decoration */
export function checkedRole(decorator: string, role: unknown): string | undefined {
  if (role === undefined) return undefined;
  if (typeof role === 'string' && role !== '' && role.trim() === role) return role;
  const rule =
    'must be a non-empty string without spaces around it, or absent if there is one role';
  throw decorationFault(
    `${decorator} role`,
    role,
    rule,
    'use a role given to LeaderElectionModule',
  );
}

export function decorationFault(
  field: string,
  value: unknown,
  rule: string,
  fix: string,
): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([{ field, value, rule, fix }]);
}

function isStandardContext(key: unknown): boolean {
  return typeof key === 'object' && key !== null && 'kind' in key;
}

/** Reports every instance of a class with handlers. */
export interface InstanceArrivals {
  /** @throws LeaderElectionOptionsError when the handlers of the application have been found already */
  arrived(instance: object): void;
}

/** Nest prints this text if the module is missing; otherwise the handlers would silently never run. */
export const INSTANCE_ARRIVALS = Symbol.for(
  '@OnGranted(), @OnRevoked(), @OnNewLeader() and @LeaderCron() need LeaderElectionModule.forRoot({ role: … }) in the application',
);

/**
 * Handlers are found when the application starts. The handlers of an instance that Nest makes later, as in a lazily
 * loaded module, would never be called, so making it fails instead. Nothing is kept on the instance.
 */
export function refuseLateInstances(prototype: object): void {
  if (INSTANCE_ARRIVALS in prototype) return;
  Object.defineProperty(prototype, INSTANCE_ARRIVALS, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, arrivals: InstanceArrivals) {
      arrivals.arrived(this);
    },
  });
  Inject(INSTANCE_ARRIVALS)(prototype, INSTANCE_ARRIVALS);
}

export interface MarkedMethod<T> {
  readonly key: string | symbol;
  readonly marks: readonly T[];
}

/**
 * What a method decorator leaves behind. It belongs to the class and the method's name, so that nothing is lost if a
 * decorator above replaces the function of the method, and to the function, so that a mixin that copies methods from
 * class to class copies it too.
 */
export class MethodMarks<T> {
  private readonly symbol: symbol;

  /** @param name a symbol of the global registry, so that two loaded copies of this library understand each other */
  constructor(name: string) {
    this.symbol = Symbol.for(name);
  }

  add(prototype: object, key: string | symbol, method: object, mark: T): void {
    const marks = [...this.own(prototype, key, method), mark];
    const byKey = this.byKey(prototype);
    if (byKey === undefined) {
      Reflect.defineMetadata(this.symbol, new Map([[key, marks]]), prototype);
    } else {
      byKey.set(key, marks);
    }
    Reflect.defineMetadata(this.symbol, marks, method);
  }

  /** Of a method that this very class defines. */
  own(prototype: object, key: string | symbol, method?: unknown): readonly T[] {
    return this.byKey(prototype)?.get(key) ?? this.onFunction(method);
  }

  /**
   * Of the method as the most derived class defines it: as with Nest's decorators, an override has to be marked again.
   */
  of(prototype: object | null, key: string | symbol): readonly T[] {
    for (const level of levels(prototype)) {
      const descriptor = Object.getOwnPropertyDescriptor(level, key);
      if (descriptor !== undefined) return this.own(level, key, descriptor.value);
    }
    return [];
  }

  /** The marked methods of a class, each as the most derived class defines it. */
  all(prototype: object | null): MarkedMethod<T>[] {
    const keys = new Set<string | symbol>();
    for (const level of levels(prototype)) {
      for (const key of Reflect.ownKeys(level)) keys.add(key);
    }
    keys.delete('constructor');
    return [...keys]
      .map((key) => ({ key, marks: this.of(prototype, key) }))
      .filter(({ marks }) => marks.length > 0);
  }

  /** Those of a class and of every class above it: what a call of `super` reaches. */
  reachable(prototype: object | null): MarkedMethod<T>[] {
    return [...levels(prototype)].flatMap((level) =>
      Reflect.ownKeys(level)
        .map((key) => {
          const method: unknown = Object.getOwnPropertyDescriptor(level, key)!.value;
          return { key, marks: key === 'constructor' ? [] : this.own(level, key, method) };
        })
        .filter(({ marks }) => marks.length > 0),
    );
  }

  private byKey(prototype: object): Map<string | symbol, readonly T[]> | undefined {
    return Reflect.getOwnMetadata(this.symbol, prototype) as
      Map<string | symbol, readonly T[]> | undefined;
  }

  private onFunction(method: unknown): readonly T[] {
    if (typeof method !== 'function') return [];
    return (Reflect.getOwnMetadata(this.symbol, method) as readonly T[] | undefined) ?? [];
  }
}

/** A class's prototype and those above it; accessors are never run. */
function* levels(prototype: object | null): Generator<object> {
  for (
    let level = prototype;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level) as object | null
  ) {
    yield level;
  }
}

/** False for what is made again for a request or for each who injects it. */
export function isShared(wrapper: InstanceWrapper): boolean {
  return !wrapper.isTransient && wrapper.isDependencyTreeStatic();
}

/** What is wrong with a mark on a method of a class that has no single instance. `what`: what is to be moved from it. */
export function scopeFault(
  field: string,
  what: 'handler' | 'job',
  { isTransient }: InstanceWrapper,
): OptionFault {
  const scope = isTransient ? 'transient' : 'request-scoped';
  return {
    field,
    value: undefined,
    rule: `works on a provider or controller with a single instance; this one is ${scope} or depends on such a provider`,
    fix: `move the ${what} to a provider of default scope`,
  };
}

/** The only instance of a provider or controller of default scope. */
export function instanceOf(wrapper: InstanceWrapper): object | undefined {
  if (!isShared(wrapper)) return undefined;
  const instance: unknown = wrapper.instance;
  return typeof instance === 'object' && instance !== null ? instance : undefined;
}

/** The class whose instances are made later; what a factory will make is not known in advance. */
export function classOf({ metatype, inject }: InstanceWrapper): object | null {
  if (typeof metatype !== 'function' || inject) return null;
  return (metatype.prototype as object | undefined) ?? null;
}
