import type { ContainerMark } from './container.js';
import {
  type BelievingTenure,
  type DrainingTenure,
  type HeldLease,
  type PendingRequest,
  type ReleasingTenure,
  RETRY_BACKOFF_MS,
  type SettlingTenure,
  type Tenure,
  type WithdrawalReason,
} from './election-state.js';
import { DrainTimeoutError, type LockRequestError, WallClockError } from './errors.js';
import type { ReadOutcome, WriteOutcome } from './resource-lock.js';
import { type LeaseRecord, type ObservedLease, recordFor } from './lease-record.js';
import { crowdAfterRenewal, UNKNOWN_CROWD, writtenCrowd } from './crowd.js';
import { isOwnRecord, observe } from './observing.js';
import { writtenAnswer } from './leader-request.js';
import { noteGivingUp, writtenGaveUp } from './resting.js';
import { chosenSuccessor, isNamed } from './succession.js';
import type { RevocationReason } from './term.js';
import { isNewer, type Step } from './step.js';
import { agreesForMs, type Anchor, monotonicElapsedMs, trustAfterEnding } from './validity.js';

function believes(tenure: Tenure): tenure is BelievingTenure {
  return tenure.stage === 'settling' || tenure.stage === 'leading';
}

/** What goes with the lease from stage to stage. */
function heldLease(tenure: Tenure): HeldLease {
  const { uid, term, acquireTimeMicros, appliedRenewMicros, sentRenewMicros } = tenure;
  const { mustReadBack, container } = tenure;
  const times = { acquireTimeMicros, appliedRenewMicros, sentRenewMicros };
  return { uid, term, ...times, mustReadBack, container };
}

/** The lease is ours from the acquiring write on; the term begins now, or once it has settled. */
export function beginTenure(step: Step, request: PendingRequest, lease: ObservedLease): void {
  const { startedAt, settleMs, unclean, sent } = request;
  const { lastRenewMicros } = step.state;
  const tenure: SettlingTenure = {
    stage: 'settling',
    uid: lease.uid,
    term: lease.record.leaseTransitions,
    fencingToken: lease.revision,
    anchor: startedAt,
    validUntil: startedAt.now + step.config.renewDeadlineMs,
    acquireTimeMicros: lastRenewMicros,
    appliedRenewMicros: lastRenewMicros,
    sentRenewMicros: lastRenewMicros,
    sentAt: startedAt,
    settledAt: step.now + settleMs,
    mustReadBack: false,
    container: null,
  };
  const nextAttemptAt = startedAt.now + step.config.retryPeriodMs;
  // However short the terms are made: one acquisition per retry period.
  const contendNotBefore = Math.max(step.state.contendNotBefore, nextAttemptAt);
  step.state.tenure = tenure;
  step.state.nextAttemptAt = nextAttemptAt;
  step.state.contendNotBefore = contendNotBefore;
  step.state.cooldownMs = 0;
  step.state.crowd = lease.record.crowd ?? UNKNOWN_CROWD;
  step.state.successorUid = null;
  // A lease that is deleted and made again counts its terms from the start, and another's may then have the number of that one.
  step.state.eligibility = { ...step.state.eligibility, letGoTerm: null };
  step.state.wasNamed = sent.verb === 'replace' && isNamed(step, sent.expected.record);
  step.state.failedAttempts = null;
  if (settleMs > 0) step.emit({ kind: 'settling', term: tenure.term, settleMs });
  else if (unclean !== null) {
    step.emit({ kind: 'unclean-acquisition', term: tenure.term, was: unclean });
  }
}

export function grantIfSettled(step: Step): void {
  const { tenure } = step.state;
  if (tenure?.stage !== 'settling' || step.now < tenure.settledAt) return;
  const { term, sentAt, anchor, validUntil, fencingToken } = tenure;
  step.state.tenure = { ...heldLease(tenure), stage: 'leading', sentAt, anchor, validUntil };
  step.state.lastGrantedTerm = term;
  step.emit({ kind: 'grant', term, fencingToken });
}

