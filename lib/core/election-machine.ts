/**
 * Who leads is decided here, and nowhere else.
 *
 * Promised, under the assumptions H1 to H6 of docs/rules.md (no clock runs more than 20 % fast or slow with the default
 * times, identities are unique per process, no one edits or deletes the lease by hand): no two processes are leader at
 * the same instant. Latency, loss, duplication and re-ordering of requests, answers and watch events, wall clocks and
 * paused processes do not matter to it.
 *
 * Not promised: that work which checked a moment ago is still covered now. Code that runs on after the check needs the
 * term's signal, its fencing token or a claim.
 *
 * With hand edits and deletes, two processes may believe until the older one notices: at once with a watch, otherwise
 * at its next renewal. `strict` closes that too, for a wait of one lease duration before such a grant (R13).
 *
 * Pure: the clocks, the dice and every answer come in as arguments, and what to do goes out as effects. `expire` comes
 * before the event is looked at, so no late answer can extend a term whose time is up (R4).
 */
import {
  beginDraining,
  cutRenewal,
  expireTenure,
  giveUpOverdueRenewal,
  grantIfSettled,
  loseTenure,
  measureStep,
  onContainerKnown,
  onReadWhileHolding,
  onReleaseDone,
  onRenewDone,
  proceedHolding,
  reviewTenure,
} from './holding.js';
import { knownCandidates } from './crowd.js';
import type {
  ElectionConfig,
  ElectionEffect,
  ElectionEvent,
  ElectionState,
  Instant,
  LeadingTenure,
} from './election-state.js';
import { eligibilityDueAt, onEligibilityReported, reviewEligibility } from './eligibility.js';
import { onContainerEnded, onHolderDied } from './holder-death.js';
import {
  connectsFrom,
  onAcquireDone,
  onReadWhileFollowing,
  proceedFollowing,
} from './following.js';
import { onSuccessorLookedUp, reviewRequest } from './leader-request.js';
import type { ReadOutcome, WriteOutcome } from './resource-lock.js';
import { leaderAsObserved, observe, observedExpiry } from './observing.js';
import { paceAfter } from './request-timeout.js';
import { Step } from './step.js';
import {
  type Anchor,
  disagree,
  holderElapsedMs,
  TRUSTED_WALL,
  trustReviewed,
  wallElapsedMs,
} from './validity.js';

/** For so many retry periods who was asked to step down does not compete. */
const ASKED_COOLDOWN_PERIODS = 2;
/** Virtual clocks compute. */
const ROUNDING_MS = 1;

export interface Transition {
  readonly state: ElectionState;
  readonly effects: readonly ElectionEffect[];
}

/**
 * The stages of holding the lease, which is a tenure. A stage follows another in these ways and no others.
 *
 *     none ---1---> settling ---2---> leading
 *      |               |                 |
 *      |               3                 4
 *      |               |                 |
 *      |               +---> draining <--+
 *      |                        |
 *      |                        5
 *      |                        v
 *      +----------6-------> releasing        and from each of the four back to none: 7 to 10
 *
 *  1. none -> settling: an own acquisition is answered as applied, in time, while this process competes
 *  2. settling -> leading: the time to settle is over; without strict mode it is 0, and the term is granted at once
 *  3. settling -> draining: step-down, suspension or shutdown before the term was granted
 *  4. leading -> draining: step-down, failed handler, suspension, shutdown, or a handover by an ineligible process; the term
 *     is revoked
 *  5. draining -> releasing: no work of the term is left, nor an application that still closes
 *  6. none -> releasing: the lease bears an own record, but this process does not compete
 *  7. settling -> none: validity has run out, the lease is seen to be another's or gone, or the clock went back
 *  8. leading -> none: the same; the term is revoked
 *  9. draining -> none: the work takes too long, the lease is seen to be another's or gone, the clock went back, nothing
 *     is to be released on shutdown, or the time to finish is over
 * 10. releasing -> none: the release is seen to be applied, was undone or takes too long, the lease is seen to be
 *     another's or gone, or the clock went back
 */
