/**
 * How long to wait for the answer to one request (R20).
 *
 * A fixed timeout makes a server that is steadily slower than it the same as a dead one: every renewal is given up just
 * before it succeeds, and nobody leads for as long as that lasts. The timeout has no part in the proof of exclusion, as
 * validity counts from before the request and ends by the clock; so it may follow the server.
 *
 * Not after one slow answer: a request that was lost would then stake all that is left of validity on the next one, and
 * a server whose every second answer is slow would be taken for a fast one each time. Of the last eight outcomes at
 * least three must have been slow. Not after one fast answer either, for the same reason.
 *
 * What no timeout can give: a renewal needs the version that the one before it returned, so two consecutive answers
 * must fit into the renew deadline. A server that takes more than half of it steadily has no leader.
 */

const REMEMBERED_OUTCOMES = 8;
/** So many of them must be slow. */
const SLOW_OUTCOMES = 3;
/** Fewer outcomes than this are no pattern yet: the slowest of them counts. */
const FEW_OUTCOMES = 4;
/** A server that answers within this share of the configured timeout is not slow. */
const FAST_SHARE = 0.6;
const MARGIN = 1.5;
/** After a request that was cut off, as nobody knows how long its answer would have taken. */
const MARGIN_AFTER_CUT = 2;

/** What the last requests have shown of the server's speed. */
export interface ServerPace {
  /** Milliseconds until the outcome, oldest first; for a request that was cut off, until it was. */
  readonly outcomesMs: readonly number[];
  readonly lastWasCut: boolean;
  readonly failuresInARow: number;
}

export const UNKNOWN_PACE: ServerPace = { outcomesMs: [], lastWasCut: false, failuresInARow: 0 };

export interface RequestOutcome {
  readonly elapsedMs: number;
  readonly timeoutMs: number;
  /** An answer came, whatever it said. */
  readonly answered: boolean;
  /** Nothing was sent: the server's speed had no part in it. */
  readonly unreachable: boolean;
}

export function paceAfter(pace: ServerPace, outcome: RequestOutcome): ServerPace {
  const { elapsedMs, timeoutMs, answered, unreachable } = outcome;
  const failuresInARow = answered ? 0 : pace.failuresInARow + 1;
  if (unreachable) return { ...pace, failuresInARow };
  return {
    // A process that was stopped meanwhile has not learned that the server took that long.
    outcomesMs: [...pace.outcomesMs, Math.min(elapsedMs, timeoutMs)].slice(-REMEMBERED_OUTCOMES),
    lastWasCut: !answered && elapsedMs >= timeoutMs,
    failuresInARow,
  };
}

/** The timeout of the next request, before what bounds it; `configuredMs` is the option `requestTimeoutMs`. */
export function adaptedTimeoutMs(pace: ServerPace, configuredMs: number): number {
  const { outcomesMs, lastWasCut } = pace;
  const few = outcomesMs.length < FEW_OUTCOMES;
  const slowestFirst = outcomesMs.toSorted((a, b) => b - a);
  const typicalMs = slowestFirst[few ? 0 : SLOW_OUTCOMES - 1] ?? 0;
  if (typicalMs <= FAST_SHARE * configuredMs) return configuredMs;
  return Math.max(configuredMs, typicalMs * (few || lastWasCut ? MARGIN_AFTER_CUT : MARGIN));
}

/**
 * The timeout of a request that no validity depends on. At every second failure in a row the configured one: a server
 * that hangs and then recovers is found soon.
 */
export function followersTimeoutMs(pace: ServerPace, configuredMs: number): number {
  const { failuresInARow } = pace;
  const hangs = failuresInARow > 0 && failuresInARow % 2 === 0;
  return hangs ? configuredMs : adaptedTimeoutMs(pace, configuredMs);
}
