import { windowMs } from './crowd.js';
import { type LeaseRecord, type ObservedLease, successorOf } from './lease-record.js';
import type { ElectionConfig, Observation } from './election-state.js';
import { namesEndedContainer } from './holder-death.js';
import { isNews } from './repetition.js';
import { reviewResting } from './resting.js';
import type { Step } from './step.js';
import { heldBackMs, isNamed, reviewSuccession } from './succession.js';

interface Source {
  readonly from: 'read' | 'write' | 'watch';
  /** Known for a deletion that a watch reported; representations bring their own. */
  readonly revision?: bigint;
  /** What was known when a read was sent. */
  readonly knownAtStart?: bigint | null;
}

/**
 * Takes note of a representation. The time of a lease runs from the first receipt of its timing key (R5): an edit of
 * a label does not prolong it, and nothing but this process's own clock ends it.
 */
export function observe(step: Step, lease: ObservedLease | null, source: Source): void {
  const known = step.state.observation;
  const revision = lease?.revision ?? source.revision ?? known?.revision ?? -1n;
  // A watch may lag behind or repeat itself, and a write's answer may come after the watch has told of what followed.
  // A read may not be old: a lower revision there means that the store was restored, and everything seen before it is
  // void (R14).
  if (source.from !== 'read' && known !== null && revision <= known.revision) return;
  if (known !== null && isOvertaken(source, revision, known.revision)) return;
  const isNewsToTry =
    lease === null && source.revision === undefined
      ? step.state.failedAttempts === null
      : isNews(step, revision);
  const sameLease =
    known !== null && revision >= known.revision && timingKeyOf(known.lease) === timingKeyOf(lease);
  // Of this very version: an edit may put the name of a container on or take it off.
  const ended = namesEndedContainer(step, lease) ? 'container' : null;
  const first = { since: step.now, jitter: step.at.random, deathShownBy: null, deathShownAt: null };
  // The lease runs on under the same timing key, and a lock's proof is for that key.
  const { since, jitter, deathShownBy: shownBy, deathShownAt } = sameLease ? known : first;
  const deathShownBy = shownBy === 'lock' ? shownBy : ended;
  const observation: Observation = {
    since,
    jitter,
    lease,
    revision,
    deathShownBy,
    deathShownAt: deathShownBy === null ? deathShownAt : (deathShownAt ?? step.now),
  };
  step.state.observation = observation;
  if (lease !== null) {
    reviewSuccession(step, known?.lease?.record, lease.record);
    reviewResting(step, lease.record);
  }
  step.state.highestTransitions = Math.max(
    step.state.highestTransitions,
    lease?.record.leaseTransitions ?? 0,
  );
  if (source.from === 'watch') step.state.mustRead = false;
  // Something new to try for: the pause after the last attempt was for the old state of things. An own record is no
  // news but the outcome of that attempt; a proxy that sends writes twice would keep this going at its own speed.
  const isOwn = lease !== null && isOwnRecord(step, lease.record);
  const isAsFree = sameLease && known.deathShownBy === observation.deathShownBy;
  if (isAsFree || isOwn) return;
  // What changes our writes on the way makes a new version of each; what also sends them twice answers "conflict".
  const isOwnAttempt = lease !== null && bearsOwnAcquisition(step, lease.record);
  const isChangedByOthers = step.state.failedAttempts?.as === 'altered' || isOwnAttempt;
  if (isNewsToTry && !isChangedByOthers) step.state.failedAttempts = null;
  const isFirstAttempt = step.state.failedAttempts === null && step.state.tenure === null;
  if (isFirstAttempt && isFree(step, observation)) step.state.nextAttemptAt = step.now;
}

/** The watch told of something newer while the answer of the read was on its way; that is no restored store. */
function isOvertaken({ knownAtStart }: Source, revision: bigint, known: bigint): boolean {
  return knownAtStart !== undefined && revision >= (knownAtStart ?? 0n) && revision < known;
}

/**
 * True if this process wrote the record: by its identity, the transition number and the acquire time of one of its
 * last attempts, and a renew time that it has sent. The identity alone does not do: another process may have been given
 * the same one, and a record that merely names us is another process's until a lease duration has passed (R8). Nor do the
 * others without the renew time: a copy of this process, from a snapshot or a checkpoint, shares them (R19).
 */
export function isOwnRecord(step: Step, record: LeaseRecord): boolean {
  const { lastAcquisition } = step.state;
  return (
    lastAcquisition !== null &&
    record.holderIdentity === step.config.identity &&
    bearsOwnAcquisition(step, record) &&
    record.renewTimeMicros !== null &&
    lastAcquisition.renewTimesMicros.includes(record.renewTimeMicros)
  );
}

