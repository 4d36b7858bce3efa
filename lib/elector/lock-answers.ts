import type { LockRequest } from '../core/election-state.js';
import { LockRequestError } from '../core/errors/lock-request.error.js';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { ReadOutcome, WriteOutcome } from '../core/lock-outcome.js';
import { messageOf } from '../core/thrown-value.js';
import type { ResourceLock } from '../locks/resource-lock.js';

/**
 * What a lock may answer, seen as what it is: a value from code of somebody else's. An answer that is none of the
 * port's outcomes tells nothing; of a write it is unknown whether it was applied (R9).
 */

type Verb = LockRequest['verb'];
type Outcome = ReadOutcome | WriteOutcome;
type Answer = {
  readonly kind: Outcome['kind'];
  readonly lease: ObservedLease;
  readonly error: unknown;
};

const WITH_LEASE: readonly unknown[] = ['found', 'applied'];
const WITH_ERROR: readonly unknown[] = ['failed', 'not-applied', 'unknown'];
const KINDS: Readonly<Record<Verb, readonly unknown[]>> = {
  read: ['found', 'absent', 'failed'],
  create: ['applied', 'conflict', 'absent', 'not-applied', 'unknown'],
  replace: ['applied', 'conflict', 'absent', 'not-applied', 'unknown'],
};

/** The outcome, where the lock gave one; otherwise one that says what it answered instead. Never throws. */
export function checkedOutcome(lock: ResourceLock, verb: Verb, answer: unknown): Outcome {
  try {
    const problem = problemOf(verb, answer);
    if (problem !== undefined) return nonsense(lock, verb, problem);
    return outcomeOf(answer as Answer);
  } catch (cause) {
    // A getter or a proxy that throws when it is looked at.
    return nonsense(lock, verb, `something that cannot be read: ${messageOf(cause)}`);
  }
}

/** A lock that throws or gives no outcome in time. */
export function failedOutcome(lock: ResourceLock, verb: Verb, cause: unknown): Outcome {
  const text = `${descriptionOf(lock)}: the lock failed to ${verb} the lease: ${messageOf(cause)}`;
  return noOutcome(verb, new LockRequestError(text, { reason: 'unclear', cause }));
}

/** What the lock calls itself, if it can. */
export function descriptionOf(lock: ResourceLock): string {
  try {
    const description: unknown = lock.describe();
    if (typeof description === 'string') return description;
  } catch {
    // Its other errors say more than this one would.
  }
  return 'A lock that cannot describe itself';
}

/** True if this is a lease that the election can go by. May throw. */
export function isLease(value: unknown): value is ObservedLease {
  if (!isObject(value)) return false;
  const { record, uid, revision, timingKey } = value;
  return (
    typeof uid === 'string' &&
    typeof revision === 'bigint' &&
    typeof timingKey === 'string' &&
    isObject(record) &&
    isRecord(record)
  );
}

/**
 * As it is now. A lock that keeps one object and changes it would otherwise change what the election has seen, and each
 * renewal of another leader would look as if nothing had happened since the first. Field by field: the spread of an object
 * costs several times as much.
 */
export function copyOfLease({
  record,
  uid,
  revision,
  timingKey,
  source,
}: ObservedLease): ObservedLease {
  const { holderIdentity, leaseDurationSeconds, acquireTimeMicros, renewTimeMicros } = record;
  const { leaseTransitions, releasedTransitions, application } = record;
  return {
    record: {
      holderIdentity,
      leaseDurationSeconds,
      acquireTimeMicros,
      renewTimeMicros,
      leaseTransitions,
      releasedTransitions,
      application,
    },
    uid,
    revision,
    timingKey,
    source,
  };
}

function isRecord(record: Partial<Record<keyof LeaseRecord, unknown>>): boolean {
  return (
    typeof record.holderIdentity === 'string' &&
    Number.isInteger(record.leaseTransitions) &&
    isNumberOrNull(record.leaseDurationSeconds) &&
    isNumberOrNull(record.acquireTimeMicros) &&
    isNumberOrNull(record.renewTimeMicros) &&
    isNumberOrNull(record.releasedTransitions)
  );
}

function problemOf(verb: Verb, answer: unknown): string | undefined {
  if (!isObject(answer)) return printed(answer);
  const { kind } = answer;
  if (!KINDS[verb].includes(kind)) return `an outcome of kind ${printed(kind)}`;
  if (!WITH_LEASE.includes(kind) || isLease(answer['lease'])) return undefined;
  return `"${String(kind)}" without a whole lease (record, uid, revision as a bigint, timingKey)`;
}

/** What its kind has and nothing besides: what else a lock adds, such as an `error` on a success, means nothing. */
function outcomeOf({ kind, lease, error }: Answer): Outcome {
  if (WITH_LEASE.includes(kind)) return { kind, lease: copyOfLease(lease) } as Outcome;
  return (
    WITH_ERROR.includes(kind) ? { kind, error: withReason(kind, error) } : { kind }
  ) as Outcome;
}

/** The reason decides on how soon to try again; an error of another kind has none. */
function withReason(kind: Outcome['kind'], error: unknown): LockRequestError {
  if (error instanceof LockRequestError) return error;
  const reason = kind === 'not-applied' ? 'rejected' : 'unclear';
  return new LockRequestError(messageOf(error), { reason, cause: error });
}

function nonsense(lock: ResourceLock, verb: Verb, what: string): Outcome {
  const text = `${descriptionOf(lock)}: the lock answered ${what} to ${verb}, which is no outcome.`;
  return noOutcome(verb, new LockRequestError(text, { reason: 'unclear' }));
}

function noOutcome(verb: Verb, error: LockRequestError): Outcome {
  return verb === 'read' ? { kind: 'failed', error } : { kind: 'unknown', error };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isNumberOrNull(value: unknown): boolean {
  return value === null || Number.isFinite(value);
}

function printed(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : messageOf(value);
}
