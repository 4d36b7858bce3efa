import { setTimeout as pause } from 'node:timers/promises';
import type { LeaderRequest, LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { ResourceLock } from '../core/resource-lock.js';
import { kernelUuid } from '../locks/kernel-entropy.js';
import { type Command, CommandError, EXIT, millisecondsOf, textOf } from './command.js';
import {
  CONNECTION_OPTIONS,
  failedRequest,
  holderOf,
  operatorName,
  readLease,
  requestOptions,
  withLock,
} from './connection.js';

const LOOK_MS = 250;
/** A leader hears of a request within a retry period: even with the quiet profile that is less. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** What came of a request. `void`: its term has ended without an answer. */
type Answered =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'void' }
  | { readonly kind: 'silent' };

export const STEP_DOWN: Command = {
  name: 'step-down',
  summary: 'Ask the leader to hand over, to a member or to whoever comes first.',
  usage: '--lease NAME [--to MEMBER] [options]',
  details:
    'The leader ends its work before it releases the lease, and does not compete for two retry periods. ' +
    'Needs the verbs get and update on the lease, which is the permission.',
  options: {
    ...CONNECTION_OPTIONS,
    to: { type: 'string', value: 'MEMBER', help: 'the pod or the identity that is to follow' },
    'timeout-ms': { type: 'string', value: 'N', help: 'how long to wait; default: 30000' },
  },
  run: (call) =>
    withLock(call, async (lock, { leaseName }) => {
      const { output } = call;
      const timeoutMs = millisecondsOf(call, 'timeout-ms') ?? DEFAULT_TIMEOUT_MS;
      const until = Date.now() + timeoutMs;
      const to = textOf(call, 'to');
      const asked = await askLeader(lock, { by: operatorName(call), successor: to }, until);
      const { holderIdentity: leader, transitions: term } = asked;
      const answered = await untilAnswered(lock, asked, until);
      if (answered.kind === 'refused') {
        throw new CommandError(`${leader} (term ${term}) refused: ${answered.why}`);
      }
      if (answered.kind === 'silent') throw await noAnswer(lock, asked, timeoutMs);
      const next = await untilFollowed(lock, asked, until);
      const result = { ok: true, lease: leaseName, steppedDown: leader, term, leader: next };
      output.result({ ...result, answered: answered.kind === 'done' });
      if (answered.kind === 'void') {
        output.say(`term ${term} of ${leader} ended before it answered`);
      } else output.say(`${leader} has stepped down (term ${term})`);
      if (next === undefined) {
        output.say('no process leads yet: its work ends, or no other process competes');
        return EXIT.temporary;
      }
      output.say(`${next} leads now`);
      if (to !== undefined && !next.startsWith(to)) {
        output.warn(`${to} did not acquire the lease in time, so ${next} did`);
        return EXIT.refused;
      }
      return EXIT.done;
    }),
};

/** Tests bring their own time. */
interface Waiting {
  now(): number;
  pause(ms: number): Promise<unknown>;
}

/**
 * Writes a request to the present leader, by a compare-and-set that changes nothing else.
 *
 * @param until when it gives up, by the wall clock
 * @throws CommandError if there is no leader, or it cannot be written in time
 */
export async function askLeader(
  lock: ResourceLock,
  wanted: Partial<Pick<LeaderRequest, 'asks' | 'by' | 'successor'>>,
  until: number,
  waiting: Waiting = { now: Date.now, pause },
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
    // Of another person, and the leader is about to answer it: one record has room for one.
    const isBusy = standing !== undefined && standing.id !== id && isTermOf(standing, record);
    if (!isBusy || isLast()) {
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
  throw new CommandError(
    `${lock.describe()}: something else writes it all the time, so the request could not be written in time`,
    EXIT.temporary,
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
  if (lease === null) throw new CommandError(`${lock.describe()} does not exist: no process leads`);
  if (holderIdentity === undefined) {
    throw new CommandError(`${lock.describe()} has no holder: no process leads`);
  }
  const transitions = lease.record.leaseTransitions;
  return { asks: 'step-down', by: undefined, ...wanted, transitions, holderIdentity };
}

export async function untilAnswered(
  lock: ResourceLock,
  request: LeaderRequest,
  until: number,
): Promise<Answered> {
  for (;;) {
    const record = (await readLease(lock))?.record;
    const { answer } = record ?? {};
    if (answer?.id === request.id) {
      return answer.refused === '' ? { kind: 'done' } : { kind: 'refused', why: answer.refused };
    }
    if (record === undefined || !isTermOf(request, record)) return { kind: 'void' };
    if (Date.now() >= until) return { kind: 'silent' };
    await pause(LOOK_MS);
  }
}

function isTermOf({ transitions, holderIdentity }: LeaderRequest, record: LeaseRecord): boolean {
  return record.leaseTransitions === transitions && record.holderIdentity === holderIdentity;
}

/** Who leads after that term; undefined if no process does in time. */
async function untilFollowed(
  lock: ResourceLock,
  request: LeaderRequest,
  until: number,
): Promise<string | undefined> {
  for (;;) {
    const record = (await readLease(lock))?.record;
    const holder = holderOf(record);
    if (holder !== undefined && !isTermOf(request, record!)) return holder;
    if (Date.now() >= until) return undefined;
    await pause(LOOK_MS);
  }
}

/** Takes the request back, so that it is not honoured when its sender has gone away, and says why there may be no answer. */
async function noAnswer(
  lock: ResourceLock,
  request: LeaderRequest,
  timeoutMs: number,
): Promise<CommandError> {
  const lease = await readLease(lock);
  let takenBack = '';
  if (lease?.record.request?.id === request.id) {
    const outcome = await lock.replace(
      { ...lease.record, request: undefined },
      lease,
      requestOptions(),
    );
    if (outcome.kind === 'applied') takenBack = ' The request was taken back.';
  }
  const { holderIdentity, transitions } = request;
  const renewedMs = lease?.record.renewTimeMicros;
  const since =
    renewedMs == null
      ? ''
      : ` It last renewed the lease at ${new Date(renewedMs / 1_000).toISOString()}.`;
  return new CommandError(
    `${holderIdentity} (term ${transitions}) did not answer within ${timeoutMs} ms.${since}${takenBack} ` +
      'Either it is an older version of the library or another client, which ignores requests; or it cannot renew the ' +
      'lease: it is stopped, dead or cut off from the lock.',
    EXIT.temporary,
  );
}