export function transition(
  state: ElectionState,
  event: ElectionEvent,
  at: Instant,
  config: ElectionConfig,
): Transition {
  if (state.candidacy === 'stopped') return { state, effects: [] };
  const step = new Step(state, at, config);
  // 1. The clocks speak first.
  askClocks(step);
  expireTenure(step);
  // 2. What happened.
  apply(step, event);
  expireTenure(step);
  // Not after the grant: who hears of it finds this process leading.
  reviewEligibility(step);
  if (reviewRequest(step)) stepDownAsAsked(step);
  grantIfSettled(step);
  // 3. What to do about it: at most one request in flight.
  const wakeAt = proceed(step);
  // 4. Whom others take for the leader.
  const leader = leaderAsObserved(step);
  if (leader !== step.state.leader) {
    step.state.leader = leader;
    const application =
      leader === undefined ? undefined : step.state.observation?.lease?.record.application;
    step.emit({ kind: 'leader-changed', leader, application });
  }
  const deadline = Math.min(nextDeadline(step), eligibilityDueAt(step));
  step.emit({ kind: 'wake', at: Math.min(wakeAt, deadline) });
  return { state: step.state, effects: step.effects };
}

/**
 * From when on a follower may open the connection for its acquisition, if nothing changes; Infinity: it expects none. Decides
 * nothing, and takes no dice and no other clock.
 */
export function connectionDueAt(state: ElectionState, now: number, config: ElectionConfig): number {
  const at = { now, wallMicros: 0, wallAfterMicros: 0, suspendedMs: 0, random: 0 };
  return connectsFrom(new Step(state, at, config));
}

function askClocks(step: Step): void {
  if (wentBack(step.state, step.now)) onClockReset(step);
  step.state.latestNow = step.now;
  const { leaseDurationMs } = step.config;
  step.state.wallTrust = trustReviewed(
    step.state.wallTrust,
    step.at,
    step.reading,
    leaseDurationMs,
  );
}

/** A monotonic clock never does, but the one of another machine may show less (R19). */
function wentBack(state: ElectionState, now: number): boolean {
  return now < state.latestNow - ROUNDING_MS;
}

/**
 * The monotonic clock shows less than before: this process was restored on another machine. How much time has passed is
 * not known, and every instant that was noted means nothing on this clock (R19).
 */
function onClockReset(step: Step): void {
  const { tenure, observation, pending, candidacy, contendNotBefore, latestNow } = step.state;
  const { requestTimeoutMs, drainTimeoutMs } = step.config;
  const { now } = step;
  if (pending !== null && pending.purpose !== 'read') step.state.writeUnresolved = true;
  step.abandonPending();
  if (tenure !== null) loseTenure(step, tenure, 'renew-deadline');
  if (observation !== null) {
    const deathShownAt = observation.deathShownAt === null ? null : now;
    step.state.observation = { ...observation, since: now, deathShownAt };
  }
  step.state.mustRead = true;
  step.state.nextReadAt = now;
  step.state.nextAttemptAt = now;
  step.state.contendNotBefore = now + Math.max(0, contendNotBefore - latestNow);
  step.state.refuted = [];
  step.state.restoredAt = -Infinity;
  step.state.resting = step.state.resting.map((resting) => ({ ...resting, since: now }));
  step.state.eligibility = { ...step.state.eligibility, since: now };
  step.state.wallTrust = TRUSTED_WALL;
  if (candidacy === 'stopping') {
    step.state.closingDeadline = now + drainTimeoutMs + 2 * requestTimeoutMs;
  }
  if (step.state.finishing) step.state.finishDeadline = now + 2 * requestTimeoutMs;
}

/** Leadership is a question to the clock at every call, not a flag (R3). */
export function isLeader(state: ElectionState, now: number): boolean {
  return leadingTenure(state, now) !== null;
}