/** Ends a term whose validity has passed. Runs before and after every event: the wake-up is only a helper (R3, R4). */
export function expireTenure(step: Step): void {
  const { tenure } = step.state;
  if (tenure === null || !believes(tenure)) return;
  // Never later than the instant that `isLeader()` goes by, not even by a rounding error.
  const validUntil = Math.min(
    tenure.validUntil,
    step.now + step.config.renewDeadlineMs - step.holderElapsedSince(tenure.anchor),
  );
  if (validUntil < tenure.validUntil) step.updateTenure(tenure, { validUntil });
  if (step.now < validUntil) return;
  if (monotonicElapsedMs(tenure.anchor, step.reading) < step.config.renewDeadlineMs) {
    blameWallClock(step);
  }
  loseTenure(step, tenure, 'renew-deadline');
}

/** The other clocks would not have ended this term. */
function blameWallClock(step: Step): void {
  const { role, leaseDurationMs } = step.config;
  const trust = trustAfterEnding(step.state.wallTrust, step.at, leaseDurationMs);
  step.state.wallTrust = trust;
  if (trust.disagreedAt === null) return;
  const error = new WallClockError(role, trust.endings.length, agreesForMs(leaseDurationMs));
  step.emit({ kind: 'failed', error });
}

/** Ends the tenure if the lease is seen to be anything but what this process wrote (R9). */
export function reviewTenure(step: Step): void {
  const { tenure, observation } = step.state;
  if (tenure === null) return;
  const lease = observation?.lease ?? null;
  if (lease !== null && lease.uid === tenure.uid && isIntact(step, lease.record)) return;
  const released =
    lease?.record.holderIdentity === '' && lease.record.leaseTransitions === tenure.term;
  if (tenure.stage === 'releasing' && released) return endRelease(step, tenure);
  loseTenure(
    step,
    tenure,
    lease === null || lease.uid !== tenure.uid ? 'lease-deleted' : 'superseded',
  );
}

/** What is stored says what this process has written, its promise to the others included. */
export function isIntact(step: Step, record: LeaseRecord): boolean {
  return (
    isOwnRecord(step, record) && record.leaseDurationSeconds === step.config.leaseDurationMs / 1_000
  );
}

export function loseTenure(step: Step, tenure: Tenure, reason: RevocationReason): void {
  step.state.tenure = null;
  step.state.mustRead = true;
  step.state.nextReadAt = step.now;
  // Nothing has shown that the lease names another process.
  if (reason === 'renew-deadline') step.state.writeUnresolved = true;
  if (tenure.stage === 'leading') endTerm(step, tenure, reason);
}

function endTerm(step: Step, tenure: Tenure, reason: RevocationReason): void {
  step.state.undrainedTerm = tenure.term;
  step.emit({ kind: 'revoke', term: tenure.term, reason });
}

/** Gives the term up on purpose. The lease is kept, and kept renewed, while the term's work ends (R10). */
export function beginDraining(step: Step, reason: WithdrawalReason | 'ineligible'): void {
  const { tenure } = step.state;
  if (tenure === null || !believes(tenure)) return;
  const wasGranted = tenure.stage === 'leading';
  step.state.tenure = {
    ...heldLease(tenure),
    stage: 'draining',
    sentAt: tenure.sentAt,
    anchor: tenure.anchor,
    wasGranted,
    // Not this very instant: that nothing is left to drain is said only after the end of the term was heard of.
    drainDeadline: step.now + Math.max(1, step.config.drainTimeoutMs),
  };
  if (wasGranted) {
    noteGivingUp(step, tenure.term, reason);
    endTerm(step, tenure, reason);
  } else cutRenewal(step);
}

/** What a process with the lease does next; answers when it wants to look again. May end the tenure. */
export function proceedHolding(step: Step): number {
  const tenure = step.state.tenure!;
  if (tenure.stage === 'releasing') return proceedReleasing(step, tenure);
  if (tenure.stage === 'draining') return proceedDraining(step, tenure);
  const wakeAt = renewOrReadBack(step, tenure);
  return tenure.stage === 'settling' ? Math.min(wakeAt, tenure.settledAt) : wakeAt;
}

/**
 * If nothing is left to drain, the release waits for a renewal that is under way: not for as long as a slow server is
 * given otherwise.
 */
