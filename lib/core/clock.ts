/** The longest time a timer of the platform can wait, about 24 days; it fires at once when asked for more. */
export const LONGEST_TIMER_MS = 2_147_483_647;

/** A timer that can be called off. */
export interface Timer {
  /** The callback will not be called; nothing happens if it has been. */
  cancel(): void;
}

/** Where time comes from. Tests and the simulation bring their own; nothing else in the library reads a clock. */
export interface Clock {
  /** Monotonic, milliseconds with fractions. */
  now(): number;
  /**
   * Wall clock, whole microseconds since the epoch. For the stamps in the record and for logs; and it ends leadership
   * after a gap that `now()` does not show.
   */
  wallMicros(): number;
  /**
   * Milliseconds, since any fixed instant, that the machine slept while `now()` stood still (a suspended laptop or
   * virtual machine). Always zero where the platform does not tell.
   */
  suspendedMs(): number;
  /** Calls back once after at least `delayMs`. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

export function wallMs(clock: Clock): number {
  return Math.floor(clock.wallMicros() / 1_000);
}