function leadingTenure({ tenure }: ElectionState, now: number): LeadingTenure | null {
  return tenure?.stage === 'leading' && now < tenure.validUntil ? tenure : null;
}

/** The clocks as they are now; the boot time is asked only where it matters, as it takes a hundred times as long. */
export interface HolderClocks {
  now(): number;
  wallMicros(): number;
  suspendedMs(): number;
}

/**
 * Whether this process leads, and monotonic and wall clock agree on it (R3, R19), which is as good as always so while it
 * leads. False: it may lead all the same, as {@link leadsUntil} says. Each gate asks this, so nothing is made for the answer.
 */
export function leadsUndisputed(state: ElectionState, clocks: HolderClocks): boolean {
  const now = clocks.now();
  const tenure = leadingTenure(state, now);
  if (tenure === null || wentBack(state, now)) return false;
  return clocksAgree(tenure.anchor, now, clocks.wallMicros());
}

function clocksAgree(anchor: Anchor, now: number, wallMicros: number): boolean {
  return !disagree(now - anchor.now, wallElapsedMs(anchor, wallMicros));
}

/**
 * The same by all clocks, so that no call is answered by a term that ended while the machine slept or was restored
 * (R19). The monotonic clock is read first and the wall clock last.
 */
export function leadsUntil(
  state: ElectionState,
  clocks: HolderClocks,
  { renewDeadlineMs }: ElectionConfig,
): { readonly now: number; readonly validUntil: number | undefined } {
  const now = clocks.now();
  const { wallTrust } = state;
  const tenure = leadingTenure(state, now);
  if (tenure === null) return { now, validUntil: undefined };
  if (wentBack(state, now)) return { now, validUntil: undefined };
  const { anchor } = tenure;
  const wallMicros = clocks.wallMicros();
  if (clocksAgree(anchor, now, wallMicros)) return { now, validUntil: tenure.validUntil };
  const reading = { now, wallMicros, suspendedMs: clocks.suspendedMs() };
  const left = renewDeadlineMs - holderElapsedMs(anchor, reading, wallTrust);
  const validUntil = Math.min(tenure.validUntil, now + left);
  return { now, validUntil: now < validUntil ? validUntil : undefined };
}

/**
 * Until when no other process can hold the lease if no further renewal is applied: the end of validity, and of work that
 * drains what would be it. Undefined: another process may hold it now. By all clocks, as {@link leadsUntil}.
 */
export function holdsUntil(
  state: ElectionState,
  clocks: HolderClocks,
  config: ElectionConfig,
): { readonly now: number; readonly heldUntil: number | undefined } {
  const { now, validUntil } = leadsUntil(state, clocks, config);
  const { tenure, wallTrust } = state;
  if (tenure?.stage !== 'draining' || wentBack(state, now)) return { now, heldUntil: validUntil };
  const reading = { now, suspendedMs: clocks.suspendedMs(), wallMicros: clocks.wallMicros() };
  const left = config.renewDeadlineMs - holderElapsedMs(tenure.anchor, reading, wallTrust);
  return { now, heldUntil: left > 0 ? now + left : undefined };
}

