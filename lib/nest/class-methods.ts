import { levels } from './method-marks.js';

export interface ClassMethod {
  readonly key: string | symbol;
  readonly method: (this: unknown, ...args: unknown[]) => unknown;
  readonly descriptor: PropertyDescriptor;
}

/**
 * The methods that instances of a class have, each once and as the most derived class defines it. Accessors are left
 * alone: looking at them would run them.
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
      methods.push({ key, method: method as ClassMethod['method'], descriptor });
    }
  }
  return methods;
}

/** One of them. */
export function classMethod(prototype: object | null, key: string | symbol): object | undefined {
  for (const level of levels(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(level, key);
    if (descriptor === undefined) continue;
    const method: unknown = descriptor.value;
    return typeof method === 'function' ? method : undefined;
  }
  return undefined;
}

/** Null for what has none, and for a proxy that does not tell it. */
export function prototypeOf(instance: unknown): object | null {
  if (typeof instance !== 'object' || instance === null) return null;
  try {
    return Object.getPrototypeOf(instance) as object | null;
  } catch {
    return null;
  }
}
