import type { Clock } from './clock.js';

/**
 * Calls back when the signal is aborted, at once if it already is; without a signal never. Returns what stops listening:
 * many a signal lives longer than those that listen to it, and would keep them.
 */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  if (signal?.aborted === true) call();
  if (signal === undefined || signal.aborted) return () => {};
  const listener = (): void => call();
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Calls with a signal that is aborted after that time, or together with another one. */
export async function withTimeLimit<T>(
  clock: Pick<Clock, 'setTimer'>,
  ms: number,
  call: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const limit = new AbortController();
  const end = (): void => limit.abort();
  const ignoreAbort = onAbort(signal, end);
  const timer = clock.setTimer(end, ms);
  try {
    return await call(limit.signal);
  } finally {
    timer.cancel();
    ignoreAbort();
  }
}
