/**
 * How much time has passed for a holder (R19). A machine that slept, a virtual machine that was restored from a snapshot
 * and a process that was restored from a checkpoint continue where they were: their monotonic clock may show nothing of the
 * gap, while the lease has run out for every other process. So whoever believes counts by the clock that shows the most:
 * the monotonic one with what the machine slept, or the wall clock.
 *
 * The wall clock may only end a term, never prolong one, and nothing but belief goes by it: an observer that counted by
 * it would take a live leader's lease because a person set the clock.
 */

/** Boot time is read in steps of 10 ms, at another moment than the monotonic clock. */
const SUSPENSION_NOISE_MS = 50;
/** Wall clocks are slewed; only a difference of more than this says that the others have missed something. */
const WALL_TOLERANCE_MS = 100;
/** So many terms that the wall clock alone ended, within so many lease durations, and it is no longer asked … */
const ENDINGS_TO_DISTRUST = 3;
const DISTRUST_WITHIN_LEASES = 20;
/** … before it has agreed with the other clocks for so many. */
const AGREES_FOR_LEASES = 10;

/** What was read just before something began: wall clock and boot time first, so that no gap after them is missed. */
export interface Anchor {
  readonly now: number;
  readonly wallMicros: number;
  readonly suspendedMs: number;
}

/** What is read for a check: the wall clock last, so that no gap before it is missed. */
export interface ClockReading {
  readonly now: number;
  readonly wallMicros: number;
  readonly suspendedMs: number;
}

/** Whether the wall clock is asked, and why not. */
export interface WallTrust {
  /** When it alone ended a term, on the monotonic clock. */
  readonly endings: readonly number[];
  /** Not asked since it last disagreed with the others, which was here; null: it is asked. */
  readonly disagreedAt: Anchor | null;
}

export const agreesForMs = (leaseDurationMs: number): number => AGREES_FOR_LEASES * leaseDurationMs;

export const TRUSTED_WALL: WallTrust = { endings: [], disagreedAt: null };

export function monotonicElapsedMs(
  since: Anchor,
  reading: Omit<ClockReading, 'wallMicros'>,
): number {
  const slept = reading.suspendedMs - since.suspendedMs;
  return reading.now - since.now + (slept > SUSPENSION_NOISE_MS ? slept : 0);
}

export function wallElapsedMs(since: Anchor, wallMicros: number): number {
  return (wallMicros - since.wallMicros) / 1_000;
}

export function disagree(a: number, b: number): boolean {
  return Math.abs(a - b) > WALL_TOLERANCE_MS;
}

/** Time since an anchor as whoever believes must count it. */
export function holderElapsedMs(since: Anchor, reading: ClockReading, trust: WallTrust): number {
  const elapsed = monotonicElapsedMs(since, reading);
  if (trust.disagreedAt !== null) return elapsed;
  const byWall = wallElapsedMs(since, reading.wallMicros);
  return byWall > elapsed + WALL_TOLERANCE_MS ? byWall : elapsed;
}

/** Takes note that the wall clock alone has ended a term: a clock that does so again and again is itself at fault. */
export function trustAfterEnding(trust: WallTrust, at: Anchor, leaseDurationMs: number): WallTrust {
  const recent = trust.endings.filter(
    (end) => end > at.now - DISTRUST_WITHIN_LEASES * leaseDurationMs,
  );
  const endings = [...recent, at.now];
  return { endings, disagreedAt: endings.length >= ENDINGS_TO_DISTRUST ? at : null };
}

/** A distrusted wall clock is asked again once it has agreed with the other clocks for long enough. */
export function trustReviewed(
  trust: WallTrust,
  at: Anchor,
  reading: ClockReading,
  leaseDurationMs: number,
): WallTrust {
  const { disagreedAt } = trust;
  if (disagreedAt === null) return trust;
  const elapsed = monotonicElapsedMs(disagreedAt, reading);
  if (disagree(elapsed, wallElapsedMs(disagreedAt, reading.wallMicros))) {
    return { ...trust, disagreedAt: at };
  }
  return elapsed >= agreesForMs(leaseDurationMs) ? TRUSTED_WALL : trust;
}
