import type { Crowd } from './lease-record.js';

/**
 * However many compete, few write in vain when the lease becomes free (R22). Those who have a watch hear of it at about
 * the same instant. Each draws its wait from a window that grows with their number and with how long a write takes to be
 * heard of, and whoever hears of the winner in time sends nothing.
 *
 * No process counts the candidates: whoever wins knows how small a share of the window its own draw was, and that the
 * smallest of N draws is about 1/N of it. It writes what follows into the record, where the next ones read it, those that
 * have just started among them. Where the members are known, their number is used in its place.
 */

/** Three candidates need no more, whatever the record says. */
const SHORTEST_WINDOW_MS = 10;
const LONGEST_WINDOW_MS = 5_000;
/** Of the lease duration: an absurd record must not cost more than that. */
const LONGEST_WINDOW_SHARE = 1 / 3;
/** Nothing is known of how many create a lease. */
const CREATION_WINDOW_MS = 250;

const FIRST_GUESS = 2;
const MOST_CANDIDATES = 4_000;
/** A faster step is hardly measurable, and a window for less is the shortest. */
const SHORTEST_STEP_MS = 4;
/** Two candidates have the longest window by then. What is longer was written by hand, and counts as no crowd. */
const LONGEST_STEP_MS = 5_000;
/** The handshakes of TCP and TLS, each of which goes to and fro, and what both sides compute for them. */
const STEPS_TO_CONNECT = 4;
/** How much of a new measurement counts. */
const SMOOTHING = 0.25;

/** What is known of the crowd without a record that says it. */
export const UNKNOWN_CROWD: Crowd = { candidates: FIRST_GUESS, stepMs: SHORTEST_STEP_MS };

interface RecordedCrowd {
  readonly record: { readonly crowd?: Crowd | undefined };
}

function isCrowdSize(candidates: unknown): candidates is number {
  return typeof candidates === 'number' && candidates >= 1 && candidates <= MOST_CANDIDATES;
}

/** Whether a lock has answered with a crowd that can be meant. */
export function isCrowd(value: unknown): value is Crowd {
  if (typeof value !== 'object' || value === null) return false;
  const { candidates, stepMs } = value as Partial<Record<keyof Crowd, unknown>>;
  return (
    isCrowdSize(candidates) &&
    typeof stepMs === 'number' &&
    stepMs >= SHORTEST_STEP_MS &&
    stepMs <= LONGEST_STEP_MS
  );
}

/**
 * How long before its acquisition a candidate may open the connection for it. About as long as that takes, so that of any
 * crowd no more do so than win in that time, which is about twice as many as there are steps in it. Where the window is as
 * long as it may be, so many would be a share of the crowd, whose handshakes would hold up the news that ends their wait.
 */
export function connectAheadMs(
  lease: RecordedCrowd | null,
  knownCandidates: number | null,
  leaseDurationMs: number,
): number {
  const { candidates, stepMs } = crowdIn(lease?.record.crowd, knownCandidates);
  const betweenTwoMs = windowMs(lease, knownCandidates, leaseDurationMs) / candidates;
  return STEPS_TO_CONNECT * Math.min(stepMs, 2 * betweenTwoMs);
}

/** From what time the wait of a candidate with a watch is drawn, in milliseconds. */
export function windowMs(
  lease: RecordedCrowd | null,
  knownCandidates: number | null,
  leaseDurationMs: number,
): number {
  if (lease === null) return CREATION_WINDOW_MS;
  const { candidates, stepMs } = crowdIn(lease.record.crowd, knownCandidates);
  const longestMs = Math.min(LONGEST_WINDOW_MS, leaseDurationMs * LONGEST_WINDOW_SHARE);
  return Math.min(longestMs, Math.max(SHORTEST_WINDOW_MS, (candidates * stepMs) / 2));
}

/**
 * What the acquirer writes. `share` is the part of the window that it has waited; null where it did not come to the
 * lease by such a wait, which then says nothing about the others.
 */
export function crowdAfterAcquisition(
  former: Crowd | undefined,
  knownCandidates: number | null,
  share: number | null,
): Crowd {
  const crowd = crowdIn(former, knownCandidates);
  if (knownCandidates !== null || share === null) return crowd;
  const candidates = 2 / (1 / crowd.candidates + share);
  return { ...crowd, candidates: Math.min(MOST_CANDIDATES, Math.max(1, candidates)) };
}

function crowdIn(crowd: Crowd | undefined, knownCandidates: number | null): Crowd {
  const { candidates, stepMs } = crowd ?? UNKNOWN_CROWD;
  return { candidates: knownCandidates ?? candidates, stepMs };
}

/** A holder has heard of its own renewal after so long. */
export function crowdAfterRenewal(crowd: Crowd, measuredMs: number): Crowd {
  const stepMs = crowd.stepMs + SMOOTHING * (measuredMs - crowd.stepMs);
  return { ...crowd, stepMs: Math.min(LONGEST_STEP_MS, Math.max(SHORTEST_STEP_MS, stepMs)) };
}

/** As it is written: three candidates more or less make no difference, and digits only cost space. */
export function writtenCrowd(crowd: Crowd, knownCandidates: number | null): Crowd {
  const { candidates, stepMs } = crowdIn(crowd, knownCandidates);
  return { candidates: Math.round(candidates * 100) / 100, stepMs: Math.round(stepMs * 10) / 10 };
}

/** The number of members as far as a record can say it. */
export function knownCandidates(members: number | null): number | null {
  return members === null ? null : Math.min(MOST_CANDIDATES, Math.max(1, members));
}
