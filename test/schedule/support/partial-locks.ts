import type { ResourceLock } from '../../../lib/core/resource-lock.js';

/** A lock as a user may have written it: it has documents, and makes no lock of another lease. */
export function withoutLeaseBeside(lock: ResourceLock): ResourceLock {
  return {
    isInProcess: true,
    read: (options) => lock.read(options),
    create: (record, options) => lock.create(record, options),
    replace: (record, expected, options) => lock.replace(record, expected, options),
    describe: () => 'a lock of my own',
    sibling: (suffix) => lock.sibling!(suffix),
  };
}

/** The store of a lock, which a test cuts off: each request then fails or has no answer. */
export class CuttableStore {
  cut: 'fails' | 'hangs' | undefined;
  /** How often each method of a document was called. */
  readonly requests = { read: 0, write: 0 };

  /** The same lock, and its documents, behind the cut. */
  lock(lock: ResourceLock): ResourceLock {
    return {
      ...withoutLeaseBeside(this.behind(lock)),
      describe: () => lock.describe(),
      sibling: (suffix) => this.behind(lock.sibling!(suffix), this.requests),
      leaseBeside: (suffix, identity) => this.lock(lock.leaseBeside!(suffix, identity)),
    };
  }

  private behind<T extends object>(store: T, requests?: { read: number; write: number }): T {
    return new Proxy(store, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        if (key !== 'read' && key !== 'create' && key !== 'replace') return call;
        return (...args: unknown[]): unknown => {
          if (requests !== undefined) requests[key === 'read' ? 'read' : 'write'] += 1;
          if (this.cut === 'fails') return Promise.reject(new Error('the store is down'));
          return this.cut === 'hangs' ? new Promise(() => {}) : call(...args);
        };
      },
    });
  }
}
