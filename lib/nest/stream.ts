import { isObservable, type Observable } from 'rxjs';

/** Work that is done only as it is consumed. */
export type Stream = Observable<unknown> | AsyncIterableIterator<unknown>;

/**
 * Observables, and async iterators as async generators and subscriptions make them: those that can be told to return. A
 * database cursor, which has a `next` of its own kind and methods besides, stays what it is.
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