function apply(step: Step, event: ElectionEvent): void {
  switch (event.kind) {
    case 'tick':
      return;
    case 'start':
      return onStart(step);
    case 'read-done':
    case 'write-done':
      return onAnswer(step, event);
    case 'watch-opening':
      step.state.watchOpening = !step.state.watching;
      return;
    case 'watch-opened':
      return onWatchOpened(step);
    case 'watch-changed':
      step.state.watchMissed = false;
      measureStep(step, event.lease);
      observe(step, event.lease, { from: 'watch', revision: event.revision });
      return reviewTenure(step);
    case 'watch-interrupted':
      return onWatchInterrupted(step);
    case 'holder-died':
      return onHolderDied(step, event.timingKey);
    case 'container-ended':
      return onContainerEnded(step, event.end);
    case 'container-known':
      return onContainerKnown(step, event.term, event.container);
    case 'withdraw':
      return withdraw(step, event);
    case 'resume':
      if (step.state.candidacy === 'suspended') step.state.candidacy = 'contending';
      return;
    case 'crowd-known':
      step.state.members = knownCandidates(event.candidates);
      return;
    case 'successor-chosen':
      step.state.successorUid = event.uid;
      return;
    case 'successor-looked-up':
      if (onSuccessorLookedUp(step, event.request, event.choice)) stepDownAsAsked(step);
      return;
    case 'eligibility':
      return onEligibilityReported(step, event);
    case 'drained':
      return onDrained(step, event.term);
    case 'finish':
      return finish(step);
    default:
      return event satisfies never;
  }
}

function onStart(step: Step): void {
  if (step.state.candidacy !== 'idle') return;
  step.state.candidacy = 'contending';
  step.state.nextAttemptAt = step.now;
  step.state.nextReadAt = step.now;
}

function onAnswer(step: Step, event: Extract<ElectionEvent, { outcome: unknown }>): void {
  const request = step.state.pending;
  // An answer that is no longer awaited: its request counted as unknown when it was given up.
  if (request === null || request.id !== event.id) return;
  step.state.pending = null;
  step.state.pace = paceAfter(step.state.pace, {
    elapsedMs: step.now - request.startedAt.now,
    timeoutMs: request.timeoutMs,
    ...answerKind(event.outcome),
  });
  if (event.kind === 'read-done') {
    return step.state.tenure
      ? onReadWhileHolding(step, event.outcome)
      : onReadWhileFollowing(step, request, event.outcome);
  }
  switch (request.purpose) {
    case 'acquire':
      return onAcquireDone(step, request, event.outcome);
    case 'renew':
      return onRenewDone(step, request, event.outcome);
    case 'release':
      return onReleaseDone(step, request, event.outcome);
    case 'read':
      throw new Error('a read was answered as a write');
    default:
      return request.purpose satisfies never;
  }
}

function answerKind(outcome: ReadOutcome | WriteOutcome): {
  readonly answered: boolean;
  readonly unreachable: boolean;
} {
  const reason = 'error' in outcome ? outcome.error.reason : 'rejected';
  return { answered: reason === 'rejected', unreachable: reason === 'unreachable' };
}

/** Whatever happened before the watch opened is only to be had by a read. */
function onWatchOpened(step: Step): void {
  step.state.watching = true;
  step.state.watchOpening = false;
  step.state.watchMissed = false;
  step.state.mustRead = true;
  step.state.nextReadAt = step.now;
  // It begins with what is stored, however long ago that was sent: no measurement of a step (R22).
  const { tenure } = step.state;
  if (tenure !== null) step.state.measuredRenewMicros = tenure.sentRenewMicros;
}

/** All followers lose a server that ends at the same instant; their reads are spread over a retry period. */
function onWatchInterrupted(step: Step): void {
  step.state.watchOpening = false;
  if (!step.state.watching) return;
  step.state.watching = false;
  const spreadMs = step.at.random * step.config.retryPeriodMs;
  step.state.nextReadAt = Math.max(step.state.nextReadAt, step.now + spreadMs);
}

function withdraw(step: Step, event: Extract<ElectionEvent, { kind: 'withdraw' }>): void {
  const { candidacy } = step.state;
  if (candidacy === 'stopping' || (candidacy === 'idle' && event.reason !== 'shutdown')) return;
  if (event.reason === 'shutdown') {
    const { drainTimeoutMs, requestTimeoutMs } = step.config;
    step.state.candidacy = 'stopping';
    step.state.closingDeadline = step.now + drainTimeoutMs + 2 * requestTimeoutMs;
  } else if (event.reason === 'suspended') step.state.candidacy = 'suspended';
  // A suspension asks for none, and leaves one that a step-down has asked for as it is.
  step.state.cooldownMs = Math.max(step.state.cooldownMs, event.cooldownMs);
  coolDown(step, event.cooldownMs);
  beginDraining(step, event.reason);
}

