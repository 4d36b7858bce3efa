import { AsyncLocalStorage } from 'node:async_hooks';

/** Which run of a job a call comes from. */
const callers = new AsyncLocalStorage<RunWaiter>();

/**
 * A run, as somebody who may wait for other runs (`remove()` and `trigger()` do, and a handler may call both). With it
 * a wait is known in advance that would never end, as the run that is waited for waits for the caller.
 */
export class RunWaiter {
  private readonly awaited = new Map<RunWaiter, number>();

  /** The run whose handler this code was called by; undefined outside of runs. */
  static get current(): RunWaiter | undefined {
    return callers.getStore();
  }

  call<T>(handler: () => T): T {
    return callers.run(this, handler);
  }

  /** True if this is the other, or waits for it, directly or through further runs. */
  needs(other: RunWaiter, seen = new Set<RunWaiter>()): boolean {
    if (this === other) return true;
    if (seen.has(this)) return false;
    seen.add(this);
    return [...this.awaited.keys()].some((next) => next.needs(other, seen));
  }

  /** Keeps in mind that it waits for others until the work has ended. */
  async during<T>(others: readonly RunWaiter[], work: Promise<T>): Promise<T> {
    for (const other of others) this.awaited.set(other, (this.awaited.get(other) ?? 0) + 1);
    try {
      return await work;
    } finally {
      for (const other of others) this.release(other);
    }
  }

  private release(other: RunWaiter): void {
    const left = (this.awaited.get(other) ?? 0) - 1;
    if (left > 0) this.awaited.set(other, left);
    else this.awaited.delete(other);
  }
}
