import type { Observation, PendingRequest, ReleasingTenure } from './election-state.js';
import { connectAheadMs, crowdAfterAcquisition, UNKNOWN_CROWD, writtenCrowd } from './crowd.js';
import { LockRequestError } from './errors.js';
import { competesFrom } from './eligibility.js';
import { beginTenure, isIntact, proceedHolding } from './holding.js';
import { isCleanRelease, type LeaseRecord, nextTransitions, recordFor } from './lease-record.js';
import { isOwnRecord, leaseDurationOf, observe, waitedShare } from './observing.js';
import {
  acquiredLate,
  attemptConflicted,
  attemptFailed,
  retryAt,
  triableFrom,
} from './repetition.js';
import { followersTimeoutMs } from './request-timeout.js';
import type { ReadOutcome, WriteOutcome } from './resource-lock.js';
import { reviewRequest, writtenAnswer } from './leader-request.js';
import { writtenGaveUp } from './resting.js';
import { isNewer, type Step } from './step.js';
import { monotonicElapsedMs } from './validity.js';

/** An attempt that lands after it was forgotten is waited out like the record of any other process. */
const REMEMBERED_ATTEMPTS = 16;

const LEAST_PATIENCE_MS = 1_000;

/**
 * What a process without the lease does next; answers when it wants to look again.
 * 1. Read, if it does not know how things stand.
 * 2. Let go of a record that still names it though it does not compete.
 * 3. Take the lease when that is due.
 * 4. Poll, if there is no watch to bring news.
 */
export function proceedFollowing(step: Step): number {
  const { observation, nextAttemptAt, nextReadAt, candidacy, writeUnresolved } = step.state;
  const stopping = candidacy === 'stopping';
  if (observation === null || step.state.mustRead) {
    if (stopping && !writeUnresolved) return Infinity;
    return step.now >= nextReadAt ? read(step) : nextReadAt;
  }
  const orphan = orphanedTenure(step, observation);
  if (orphan !== null) {
    if (step.now < nextAttemptAt) return nextAttemptAt;
    step.state.tenure = orphan;
    // It may have come while this process held nothing, and is removed by the release.
    reviewRequest(step);
    step.state.crowd = observation.lease?.record.crowd ?? UNKNOWN_CROWD;
    return proceedHolding(step);
  }
  if (stopping) return Infinity;
  const attemptAt = acquiresAt(step, observation);
  if (step.now >= attemptAt) return acquire(step, observation);
  if (step.state.watching && !step.state.watchMissed) return attemptAt;
  return step.now >= nextReadAt ? read(step) : Math.min(attemptAt, nextReadAt);
}

/** When it acquires what it has observed, if nothing changes. */
function acquiresAt(step: Step, observation: Observation): number {
  return Math.max(
    contendFrom(step),
    competesFrom(step, observation),
    step.state.nextAttemptAt,
    observation.lease === null ? -Infinity : triableFrom(step, observation.revision),
  );
}

/** From when on a connection is of use to the acquisition that comes next; Infinity if none is to be expected. */
export function connectsFrom(step: Step): number {
  const { observation, mustRead, tenure, pending, candidacy, members } = step.state;
  const isExpected = tenure === null && pending === null && candidacy === 'contending';
  if (!isExpected || observation === null || mustRead) return Infinity;
  const aheadMs = connectAheadMs(observation.lease, members, step.config.leaseDurationMs);
  return acquiresAt(step, observation) - aheadMs;
}

/** From when on this process may acquire; Infinity while it must not. */
function contendFrom(step: Step): number {
  const { candidacy, undrainedTerm, contendNotBefore } = step.state;
  // Work of the last term still runs: a new one would overlap it in this very process.
  if (undrainedTerm !== null) return Infinity;
  return candidacy === 'contending' ? contendNotBefore : Infinity;
}

function read(step: Step): number {
  step.send('read', { verb: 'read' }, timeoutMs(step));
  return Infinity;
}

/**
 * What is acquired later than `longestMs` after the request could not be renewed in time; a server that steadily takes more
 * than half of the renew deadline has no leader (R20).
 */
function timeoutMs(step: Step): number {
  const { renewDeadlineMs, retryPeriodMs, requestTimeoutMs: configuredMs } = step.config;
  const longestMs = renewDeadlineMs - retryPeriodMs;
  const longestWhileHangingMs = Math.min(longestMs, renewDeadlineMs / 2);
  return followersTimeoutMs(step.state.pace, { configuredMs, longestMs, longestWhileHangingMs });
}

