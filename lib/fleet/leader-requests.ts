import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, wallMs } from '../core/clock.js';
import type { LeaderRequest, LeaseRecord, ObservedLease } from '../core/lease-record.js';
import { namesHolder } from '../core/member.js';
import type { LockRequestOptions, ResourceLock } from '../core/resource-lock.js';
import { kernelUuid } from '../locks/kernel-entropy.js';
import { failedRequest, FleetError } from './fleet-error.js';

const LOOK_MS = 250;
const REQUEST_TIMEOUT_MS = 5_000;
/** A leader that does not answer may still renew its lease, once a retry period. */
const TAKE_BACK_TRIES = 5;

/** The time by which it is waited: milliseconds since the epoch. */
export interface Waiting {
  now(): number;
  pause(ms: number): Promise<unknown>;
}

const WALL_TIME: Waiting = { now: Date.now, pause };

export function waitingBy(clock: Clock): Waiting {
  return {
    now: () => wallMs(clock),
    pause: (ms) => new Promise<void>((resolve) => void clock.setTimer(resolve, ms)),
  };
}

/** What came of a request. `void`: its term has ended without an answer. */
type Answered =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'void' }
  | { readonly kind: 'silent' };

/** A leader was asked to hand over. */
export interface Handover {
  /** Who led, in which term. */
  readonly leader: string;
  readonly term: number;
  /** False: its term ended before it answered. */
  readonly isAnswered: boolean;
  /** Who leads now; undefined if no process does yet. */
  readonly next: string | undefined;
  /** False: whoever leads now is not the one that was to follow. */
  readonly isAsAsked: boolean;
}

export interface HandoverRequest {
  readonly by: string;
  /** The pod, its uid or the identity that is to follow; undefined: whoever comes first. */
  readonly to: string | undefined;
  readonly timeoutMs: number;
}

/**
 * Asks the leader to step down, and waits for the next one.
 *
 * @throws FleetError if it refuses or does not answer, or no process leads
 */
export async function handOver(
  lock: ResourceLock,
  { by, to: successor, timeoutMs }: HandoverRequest,
  waiting: Waiting = WALL_TIME,
): Promise<Handover> {
  const until = waiting.now() + timeoutMs;
  const asked = await askLeader(lock, { by, successor }, until, waiting);
  const { holderIdentity: leader, transitions: term } = asked;
  const answered = await untilAnswered(lock, asked, until, waiting);
  if (answered.kind === 'refused') {
    throw new FleetError(`${leader} (term ${term}) refused: ${answered.why}`);
  }
  if (answered.kind === 'silent') throw await noAnswer(lock, asked, timeoutMs);
  const follower = await untilFollowed(lock, asked, until, waiting);
  const isAsAsked =
    successor === undefined || follower === undefined || namesHolder(successor, follower);
  const next = follower?.holderIdentity;
  return { leader, term, isAnswered: answered.kind === 'done', next, isAsAsked };
}

export function requestOptions(timeoutMs = REQUEST_TIMEOUT_MS): LockRequestOptions {
  return { timeoutMs, signal: new AbortController().signal };
}

/** @throws FleetError if it cannot be read; null if there is none */
export async function readLease(lock: ResourceLock): Promise<ObservedLease | null> {
  const outcome = await lock.read(requestOptions());
  if (outcome.kind === 'failed') throw failedRequest(outcome.error);
  return outcome.kind === 'found' ? outcome.stored : null;
}

export function holderOf(record: LeaseRecord | undefined): string | undefined {
  return record === undefined || record.holderIdentity === '' ? undefined : record.holderIdentity;
}

/**
 * Writes a request to the present leader, by a compare-and-set that changes nothing else.
 *
 * @param until when it gives up, by the wall clock
 * @throws FleetError if there is no leader, or it cannot be written in time
 */
export async function askLeader(
  lock: ResourceLock,
  wanted: Partial<Pick<LeaderRequest, 'asks' | 'by' | 'successor'>>,
  until: number,
  waiting: Waiting = WALL_TIME,
): Promise<LeaderRequest> {
  const isLast = (): boolean => waiting.now() + LOOK_MS > until;
  const id = kernelUuid();
  let bound: LeaderRequest | undefined;
  for (;;) {
    const lease = await readLease(lock);
    // It is meant for the term that was read first: a write whose outcome was unknown may have been heard since, or the
    // leader have gone, and the next one must not be asked instead.
    if (bound !== undefined && isSettled(bound, lease)) return bound;
    const request = bound?.asks === 'step-down' ? bound : requestTo(lease, lock, { id, ...wanted });
    bound = request;
    const { record } = lease!;
    const standing = record.request;
    // Of another person, who waits for the answer: one record has room for one.
    const isBusy = standing !== undefined && standing.id !== id && isTermOf(standing, record);
    if (isBusy && isLast()) throw busy(standing);
    if (!isBusy) {
      const outcome = await lock.replace({ ...record, request }, lease!, requestOptions());
      if (outcome.kind === 'applied') return request;
      if (outcome.kind === 'not-applied') throw failedRequest(outcome.error);
      if (outcome.kind === 'unknown' && (await readLease(lock))?.record.request?.id === id) {
        return request;
      }
      if (isLast()) break;
    }
    await waiting.pause(LOOK_MS);
  }
  throw new FleetError(
    `${lock.describe()}: something else writes it all the time, so the request could not be written in time`,
    true,
  );
}