export function cutRenewal(step: Step): void {
  const { pending, tenure } = step.state;
  if (pending === null || tenure?.stage !== 'draining' || !isDrained(step, tenure)) return;
  step.state.pending = { ...pending, cutAt: step.now + step.config.requestTimeoutMs };
}

/** It may have landed or land later: the release begins with a look (R9). */
export function giveUpOverdueRenewal(step: Step): void {
  const { pending, tenure } = step.state;
  if (pending === null || step.now < pending.cutAt) return;
  step.abandonPending();
  if (tenure !== null) step.updateTenure(tenure, { mustReadBack: true });
}

/** Neither work of the term nor what the application still closes needs the lease. */
function isDrained({ state }: Step, { wasGranted }: DrainingTenure): boolean {
  const closes = state.candidacy === 'stopping' && !state.finishing;
  return !wasGranted || (state.undrainedTerm === null && !closes);
}

function proceedDraining(step: Step, tenure: DrainingTenure): number {
  const { finishing, undrainedTerm } = step.state;
  if (isDrained(step, tenure)) {
    beginRelease(step, tenure);
    return step.state.tenure === null ? Infinity : proceedHolding(step);
  }
  if (undrainedTerm !== null && (finishing || step.now >= tenure.drainDeadline)) {
    // Work may still run: whoever follows must wait the lease out.
    step.state.tenure = null;
    const { role, drainTimeoutMs } = step.config;
    step.emit({
      kind: 'failed',
      error: new DrainTimeoutError(role, undrainedTerm, drainTimeoutMs),
    });
    return Infinity;
  }
  // Drained in time, but the application takes longer to close than was allowed for: renew no more, release when told.
  if (step.now >= tenure.drainDeadline) return Infinity;
  return Math.min(renewOrReadBack(step, tenure), tenure.drainDeadline);
}

function renewOrReadBack(step: Step, tenure: BelievingTenure | DrainingTenure): number {
  if (step.now < step.state.nextAttemptAt) return step.state.nextAttemptAt;
  // Belief is over while it drains, so the old validity bounds nothing.
  const end = tenure.stage === 'draining' ? tenure.drainDeadline : tenure.validUntil;
  const timeoutMs = Math.min(step.holdersTimeoutMs, end - step.now);
  if (tenure.mustReadBack) {
    step.send('read', { verb: 'read' }, timeoutMs);
    return Infinity;
  }
  const renewTimeMicros = step.nextRenewMicros();
  step.updateTenure(tenure, { sentRenewMicros: renewTimeMicros, sentAt: step.at });
  const { term, acquireTimeMicros, container } = tenure;
  const crowd = writtenCrowd(step.state.crowd, step.state.members);
  const gaveUp = writtenGaveUp(step, term);
  const answer = writtenAnswer(step, term);
  const record = recordFor(
    'hold',
    { term, acquireTimeMicros, renewTimeMicros, crowd, container, gaveUp, answer },
    step.config,
  );
  step.send('renew', { verb: 'replace', record, expected: knownLease(step) }, timeoutMs);
  return Infinity;
}

/** The next renewal names it, and comes no sooner for that (R24). */
export function onContainerKnown(step: Step, term: number, container: ContainerMark): void {
  const { tenure } = step.state;
  if (tenure !== null && tenure.term === term) step.updateTenure(tenure, { container });
}

/** How long a renewal takes to be heard of is what keeps candidates from sending in vain (R22). */
export function measureStep(step: Step, lease: ObservedLease | null): void {
  const { tenure, crowd, measuredRenewMicros } = step.state;
  if (lease === null || tenure === null || tenure.stage === 'releasing') return;
  const { sentRenewMicros, acquireTimeMicros, sentAt } = tenure;
  if (lease.record.renewTimeMicros !== sentRenewMicros || !isOwnRecord(step, lease.record)) return;
  // The acquiring write may have been heard of before it was answered, and a watch may repeat itself.
  if (sentRenewMicros === acquireTimeMicros || sentRenewMicros === measuredRenewMicros) return;
  step.state.measuredRenewMicros = sentRenewMicros;
  step.state.crowd = crowdAfterRenewal(crowd, step.now - sentAt.now);
}

