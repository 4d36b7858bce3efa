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
