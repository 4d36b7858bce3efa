import { setImmediate } from 'node:timers';
import { onAbort } from '../core/abort-signal.js';
import type { Clock } from '../core/clock.js';

/** Resolves after this time, or when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(() => {
      stopListening();
      resolve();
    }, ms);
    const stopListening = onAbort(signal, () => {
      timer.cancel();
      resolve();
    });
  });
}

/**
 * Resolves in the next turn of the event loop. The first request of a process takes some 10 ms at once, and its first TLS up to
 * 20: an application that is about to be ready is so before.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
