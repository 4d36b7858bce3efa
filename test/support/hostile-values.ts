/** Things that code can throw and that throw in turn when they are looked at, by what they are. */
export function hostileValues(): Readonly<Record<string, unknown>> {
  const refuse = (): never => {
    throw new Error('do not look at me');
  };
  const getters = new Error('hidden');
  // The stack first: V8 looks at name and message to make it.
  for (const key of ['stack', 'name', 'message', 'cause', 'code']) {
    Object.defineProperty(getters, key, { get: refuse });
  }
  const trap = { get: refuse, has: refuse, getPrototypeOf: refuse, ownKeys: refuse };
  const revoked = Proxy.revocable(new Error('gone'), {});
  revoked.revoke();
  return {
    'an error whose getters throw': getters,
    'a proxy whose traps throw': new Proxy(new Error('behind a trap'), trap),
    'a revoked proxy': revoked.proxy,
    'an object without a prototype': Object.create(null),
    'an object whose toString throws': { toString: refuse },
    'an object whose toString returns an object': { toString: () => ({}), valueOf: () => ({}) },
    'a function whose name throws': Object.defineProperty(() => undefined, 'name', { get: refuse }),
    'an error whose message is no text': Object.assign(new Error(), { message: Symbol('m') }),
    null: null,
    undefined: undefined,
    'a symbol': Symbol('thrown'),
    'a bigint': 3n,
    'an empty string': '',
  };
}