/** True if the record came from one of the last attempts of this process, whatever has been changed in it since. */
function bearsOwnAcquisition({ state: { lastAcquisition } }: Step, record: LeaseRecord): boolean {
  return (
    lastAcquisition !== null &&
    record.leaseTransitions === lastAcquisition.term &&
    record.acquireTimeMicros !== null &&
    lastAcquisition.acquireTimesMicros.includes(record.acquireTimeMicros)
  );
}

/** May be taken without waiting: missing, without a holder, held by a dead process or by this very one. */
function isFree(step: Step, { lease, deathShownBy }: Observation): boolean {
  return (
    lease === null ||
    lease.record.holderIdentity === '' ||
    deathShownBy !== null ||
    isOwnRecord(step, lease.record)
  );
}

/** When the observed foreign lease has run out on our clock; Infinity if there is none. */
export function observedExpiry(step: Step): number {
  const { observation } = step.state;
  if (observation?.lease == null || observation.lease.record.holderIdentity === '') return Infinity;
  return observation.since + leaseDurationOf(observation.lease.record, step.config);
}

/** The earliest instant of an attempt on the observed lease (R5, R17), with this candidate's wait (R22, R23). */
export function claimableAt(step: Step, observation: Observation): number {
  const { lease, since, jitter } = observation;
  if (lease === null) return since + jitter * claimWindowMs(step, null);
  if (isOwnRecord(step, lease.record)) return since;
  const coordinatorMs = coordinatorsTurnMs(step, lease.record);
  if (isNamed(step, lease.record)) return since + coordinatorMs;
  const freeAt = freeFrom(step, lease.record, observation);
  return freeAt + coordinatorMs + jitter * claimWindowMs(step, lease);
}

/** A proof of death frees a lease sooner than its running out, and never later. */
function freeFrom(step: Step, record: LeaseRecord, observation: Observation): number {
  const { since, deathShownBy, deathShownAt } = observation;
  if (record.holderIdentity === '') return since + heldBackMs(step, record);
  const expiry = since + leaseDurationOf(record, step.config);
  return deathShownBy === null || deathShownAt === null ? expiry : Math.min(expiry, deathShownAt);
}

/**
 * How long a lease that may be taken is left to whoever coordinates it. A coordinator acts within that time, which is a new
 * record; if nothing has happened by then, there is none, and a hand edit may not leave the role without a leader.
 */
function coordinatorsTurnMs({ config }: Step, { coordination }: LeaseRecord): number {
  return coordination === undefined ? 0 : config.leaseDurationMs;
}

function claimWindowMs(step: Step, lease: ObservedLease | null): number {
  if (!waitsInCrowd(step)) return 0;
  return windowMs(lease, step.state.members, step.config.leaseDurationMs);
}

/** Who polls is spread by that, and hears of no other in time. */
function waitsInCrowd({ config, state: { watching, watchOpening } }: Step): boolean {
  return config.isLockInProcess !== true && (watching || watchOpening);
}

/**
 * The part of the window that this candidate has waited; null if something else than its wait lets it acquire now, which
 * says nothing about how many others wait (R22).
 */
export function waitedShare(step: Step, observation: Observation): number | null {
  const { lease, jitter } = observation;
  const { failedAttempts, contendNotBefore, eligibility } = step.state;
  if (!waitsInCrowd(step)) return null;
  // It has left the lease to the others for a whole lease duration (R25).
  if (!eligibility.isEligible) return null;
  if (failedAttempts !== null || contendNotBefore > claimableAt(step, observation)) return null;
  if (lease === null) return jitter;
  const isDirected = successorOf(lease.record) !== undefined;
  return isDirected || isOwnRecord(step, lease.record) ? null : jitter;
}

/** The holder's own promise counts. Where the record makes none that can be read, ours is the best guess (R17). */
export function leaseDurationOf(record: LeaseRecord, config: ElectionConfig): number {
  const seconds = record.leaseDurationSeconds;
  return seconds === null || !(seconds > 0) ? config.leaseDurationMs : seconds * 1_000;
}

/** Who leads as far as this process knows: itself by its own clock, another while its lease has not run out here. */
export function leaderAsObserved(step: Step): string | undefined {
  const { tenure, observation } = step.state;
  if (tenure !== null) return tenure.stage === 'leading' ? step.config.identity : undefined;
  const holder = observation?.lease?.record.holderIdentity;
  if (holder === undefined || holder === '' || holder === step.config.identity) return undefined;
  const isDead = observation!.deathShownBy !== null;
  return !isDead && step.now < observedExpiry(step) ? holder : undefined;
}

function timingKeyOf(lease: ObservedLease | null): string {
  return lease === null ? '' : lease.timingKey;
}