/** So that another process comes first (R27). */
function stepDownAsAsked(step: Step): void {
  const cooldownMs = ASKED_COOLDOWN_PERIODS * step.config.retryPeriodMs;
  withdraw(step, { kind: 'withdraw', reason: 'stepped-down', cooldownMs });
}

function onDrained(step: Step, term: number): void {
  if (step.state.undrainedTerm !== term) return;
  step.state.undrainedTerm = null;
  coolDown(step, step.state.cooldownMs);
  cutRenewal(step);
}

/** Counts from the end of the term's work: others cannot take the lease before it is released. */
function coolDown(step: Step, cooldownMs: number): void {
  step.state.contendNotBefore = Math.max(step.state.contendNotBefore, step.now + cooldownMs);
}

function finish(step: Step): void {
  if (step.state.finishing) return;
  if (step.state.candidacy !== 'stopping') {
    withdraw(step, { kind: 'withdraw', reason: 'shutdown', cooldownMs: 0 });
  }
  // Time for a request that is under way and for the release after it, and no more: closing must end. A slow server
  // may use what is left of the time to drain.
  const { closingDeadline } = step.state;
  const least = step.now + 2 * step.config.requestTimeoutMs;
  const enough = step.now + 2 * step.holdersTimeoutMs;
  const finishDeadline = Math.max(least, Math.min(enough, closingDeadline));
  step.state.finishing = true;
  step.state.finishDeadline = finishDeadline;
  step.state.nextReadAt = step.now;
  step.state.nextAttemptAt = step.now;
  cutRenewal(step);
}

/** Starts the next request if one is due; answers when it wants to look again. */
function proceed(step: Step): number {
  const { candidacy, finishing, finishDeadline, pending } = step.state;
  if (candidacy === 'idle' || candidacy === 'stopped') return Infinity;
  if (finishing) {
    const uselessRead =
      pending?.purpose === 'read' && step.state.tenure === null && !step.state.writeUnresolved;
    if (step.now >= finishDeadline || uselessRead) step.abandonPending();
    if (step.now >= finishDeadline) return stop(step);
  }
  giveUpOverdueRenewal(step);
  if (step.state.pending !== null) {
    return Math.min(step.state.pending.cutAt, finishing ? finishDeadline : Infinity);
  }
  let wakeAt = Infinity;
  if (step.state.tenure !== null) wakeAt = proceedHolding(step);
  if (step.state.tenure === null && step.state.pending === null) wakeAt = proceedFollowing(step);
  const nothingLeft = step.state.tenure === null && step.state.pending === null;
  if (finishing && nothingLeft && wakeAt === Infinity) return stop(step);
  return finishing ? Math.min(wakeAt, finishDeadline) : wakeAt;
}

function stop(step: Step): number {
  step.state.candidacy = 'stopped';
  step.state.tenure = null;
  step.emit({ kind: 'stop' });
  return Infinity;
}

/** The instants at which something changes though no event comes and no request may be sent. */
function nextDeadline(step: Step): number {
  const { tenure, candidacy } = step.state;
  if (candidacy === 'idle' || candidacy === 'stopped') return Infinity;
  const later = (instant: number): number => (instant > step.now ? instant : Infinity);
  if (tenure === null) return later(observedExpiry(step));
  switch (tenure.stage) {
    case 'leading':
      return tenure.validUntil;
    case 'settling':
      return Math.min(tenure.validUntil, later(tenure.settledAt));
    case 'draining':
      return later(tenure.drainDeadline);
    case 'releasing':
      return later(tenure.releaseDeadline);
    default:
      return tenure satisfies never;
  }
}
