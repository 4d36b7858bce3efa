import type { Clock, Timer } from '../core/clock.js';

/** What a caller gets for a result: the same promise or value, and for anything else with a `then` one promise. */
export type Adopted<T> =
  T extends Promise<unknown> ? T : T extends PromiseLike<infer V> ? Promise<V> : T;

/** The work of the current term: what must have ended before the lease may be released. */
export class WorkInFlight {
  private running = 0;
  private waiting: (() => void)[] = [];

  /** Counts work from before it is called, as it may give leadership up at once. Each `begin` has one `end`. */
  begin(): void {
    this.running += 1;
  }

  end(): void {
    this.running -= 1;
    // Each gated call comes here, and an empty splice makes an array.
    if (this.running > 0 || this.waiting.length === 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Counts the work until it settles. How it ends is its owner's business. */
  track(work: unknown): void {
    this.begin();
    ignoreOutcome(adoptWork(work, () => this.end()));
  }

  /**
   * Resolves when no work is left, including what was added while waiting. Not before the caller's own turn is
   * over: work that gave leadership up in its synchronous part is tracked only when it returns.
   */
  async ended(): Promise<void> {
    await Promise.resolve();
    while (this.running > 0) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}

/**
 * Waits for what a function returned and calls `ended` once it is over. The result for the caller settles after that.
 *
 * A foreign `then` is called exactly once, for the caller and for whoever waits for the end together: query builders
 * and the like run again at each call. Whatever has a `then` that cannot be read is not waited for.
 */
export function adoptWork<T, R = T>(
  result: T,
  ended: () => void,
  adapt?: (value: unknown) => unknown,
): Adopted<R> {
  const then = thenOf(result);
  if (then === undefined) {
    ended();
    return (adapt === undefined ? result : adapt(result)) as Adopted<R>;
  }
  const onValue = (value: unknown): unknown => {
    ended();
    return adapt === undefined ? value : adapt(value);
  };
  const onError = (error: unknown): never => {
    ended();
    throw error;
  };
  if (then === Promise.prototype.then) {
    try {
      return Reflect.apply(then, result, [onValue, onError]) as Adopted<R>;
    } catch (error) {
      // A proxy of a promise, or one whose species throws: whoever awaits it meets the same error.
      return Promise.reject(error as Error).then(onValue, onError) as Adopted<R>;
    }
  }
  return new Promise((resolve, reject) => Reflect.apply(then, result, [resolve, reject])).then(
    onValue,
    onError,
  ) as Adopted<R>;
}

/** Of what foreign code returned where nothing is waited for: if it rejects, that is no unhandled rejection. */
export function ignoreOutcome(result: unknown): void {
  const adopted: unknown = adoptWork(result, () => {});
  if (adopted instanceof Promise) adopted.catch(() => {});
}

type Then = (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void;

function thenOf(value: unknown): Then | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
    return undefined;
  try {
    const { then } = value as { then?: unknown };
    return typeof then === 'function' ? (then as Then) : undefined;
  } catch {
    // Whoever awaits the value will meet this error; there is nothing to wait for.
    return undefined;
  }
}

/** What the work comes to, or what `late` gives if it takes longer than that. */
export function within<T>(
  clock: Clock,
  limitMs: number,
  work: PromiseLike<T>,
  late: () => T | PromiseLike<T>,
): Promise<T> {
  let bound: Timer | undefined;
  const tooLate = new Promise<T>((resolve) => {
    bound = clock.setTimer(() => resolve(late()), limitMs);
  });
  return Promise.race([work, tooLate]).finally(() => bound?.cancel());
}
