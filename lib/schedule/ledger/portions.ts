import type { Clock } from '../../core/clock.js';

/**
 * For so many jobs in a row something is done before the event loop has a turn: what a thousand of them need at once must
 * not keep HTTP requests or the renewal of the lease waiting.
 */
export const PORTION = 20;

/** Resolves when whatever else is due in the process has had its turn. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.setTimer(resolve, 0));
}
