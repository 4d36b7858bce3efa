import type { LockRequestOptions } from '../../core/resource-lock.js';

/** Work that cannot be called back once it has begun, with the bound that its requester sets, and its true end. */
export class BoundedRequests {
  readonly #unsettled = new Set<Promise<void>>();

  /**
   * When the request is aborted or takes too long, `abandoned` is the answer, and `operation` is told by its signal to
   * begin nothing further; it may end later.
   */
  run<T>(
    { timeoutMs, signal }: LockRequestOptions,
    operation: (abandoned: AbortSignal) => Promise<T>,
    abandoned: (why: string) => T,
  ): Promise<T> {
    if (signal.aborted) return Promise.resolve(abandoned('it was aborted'));
    const controller = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const abandon = (why: string) => {
        controller.abort();
        resolve(abandoned(why));
      };
      const onAbort = () => abandon('it was aborted');
      const timer = setTimeout(() => abandon(`it took longer than ${timeoutMs} ms`), timeoutMs);
      signal.addEventListener('abort', onAbort);
      void this.track(operation(controller.signal))
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
        });
    });
  }

  track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined, // Whoever asked for the work hears of its failure.
    );
    this.#unsettled.add(settled);
    void settled.then(() => this.#unsettled.delete(settled));
    return work;
  }

  /** Also of those that nobody waits for any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#unsettled);
  }
}
