import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable, SetMetadata } from '@nestjs/common';
import { hasMarkedMethods } from '../../lib/nest/method-marks.js';
import { Elections } from './support/elections.js';

class Plain {
  static marked(): void {}
  get accessor(): never {
    throw new Error('it was read');
  }
  work(): void {}
}
Reflect.defineMetadata('of-static', true, methodOf(Plain, 'marked'));
Reflect.defineMetadata('of-class', true, Plain);

class Marked {
  @SetMetadata('of-method', true)
  work(): void {}
}
class Inheriting extends Marked {}
class Overriding extends Marked {
  override work(): void {}
}

class Wrapped {
  work(): void {}
}
function methodOf(prototype: object, key: string): object {
  return Object.getOwnPropertyDescriptor(prototype, key)!.value as object;
}

function wrapper(): void {}
Object.setPrototypeOf(wrapper, methodOf(Marked.prototype, 'work'));
Wrapped.prototype.work = wrapper;

class MarkedBeside {}
Reflect.defineMetadata('of-prototype', true, MarkedBeside.prototype);

describe('when a class is asked whether a decorator has left something on its methods', () => {
  it.each([
    ['on a method', Marked, true],
    ['on a method of a class above it', Inheriting, true],
    ['on a method that it overrides', Overriding, true],
    ['on what a wrapper of a method inherits', Wrapped, true],
    ['on the prototype', MarkedBeside, true],
    ['on the class and a static method alone', Plain, false],
  ])('says so: %s', (_where, { prototype }, expected) => {
    expect(hasMarkedMethods(prototype)).toBe(expected);
  });

  it('says no of nothing', () => {
    expect(hasMarkedMethods(null)).toBe(false);
  });
});

describe('when a provider has no decorated method', () => {
  let elections: Elections;
  beforeEach(() => {
    elections = new Elections();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    return elections.end();
  });

  @Injectable()
  class Undecorated {
    work(): void {}
  }

  it('asks for no single mark of it, as an application has hundreds of such methods', async () => {
    const asked: unknown[] = [];
    for (const name of ['getMetadata', 'getOwnMetadata', 'hasMetadata'] as const) {
      const original = Reflect[name] as (...args: unknown[]) => unknown;
      jest.spyOn(Reflect, name).mockImplementation((...args: unknown[]) => {
        if (args[1] === methodOf(Undecorated.prototype, 'work')) asked.push(args[0]);
        return original(...args) as never;
      });
    }
    await elections.leading([Undecorated]);
    // What remains is asked by Nest itself.
    expect(
      asked.filter((key) => typeof key === 'symbol' || /SCHEDULER|bull|EVENT/.test(String(key))),
    ).toEqual([]);
    expect(asked.length).toBeGreaterThan(0);
  });
});
