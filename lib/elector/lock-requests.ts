import type { Clock, Timer } from '../core/clock.js';
import type { ElectionEffect, LockRequest } from '../core/election-state.js';
import { LockRequestError } from '../core/errors.js';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  WriteOutcome,
} from '../core/resource-lock.js';
import { messageOf } from '../core/thrown-value.js';

/**
 * What a lock may answer, seen as what it is: a value from code of somebody else's. An answer that is none of the
 * port's outcomes tells nothing; of a write it is unknown whether it was applied (R9).
 */

type Verb = LockRequest['verb'];
type Outcome = ReadOutcome | WriteOutcome;
type Answer = {
  readonly kind: Outcome['kind'];
  readonly stored: ObservedLease;
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
function checkedOutcome(lock: ResourceLock, verb: Verb, answer: unknown): Outcome {
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
function failedOutcome(lock: ResourceLock, verb: Verb, cause: unknown): Outcome {
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
function isLease(value: unknown): value is ObservedLease {
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
  if (!WITH_LEASE.includes(kind) || isLease(answer['stored'])) return undefined;
  return `"${String(kind)}" without a whole lease (record, uid, revision as a bigint, timingKey)`;
}

/** What its kind has and nothing besides: what else a lock adds, such as an `error` on a success, means nothing. */
function outcomeOf({ kind, stored, error }: Answer): Outcome {
  if (WITH_LEASE.includes(kind)) return { kind, stored: copyOfLease(stored) } as Outcome;
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

export type RequestAnswer =
  | { readonly kind: 'read-done'; readonly id: number; readonly outcome: ReadOutcome }
  | { readonly kind: 'write-done'; readonly id: number; readonly outcome: WriteOutcome };

type RequestEffect = Extract<ElectionEffect, { kind: 'request' }>;

/** A lock bounds its own requests; this much later the election stops believing that it does. */
const OVERRUN_MS = 100;

/** Sends requests to the lock and sees to it that each is answered exactly once, whatever the lock does. */
export class LockRequests {
  private pending:
    { readonly id: number; readonly abort: AbortController; readonly overrun: Timer } | undefined;

  constructor(
    private readonly lock: ResourceLock,
    private readonly clock: Clock,
    private readonly answer: (answer: RequestAnswer) => void,
  ) {}

  send({ id, request, timeoutMs }: RequestEffect): void {
    const abort = new AbortController();
    const finish = (outcome: ReadOutcome | WriteOutcome): void => {
      if (this.pending?.id !== id) return;
      this.pending.overrun.cancel();
      this.pending = undefined;
      this.answer(answerOf(id, request, outcome));
    };
    const overrun = this.clock.setTimer(() => {
      abort.abort();
      finish(failedOutcome(this.lock, request.verb, `it gave no outcome within ${timeoutMs} ms`));
    }, timeoutMs + OVERRUN_MS);
    this.pending = { id, abort, overrun };
    this.perform(request, { timeoutMs, signal: abort.signal }).then(
      (answer) => finish(checkedOutcome(this.lock, request.verb, answer)),
      (cause: unknown) => finish(failedOutcome(this.lock, request.verb, cause)),
    );
  }

  /** Gives the request up; nothing is answered any more. */
  abandon(id: number): void {
    if (this.pending?.id !== id) return;
    this.pending.overrun.cancel();
    this.pending.abort.abort();
    this.pending = undefined;
  }

  /** A lock of somebody else's may throw where it should reject: that is an outcome all the same. */
  private perform(request: LockRequest, options: LockRequestOptions): Promise<unknown> {
    try {
      return Promise.resolve(this.call(request, options));
    } catch (cause) {
      return Promise.reject(cause as Error);
    }
  }

  private call(
    request: LockRequest,
    options: LockRequestOptions,
  ): Promise<ReadOutcome | WriteOutcome> {
    switch (request.verb) {
      case 'read':
        return this.lock.read(options);
      case 'create':
        return this.lock.create(request.record, options);
      case 'replace':
        return this.lock.replace(request.record, request.expected, options);
    }
  }
}

function answerOf(
  id: number,
  { verb }: LockRequest,
  outcome: ReadOutcome | WriteOutcome,
): RequestAnswer {
  return verb === 'read'
    ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
    : { kind: 'write-done', id, outcome: outcome as WriteOutcome };
}

/**
 * Opens the watch of a lock that may be somebody else's. What it reports is checked, nothing is passed on after
 * `close()`, and what it throws is reported as an interruption: an election works without a watch.
 */
export function guardedWatch(
  lock: ResourceLock,
  observer: LeaseWatchObserver,
  options: { readonly silenceLimitMs: number },
): Pick<LeaseWatch, 'close'> | undefined {
  if (lock.watch === undefined) return undefined;
  let isClosed = false;
  const failed = (what: string, cause?: unknown): void => {
    const text = `${descriptionOf(lock)}: the watch ${what}`;
    observer.interrupted(new LockRequestError(text, { reason: 'unclear', cause }));
  };
  const report = (call: () => void): void => {
    if (!isClosed) call();
  };
  let watch: LeaseWatch | undefined;
  try {
    watch = lock.watch(
      {
        opened: () => report(() => observer.opened()),
        changed: (lease, revision) =>
          report(() => {
            const change = changeOf(lease, revision);
            if (change === undefined) {
              failed('reported a change that is no lease with its revision.');
            } else observer.changed(change.lease, revision);
          }),
        holderDied: (timingKey) =>
          report(() => {
            if (typeof timingKey === 'string') observer.holderDied(timingKey);
          }),
        interrupted: (error) =>
          report(() => {
            if (error === undefined || error instanceof LockRequestError) {
              observer.interrupted(error);
            } else failed(`was interrupted: ${messageOf(error)}`, error);
          }),
      },
      options,
    );
  } catch (cause) {
    failed(`could not be opened: ${messageOf(cause)}`, cause);
  }
  return {
    close() {
      try {
        watch?.close();
      } catch (cause) {
        failed(`could not be closed: ${messageOf(cause)}`, cause);
      }
      isClosed = true;
    },
  };
}

/** What was reported, as it is now; undefined if it is no change of a lease. */
function changeOf(
  lease: unknown,
  revision: unknown,
): { readonly lease: ObservedLease | null } | undefined {
  try {
    if (typeof revision !== 'bigint') return undefined;
    if (lease === null) return { lease };
    return isLease(lease) ? { lease: copyOfLease(lease) } : undefined;
  } catch {
    // It throws when it is looked at.
    return undefined;
  }
}
