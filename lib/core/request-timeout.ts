/**
 * How long to wait for the answer to one request (R20).
 *
 * A fixed timeout makes a server that is steadily slower than it the same as a dead one: every renewal is given up just
 * before it succeeds, and no replica leads for as long as that lasts. The timeout has no part in the proof of exclusion, as
 * validity counts from before the request and ends by the clock; so it may follow the server.
 *
 * Not after one slow answer: a request that was lost would then stake all that is left of validity on the next one, and
 * a server whose every second answer is slow would be taken for a fast one each time. Of the last eight outcomes at
 * least three must have been slow. Not after one fast answer either, for the same reason.
 *
 * A holder waits longer only for a server of which it has seen a slow answer. Cut requests alone are no reason: of lost
 * ones and of a few very late ones, a longer wait would only stake more validity on each. A follower has no validity to
 * stake, and waits longer also when nothing has been answered, since a slow server shows itself in no other way.
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
/** After a request that was cut off, as it is not known how long its answer would have taken. */
const MARGIN_AFTER_CUT = 2;
/** So many failures in a row are a server that has become slow; after more it is rather one that hangs. */
const FEW_FAILURES = 5;
/** Of the requests to a server that hangs, one in so many waits for longer than is configured. */
const PATIENT_SHARE = 3;

/** What the last requests have shown of the server's speed. */
export interface ServerPace {
  readonly outcomes: readonly TimedOutcome[];
  /** What the slow ones among them took; the slowest, while there are few. */
  readonly typicalMs: number;
  readonly slowestAnswerMs: number;
  readonly lastWasCut: boolean;
  readonly failuresInARow: number;
}

interface TimedOutcome {
  /** Until the outcome; for a request that was cut off, until it was. */
  readonly tookMs: number;
  readonly answered: boolean;
}

export const UNKNOWN_PACE: ServerPace = {
  outcomes: [],
  typicalMs: 0,
  slowestAnswerMs: 0,
  lastWasCut: false,
  failuresInARow: 0,
};

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
  // A process that was stopped meanwhile has not learned that the server took that long.
  const latest = { tookMs: Math.min(elapsedMs, timeoutMs), answered };
  const outcomes = [...pace.outcomes, latest].slice(-REMEMBERED_OUTCOMES);
  const slowestFirst = outcomes.map(({ tookMs }) => tookMs).toSorted((a, b) => b - a);
  const answers = outcomes.map((other) => (other.answered ? other.tookMs : 0));
  return {
    outcomes,
    typicalMs: slowestFirst[outcomes.length < FEW_OUTCOMES ? 0 : SLOW_OUTCOMES - 1]!,
    slowestAnswerMs: Math.max(...answers),
    lastWasCut: !answered && elapsedMs >= timeoutMs,
    failuresInARow,
  };
}

/** The timeout of the next request, before what bounds it; `configuredMs` is the option `requestTimeoutMs`. */
function adaptedTimeoutMs(pace: ServerPace, configuredMs: number): number {
  const { outcomes, typicalMs, lastWasCut } = pace;
  if (!isSlow(typicalMs, configuredMs)) return configuredMs;
  const few = outcomes.length < FEW_OUTCOMES;
  return Math.max(configuredMs, typicalMs * (few || lastWasCut ? MARGIN_AFTER_CUT : MARGIN));
}

/** The timeout of a request on which validity may depend, before what bounds it. */
export function holdersTimeoutMs(pace: ServerPace, configuredMs: number): number {
  return isSlow(pace.slowestAnswerMs, configuredMs)
    ? adaptedTimeoutMs(pace, configuredMs)
    : configuredMs;
}

/** Milliseconds. */
export interface TimeoutBounds {
  readonly configuredMs: number;
  /** A later answer would be of no use. */
  readonly longestMs: number;
  /** The same for a server that seems to hang. */
  readonly longestWhileHangingMs: number;
}

/**
 * The timeout of a request that no validity depends on. At every second failure in a row it is the configured one, and
 * after a few failures at most of them, so that a server which hangs and then recovers is found soon.
 */
export function followersTimeoutMs(
  pace: ServerPace,
  { configuredMs, longestMs, longestWhileHangingMs }: TimeoutBounds,
): number {
  const { failuresInARow } = pace;
  const hangs = failuresInARow > FEW_FAILURES;
  const isPatient = failuresInARow === 0 || failuresInARow % (hangs ? PATIENT_SHARE : 2) === 1;
  const wantedMs = isPatient ? adaptedTimeoutMs(pace, configuredMs) : configuredMs;
  return Math.min(wantedMs, hangs ? longestWhileHangingMs : longestMs);
}

function isSlow(tookMs: number, configuredMs: number): boolean {
  return tookMs > FAST_SHARE * configuredMs;
}
