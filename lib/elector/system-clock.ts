import { uptime } from 'node:os';
import type { Clock, Timer } from './clock.js';

/** `setTimeout` fires at once when asked for more. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;

/**
 * The machine's clocks. Timers keep the process alive: an application whose only work is behind an election has
 * nothing else that does.
 */
export class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  wallMicros(): number {
    return Date.now() * 1_000;
  }

  suspendedMs(): number {
    // Linux counts boot time through a suspension, and CLOCK_MONOTONIC not; elsewhere uptime follows the wall clock.
    return process.platform === 'linux' ? uptime() * 1_000 - performance.now() : 0;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const handle = setTimeout(callback, Math.min(Math.ceil(delayMs), LONGEST_TIMEOUT_MS));
    return { cancel: () => clearTimeout(handle) };
  }
}
