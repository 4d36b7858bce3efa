import { isObservable, type Observable } from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import { adoptWork } from '../elector/work-in-flight.js';

/** Work that is done only as it is consumed. */
export type Stream = Observable<unknown> | AsyncIterableIterator<unknown>;

/**
 * Observables, and async iterators that can be made to return, like those of async generators and subscriptions. A
 * database cursor, which has its own kind of `next` and other methods, is not one.
 */
export function isStream(value: unknown): value is Stream {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return isObservable(value) || isAsyncIterator(value);
  } catch {
    return false;
  }
}

function isAsyncIterator(value: object): value is AsyncIterableIterator<unknown> {
  return (
    Symbol.asyncIterator in value &&
    typeof value[Symbol.asyncIterator] === 'function' &&
    'next' in value &&
    typeof value.next === 'function' &&
    'return' in value &&
    typeof value.return === 'function'
  );
}

/**
 * What one of our handlers returned, as a promise or value that ends with the work. It has no other consumer, so an
 * Observable is subscribed to and an async generator is iterated, until it ends or the signal is aborted.
 *
 * @throws the signal's reason, asynchronously, if a stream had not ended when it was aborted
 */
export function runToEnd(result: unknown, signal?: AbortSignal): unknown {
  return adoptWork(
    result,
    () => {},
    (value) => {
      if (isStream(value)) {
        return isObservable(value) ? subscribed(value, signal) : iterated(value, signal);
      }
      if (Object.prototype.toString.call(value) === '[object Generator]') throw generatorError();
      return value;
    },
  );
}

function subscribed(source: Observable<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let ignoreAbort = (): void => {};
    const end = (settle: () => void): void => {
      ignoreAbort();
      if (signal?.aborted) reject(signal.reason as Error);
      else settle();
    };
    const subscription = source.subscribe({
      error: (error: Error) => end(() => reject(error)),
      complete: () => end(resolve),
    });
    ignoreAbort = onAbort(signal, () => {
      try {
        subscription.unsubscribe();
      } catch (error) {
        // Its teardown threw, and the end of the term is no excuse for that.
        return reject(error as Error);
      }
      end(resolve);
    });
  });
}

async function iterated(
  source: AsyncIterableIterator<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A generator that awaits something returns only after that.
  let returned: Promise<unknown> | undefined;
  const ignoreAbort = onAbort(signal, () => {
    returned = Promise.resolve(source.return?.());
    returned.catch(() => {});
  });
  try {
    while (returned === undefined && (await source.next()).done !== true);
    await returned;
  } finally {
    ignoreAbort();
  }
  if (signal?.aborted) throw signal.reason;
}

function generatorError(): Error {
  return new TypeError(
    'it is a generator function, and nothing iterates what it returned, so its body has not run: make it async',
  );
}
