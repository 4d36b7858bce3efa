import { isObservable, type Observable } from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import { runToEnd as runHandlerToEnd } from '../election/run-to-end.js';

/** Observables, whatever they are wrapped in. */
export function isStreamOfRxjs(value: unknown): value is Observable<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return isObservable(value);
  } catch {
    return false;
  }
}

/** As that of the election; an Observable is subscribed to, until it ends or the signal is aborted. */
export function runToEnd(result: unknown, signal?: AbortSignal): unknown {
  return runHandlerToEnd(result, signal, (value) =>
    isStreamOfRxjs(value) ? subscribed(value, signal) : value,
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