export function onReadWhileFollowing(
  step: Step,
  request: PendingRequest,
  outcome: ReadOutcome,
): void {
  if (outcome.kind === 'failed') {
    step.fail(outcome.error);
    step.state.nextReadAt = retryAt(step, request, { error: outcome.error });
    return;
  }
  const afterConflict = step.state.failedAttempts?.as === 'conflict';
  const knownRevision = step.state.observation?.revision;
  observe(step, outcome.kind === 'found' ? outcome.stored : null, {
    from: 'read',
    knownAtStart: request.baseRevision,
  });
  const learned = step.state.observation!.revision !== knownRevision;
  if (afterConflict && learned) step.state.watchMissed = true;
  step.state.mustRead = false;
  step.state.writeUnresolved = false;
  step.state.nextReadAt = retryAt(step, request);
}

/** Every acquisition counts one transition, also that of a record which still names this process (R12). */
function acquire(step: Step, observation: Observation): number {
  const { lease } = observation;
  const term = nextTransitions(lease?.record.leaseTransitions ?? step.state.highestTransitions);
  const { lastAcquisition } = step.state;
  const earlier = lastAcquisition?.term === term ? lastAcquisition : undefined;
  const renewTimeMicros = step.nextRenewMicros();
  const attempts = [...(earlier?.acquireTimesMicros ?? []), renewTimeMicros];
  const acquireTimesMicros = attempts.slice(-REMEMBERED_ATTEMPTS);
  step.state.lastAcquisition = {
    term,
    acquireTimesMicros,
    renewTimesMicros: acquireTimesMicros,
  };
  const times = { acquireTimeMicros: renewTimeMicros, renewTimeMicros };
  const { members } = step.state;
  const share = waitedShare(step, observation);
  const crowd = writtenCrowd(crowdAfterAcquisition(lease?.record.crowd, members, share), members);
  const gaveUp = writtenGaveUp(step, term);
  const answer = writtenAnswer(step, term);
  const record = recordFor('hold', { term, ...times, crowd, gaveUp, answer }, step.config);
  step.send(
    'acquire',
    lease === null ? { verb: 'create', record } : { verb: 'replace', record, expected: lease },
    timeoutMs(step),
    { unclean: uncleanKind(lease?.record), settleMs: settleMs(step, lease?.record) },
  );
  return Infinity;
}

function uncleanKind(former: LeaseRecord | undefined): PendingRequest['unclean'] {
  if (former === undefined) return 'missing';
  if (former.holderIdentity !== '' || isCleanRelease(former)) return null;
  const wasHeld =
    former.leaseTransitions > 0 ||
    former.acquireTimeMicros !== null ||
    former.renewTimeMicros !== null;
  return wasHeld ? 'emptied' : 'unheld';
}

/**
 * Strict mode: whatever was done to the lease by hand, a believer left over from before it ends within its own lease
 * duration. Only a clean release proves that there is none (R13).
 */
function settleMs(step: Step, former: LeaseRecord | undefined): number {
  if (!step.config.strict || (former !== undefined && isCleanRelease(former))) return 0;
  const formerMs = former === undefined ? 0 : leaseDurationOf(former, step.config);
  return Math.max(step.config.leaseDurationMs, formerMs);
}

export function onAcquireDone(step: Step, request: PendingRequest, outcome: WriteOutcome): void {
  step.state.nextAttemptAt = retryAt(step, request);
  step.state.nextReadAt = retryAt(step, request);
  switch (outcome.kind) {
    case 'applied':
      observe(step, outcome.stored, { from: 'write' });
      // What is no newer version counts as old, and was not taken note of.
      step.state.writeUnresolved = !isNewer(outcome.stored.revision, request);
      step.state.mustRead = step.state.writeUnresolved;
      if (step.wasAltered(request, outcome.stored)) return attemptFailed(step, request, 'altered');
      return onAcquired(step, request);
    case 'conflict':
      // Someone was faster, or an own earlier attempt has landed. A watch tells in a moment which, however many have lost;
      // without news for long, or without a watch, a read does (R22).
      attemptConflicted(step, request);
      const { watching, finishing } = step.state;
      step.state.nextReadAt = step.now + (watching && !finishing ? patienceMs(step) : 0);
      if (!hasNewsSince(step, request)) step.state.mustRead = true;
      return;
    case 'absent':
      if (request.sent.verb === 'create') return onRefused(step, request, nowhereToCreate());
      return observe(step, null, { from: 'read' });
    case 'not-applied':
      return onRefused(step, request, outcome.error);
    case 'unknown':
      step.fail(outcome.error);
      attemptFailed(step, request, 'unknown', outcome.error);
      step.state.writeUnresolved = true;
      step.state.mustRead = true;
      return;
    default:
      return outcome satisfies never;
  }
}