function busy({ holderIdentity, transitions, by }: LeaderRequest): FleetError {
  return new FleetError(
    `${holderIdentity} (term ${transitions}) has not answered what ${by ?? 'another client'} asked of it before, and ` +
      'nothing was written over that. Ask again when it is answered, or when another term has begun.',
    true,
  );
}

/** It was answered, or its term has ended; what asks for a look at the records is meant for whoever leads. */
function isSettled(request: LeaderRequest, lease: ObservedLease | null): boolean {
  if (lease?.record.answer?.id === request.id) return true;
  return request.asks === 'step-down' && (lease === null || !isTermOf(request, lease.record));
}

function requestTo(
  lease: ObservedLease | null,
  lock: ResourceLock,
  wanted: Partial<LeaderRequest> & Pick<LeaderRequest, 'id'>,
): LeaderRequest {
  const holderIdentity = holderOf(lease?.record);
  if (lease === null) throw new FleetError(`${lock.describe()} does not exist: no process leads`);
  if (holderIdentity === undefined) {
    throw new FleetError(`${lock.describe()} has no holder: no process leads`);
  }
  const transitions = lease.record.leaseTransitions;
  return { asks: 'step-down', by: undefined, ...wanted, transitions, holderIdentity };
}

export async function untilAnswered(
  lock: ResourceLock,
  request: LeaderRequest,
  until: number,
  waiting: Waiting = WALL_TIME,
): Promise<Answered> {
  for (;;) {
    const record = (await readLease(lock))?.record;
    const { answer } = record ?? {};
    if (answer?.id === request.id) {
      return answer.refused === '' ? { kind: 'done' } : { kind: 'refused', why: answer.refused };
    }
    if (record === undefined || !isTermOf(request, record)) return { kind: 'void' };
    if (waiting.now() >= until) return { kind: 'silent' };
    await waiting.pause(LOOK_MS);
  }
}

function isTermOf({ transitions, holderIdentity }: LeaderRequest, record: LeaseRecord): boolean {
  return record.leaseTransitions === transitions && record.holderIdentity === holderIdentity;
}

/** The record of whoever leads after that term; undefined if no process does in time. */
async function untilFollowed(
  lock: ResourceLock,
  request: LeaderRequest,
  until: number,
  waiting: Waiting,
): Promise<LeaseRecord | undefined> {
  for (;;) {
    const record = (await readLease(lock))?.record;
    if (holderOf(record) !== undefined && !isTermOf(request, record!)) return record;
    if (waiting.now() >= until) return undefined;
    await waiting.pause(LOOK_MS);
  }
}

/** Takes the own request back, so that it is not honoured when its sender has gone away, and says why there may be no answer. */
async function noAnswer(
  lock: ResourceLock,
  request: LeaderRequest,
  timeoutMs: number,
): Promise<FleetError> {
  let lease = await readLease(lock);
  let isTakenBack = false;
  for (
    let tries = 0;
    lease?.record.request?.id === request.id && tries < TAKE_BACK_TRIES;
    tries++
  ) {
    const record = { ...lease.record, request: undefined };
    const outcome = await lock.replace(record, lease, requestOptions());
    isTakenBack = outcome.kind === 'applied';
    if (outcome.kind !== 'conflict') break;
    lease = await readLease(lock);
  }
  const takenBack = isTakenBack ? ' The request was taken back.' : '';
  const { holderIdentity, transitions } = request;
  const renewedMs = lease?.record.renewTimeMicros;
  const since =
    renewedMs == null
      ? ''
      : ` It last renewed the lease at ${new Date(renewedMs / 1_000).toISOString()}.`;
  return new FleetError(
    `${holderIdentity} (term ${transitions}) did not answer within ${timeoutMs} ms.${since}${takenBack} ` +
      'Either it is an older version of the library or another client, which ignores requests; or it cannot renew the ' +
      'lease: it is stopped, dead or cut off from the lock.',
    true,
  );
}
