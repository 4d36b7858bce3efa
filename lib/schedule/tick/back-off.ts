/** How often a failed run is tried again, and how long after each failure. */
export interface RetryPolicy {
  /** How many attempts follow the first; 0: none. */
  readonly limit: number;
  /** Before the second attempt. Doubled before each further one, up to {@link LONGEST_BACKOFF_MS} or this. */
  readonly backoffMs: number;
}

/** As long as the Job controller of Kubernetes waits at most. */
const LONGEST_BACKOFF_MS = 360_000;

/** From the end of the attempt before until an attempt, 2 or later, may start. */
export function backoffBefore({ backoffMs }: RetryPolicy, attempt: number): number {
  const longestMs = Math.max(backoffMs, LONGEST_BACKOFF_MS);
  return Math.min(longestMs, backoffMs * 2 ** (attempt - 2));
}

/** The pauses of all attempts together. */
export function totalBackoffMs(policy: RetryPolicy): number {
  let total = 0;
  for (let attempt = 2; attempt <= policy.limit + 1; attempt += 1) {
    total += backoffBefore(policy, attempt);
  }
  return total;
}

/** Of so many attempts after the first, as many as have their pauses within that time. */
export function retriesWithin(policy: RetryPolicy, withinMs: number): number {
  let limit = policy.limit;
  while (limit > 0 && totalBackoffMs({ ...policy, limit }) > withinMs) limit -= 1;
  return limit;
}
