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