function onRefused(step: Step, request: PendingRequest, error: LockRequestError): void {
  step.fail(error);
  const as = error.reason === 'unreachable' ? 'unreachable' : 'rejected';
  attemptFailed(step, request, as, error);
}

/** "Absent" is not an answer to a creation (see WriteOutcome), but what a lock makes of any 404. */
function nowhereToCreate(): LockRequestError {
  return new LockRequestError(
    'The lock answered "absent" to creating the lease, as if it were to be replaced. Check that the namespace, directory ' +
      'or table of the lease exists. A lock of your own must answer "not-applied", with an error, to a creation that its ' +
      'store refuses.',
    { reason: 'rejected' },
  );
}

/** How long an open watch may take to tell of what a conflict has shown to be there. */
function patienceMs({ config }: Step): number {
  return Math.max(LEAST_PATIENCE_MS, config.retryPeriodMs);
}

/** The watch was faster than the answer: it has told already what was written in between. */
function hasNewsSince({ state: { observation } }: Step, { baseRevision }: PendingRequest): boolean {
  return observation !== null && observation.revision > (baseRevision ?? -1n);
}

function onAcquired(step: Step, request: PendingRequest): void {
  const lease = step.state.observation?.lease ?? null;
  const stillOurs = lease !== null && isIntact(step, lease.record);
  // An answer that took more than half of the renew deadline leaves no time for a renewal that takes as long: the term
  // could only end (R20). By the monotonic clock: a wall clock that runs away has to end terms before it is no longer
  // believed (R19), and would otherwise keep the lease from every process.
  const tookMs = monotonicElapsedMs(request.startedAt, step.reading);
  const inTime = tookMs <= step.config.renewDeadlineMs / 2;
  // A success that came too late to believe in, or after this process had stopped competing, is not a term. The record
  // names us all the same: it is acquired again, or let go of.
  if (!stillOurs || !inTime || contendFrom(step) > step.now) {
    if (stillOurs && !inTime) acquiredLate(step, tookMs);
    step.state.nextAttemptAt = step.now;
    return;
  }
  beginTenure(step, request, lease);
  const { sent } = request;
  const coordination = sent.verb === 'replace' ? sent.expected.record.coordination : undefined;
  if (coordination !== undefined) {
    step.emit({
      kind: 'uncoordinated-acquisition',
      term: lease.record.leaseTransitions,
      coordination,
    });
  }
  if (!step.state.eligibility.isEligible) {
    step.emit({ kind: 'ineligible-acquisition', term: lease.record.leaseTransitions });
  }
}

/** It was to be handed over as this process is unfit to lead, and its work ended too late for a release (R25). */
function wasLetGo({ state: { eligibility } }: Step, { leaseTransitions }: LeaseRecord): boolean {
  return !eligibility.isEligible && eligibility.letGoTerm === leaseTransitions;
}

/**
 * The lease names this process, by a write of its own, but it does not compete, or had decided to hand over: it gives it
 * back instead of letting all others wait. If that term was granted, its work has ended by now, though too late for the drain, and the release says
 * so; if it never was, the release promises nothing about former believers.
 */
function orphanedTenure(step: Step, observation: Observation): ReleasingTenure | null {
  const { lease } = observation;
  const { undrainedTerm, candidacy, finishing } = step.state;
  if (lease === null || !isOwnRecord(step, lease.record)) return null;
  if (undrainedTerm !== null) return null;
  if (contendFrom(step) <= step.now && !wasLetGo(step, lease.record)) return null;
  if (candidacy === 'stopping' && !(finishing && step.config.releaseOnShutdown)) return null;
  const { lastRenewMicros } = step.state;
  return {
    stage: 'releasing',
    uid: lease.uid,
    term: lease.record.leaseTransitions,
    acquireTimeMicros: lease.record.acquireTimeMicros ?? lastRenewMicros,
    appliedRenewMicros: lastRenewMicros,
    sentRenewMicros: lastRenewMicros,
    wasGranted: step.state.lastGrantedTerm === lease.record.leaseTransitions,
    releaseDeadline: step.now + 2 * step.holdersTimeoutMs,
    releaseSentAt: null,
    mustReadBack: false,
    container: null,
  };
}