export function onRenewDone(step: Step, request: PendingRequest, outcome: WriteOutcome): void {
  const tenure = tenureAfter(step, request, outcome);
  // The term ended while the request was under way. What it wrote is at best a lease to be acquired again (R12). A
  // release waits for a renewal to end.
  if (tenure === null || tenure.stage === 'releasing') return;
  switch (outcome.kind) {
    case 'applied':
      if (!isNewer(outcome.stored.revision, request)) return pauseHolding(step);
      // A new version with another renew time is none either: it is what is stored that sets observers' clocks back.
      if (outcome.stored.record.renewTimeMicros !== tenure.sentRenewMicros)
        return pauseHolding(step);
      return extend(step, tenure, request.startedAt, tenure.sentRenewMicros);
    case 'not-applied':
      step.state.nextAttemptAt = retryOfRejected(step, tenure, request, outcome.error);
      return;
    default:
      // Neither a conflict nor silence says who holds the lease: look at once (R9).
      step.updateTenure(tenure, { mustReadBack: true });
      step.state.nextAttemptAt = step.now;
      return;
  }
}

/** Takes note of what a write has shown; null if the lease turned out to be lost. */
function tenureAfter(step: Step, request: PendingRequest, outcome: WriteOutcome): Tenure | null {
  if (outcome.kind === 'applied') {
    step.wasAltered(request, outcome.stored);
    observe(step, outcome.stored, { from: 'write' });
  }
  if (outcome.kind === 'absent') observe(step, null, { from: 'read' });
  if (outcome.kind === 'unknown' || outcome.kind === 'not-applied') step.fail(outcome.error);
  reviewTenure(step);
  return step.state.tenure;
}

/** A renewal is known to be applied: it counts from the instant before it was built. */
function extend(
  step: Step,
  tenure: BelievingTenure | DrainingTenure,
  anchor: Anchor,
  appliedRenewMicros: number,
): void {
  noteApplied(step, tenure.term, appliedRenewMicros);
  step.state.nextAttemptAt = anchor.now + step.config.retryPeriodMs;
  if (believes(tenure)) {
    const validUntil = anchor.now + step.config.renewDeadlineMs;
    step.updateTenure(tenure, { anchor, validUntil, appliedRenewMicros, mustReadBack: false });
  } else step.updateTenure(tenure, { anchor, appliedRenewMicros, mustReadBack: false });
}

function noteApplied(step: Step, term: number, renewMicros: number): void {
  // Whatever was sent before can no longer be applied: it was conditioned on an older version.
  const lastAcquisition = step.state.lastAcquisition!;
  const renewTimesMicros = lastAcquisition.renewTimesMicros.filter((sent) => sent >= renewMicros);
  step.state.lastAcquisition = { ...lastAcquisition, renewTimesMicros };
  step.emit({ kind: 'renewed', term });
}

function pauseHolding(step: Step): void {
  step.state.nextAttemptAt = step.now + RETRY_BACKOFF_MS;
}

/** Obeys a Retry-After only as far as it leaves time for one more whole request before validity ends (R18). */
function retryOfRejected(
  step: Step,
  tenure: Tenure,
  request: PendingRequest,
  error: LockRequestError,
): number {
  const { retryPeriodMs, requestTimeoutMs } = step.config;
  const usual =
    error.reason === 'rejected'
      ? request.startedAt.now + retryPeriodMs
      : step.now + RETRY_BACKOFF_MS;
  if (!believes(tenure)) return usual;
  const wanted = Math.max(usual, step.now + (error.retryAfterMs ?? 0));
  const latest = Math.max(step.now + RETRY_BACKOFF_MS, tenure.validUntil - requestTimeoutMs);
  return Math.min(wanted, latest);
}

