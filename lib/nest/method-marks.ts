export interface MarkedMethod<T> {
  readonly key: string | symbol;
  readonly marks: readonly T[];
}

/**
 * What a method decorator leaves behind. It belongs to the class and the method's name, so that a decorator above which
 * puts another function in the place of the method loses nothing, and to the function, so that a mixin which copies
 * methods from class to class takes it along.
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

  /** Of the method as the most derived class defines it: as for Nest's decorators, who overrides it marks it again. */
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
export function* levels(prototype: object | null): Generator<object> {
  for (
    let level = prototype;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level) as object | null
  ) {
    yield level;
  }
}
