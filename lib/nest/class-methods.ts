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
  for (
    let level = prototype;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level) as object | null
  ) {
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