export function onReadWhileHolding(step: Step, outcome: ReadOutcome): void {
  if (outcome.kind === 'failed') {
    step.fail(outcome.error);
    return pauseHolding(step);
  }
  observe(step, outcome.kind === 'found' ? outcome.stored : null, { from: 'read' });
  reviewTenure(step);
  const { tenure } = step.state;
  if (tenure === null || outcome.kind !== 'found') return;
  const landed = outcome.stored.record.renewTimeMicros === tenure.sentRenewMicros;
  if (landed && tenure.sentRenewMicros > tenure.appliedRenewMicros) {
    // Proof that the write of unknown outcome was applied: it counts from its own start. A read as such extends
    // nothing (R9).
    if (tenure.stage !== 'releasing') {
      return extend(step, tenure, tenure.sentAt, tenure.sentRenewMicros);
    }
    noteApplied(step, tenure.term, tenure.sentRenewMicros);
    step.state.nextAttemptAt = step.now;
    step.updateTenure(tenure, { appliedRenewMicros: tenure.sentRenewMicros, mustReadBack: false });
    return;
  }
  step.updateTenure(tenure, { mustReadBack: false });
  if (tenure.stage === 'releasing') {
    const { releaseSentAt } = tenure;
    const notBefore = releaseSentAt === null ? step.now : releaseSentAt + RETRY_BACKOFF_MS;
    step.state.nextAttemptAt = Math.max(step.now, notBefore);
  } else pauseHolding(step);
}

/** From the first byte of a release the term is over for good; leading again takes a new acquisition (R11). */
function beginRelease(step: Step, tenure: DrainingTenure): void {
  const { candidacy, finishing, finishDeadline } = step.state;
  if (candidacy === 'stopping' && !step.config.releaseOnShutdown) {
    step.state.tenure = null;
    return;
  }
  step.state.tenure = {
    ...heldLease(tenure),
    stage: 'releasing',
    wasGranted: tenure.wasGranted,
    releaseDeadline: finishing ? finishDeadline : step.now + 2 * step.holdersTimeoutMs,
    releaseSentAt: null,
  };
  step.state.nextAttemptAt = step.now;
}

function proceedReleasing(step: Step, tenure: ReleasingTenure): number {
  const { now, config } = step;
  if (now >= tenure.releaseDeadline) {
    letLapse(step);
    return Infinity;
  }
  if (now < step.state.nextAttemptAt) {
    return Math.min(step.state.nextAttemptAt, tenure.releaseDeadline);
  }
  const timeoutMs = Math.min(step.holdersTimeoutMs, tenure.releaseDeadline - now);
  if (tenure.mustReadBack) {
    step.send('read', { verb: 'read' }, timeoutMs);
    return tenure.releaseDeadline;
  }
  const renewTimeMicros = step.nextRenewMicros();
  const { term, acquireTimeMicros, wasGranted } = tenure;
  const purpose = wasGranted ? 'release' : 'give-back';
  const crowd = writtenCrowd(step.state.crowd, step.state.members);
  const successorUid = chosenSuccessor(step);
  const gaveUp = writtenGaveUp(step, term);
  const answer = writtenAnswer(step, term);
  const written = { term, acquireTimeMicros, renewTimeMicros, crowd, successorUid, gaveUp, answer };
  const record = recordFor(purpose, written, config);
  step.updateTenure(tenure, { releaseSentAt: now });
  step.send('release', { verb: 'replace', record, expected: knownLease(step) }, timeoutMs);
  return tenure.releaseDeadline;
}

export function onReleaseDone(step: Step, request: PendingRequest, outcome: WriteOutcome): void {
  const tenure = tenureAfter(step, request, outcome);
  if (tenure === null) return;
  // It still names us, as something has undone the release: trying again would only be undone again.
  if (outcome.kind === 'applied') return letLapse(step);
  if (outcome.kind === 'not-applied') return pauseHolding(step);
  // Write again only if the lease still names this process with these transitions: read first (R11).
  step.updateTenure(tenure, { mustReadBack: true });
  step.state.nextAttemptAt = step.now;
}

/** From here on that record counts as another process's. */
function letLapse(step: Step): void {
  step.state.tenure = null;
  step.state.lastAcquisition = null;
}

function endRelease(step: Step, tenure: Tenure): void {
  letLapse(step);
  step.emit({ kind: 'released', term: tenure.term });
}

/** The version every write of a holder is conditioned on: the newest known one, which `reviewTenure` has checked. */
function knownLease(step: Step): ObservedLease {
  return step.state.observation!.lease!;
}
