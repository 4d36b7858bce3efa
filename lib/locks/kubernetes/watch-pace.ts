export interface WatchPace {
  /** Before the first new attempt; doubled with each attempt in a row that was of no use. */
  readonly intervalMs: number;
  readonly longestIntervalMs: number;
  /** After a refusal that will not end by itself. */
  readonly refusedIntervalMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface EndedAttempt {
  readonly livedMs: number;
  readonly failed: boolean;
  /** How many changes it reported. The first is what the server begins with. */
  readonly changes: number;
  readonly isRefusal: boolean;
  readonly retryAfterMs: number;
}

/** An attempt that followed the lease, or ended in good order after a while: the next is no repetition (R21). */
export function wasUseful({ livedMs, failed, changes }: EndedAttempt, pace: WatchPace): boolean {
  return changes > 1 || (!failed && livedMs >= pace.intervalMs);
}

/**
 * How long after the end of an attempt the next one begins. Spread, as all watches of a server end at the same instant
 * when it does; meanwhile the election polls.
 */
export function reopenAfterMs(ended: EndedAttempt, uselessInARow: number, pace: WatchPace): number {
  if (ended.isRefusal) return pace.refusedIntervalMs;
  if (uselessInARow === 0) return pace.random() * pace.intervalMs;
  const doubled = pace.intervalMs * 2 ** (uselessInARow - 1);
  const interval = Math.min(doubled, Math.max(pace.longestIntervalMs, pace.intervalMs));
  const asked = Math.min(ended.retryAfterMs, pace.refusedIntervalMs);
  return Math.max(interval * (0.5 + 0.5 * pace.random()), asked);
}
