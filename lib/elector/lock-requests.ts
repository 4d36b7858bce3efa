import type { Clock } from '../core/clock.js';
import { isCrowd } from '../core/crowd.js';
import type { ElectionEffect, ElectionEvent, LockRequest } from '../core/election-state.js';
import { LockRequestError } from '../core/errors.js';
import type {
  Coordination,
  Crowd,
  GivenUp,
  HoldersAddress,
  HoldersContainer,
  LeaderRequest,
  LeaseRecord,
  NamedSuccessor,
  ObservedLease,
  RequestAnswer as LeaderAnswer,
} from '../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  WriteOutcome,
} from '../core/resource-lock.js';
import { messageOf } from '../core/thrown-value.js';
import { ask, descriptionOf, isObject, type Kept, type Outcome } from './store-request.js';
import { within } from './work-in-flight.js';

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
  const { leaseTransitions, releasedTransitions, application, memberUid } = record;
  const { crowd, successor, gaveUp, container, address, coordination, request, answer } = record;
  return {
    record: {
      holderIdentity,
      leaseDurationSeconds,
      acquireTimeMicros,
      renewTimeMicros,
      leaseTransitions,
      releasedTransitions,
      application,
      memberUid,
      crowd: copyOfCrowd(crowd),
      successor: copyOfSuccessor(successor),
      gaveUp: copyOfGaveUp(gaveUp),
      container: copyOfContainer(container),
      address: copyOfAddress(address),
      request: copyOfRequest(request),
      answer: copyOfAnswer(answer),
      coordination: copyOfCoordination(coordination),
    },
    uid,
    revision,
    timingKey,
    source,
  };
}

/** What makes no sense counts as absent: none of these decides who may lead, only who comes first and how soon. */
function copyOfCrowd(crowd: unknown): Crowd | undefined {
  if (!isObject(crowd)) return undefined;
  // Read once: what is checked is what is kept.
  const { candidates, stepMs } = crowd;
  const copy = { candidates, stepMs };
  return isCrowd(copy) ? copy : undefined;
}

function copyOfSuccessor(successor: unknown): NamedSuccessor | undefined {
  if (!isObject(successor)) return undefined;
  const { transitions, uid } = successor;
  return typeof transitions === 'number' && typeof uid === 'string'
    ? { transitions, uid }
    : undefined;
}

function copyOfGaveUp(gaveUp: unknown): GivenUp | undefined {
  if (!isObject(gaveUp)) return undefined;
  const { transitions, uid, count } = gaveUp;
  const isWhole = typeof transitions === 'number' && Number.isInteger(count) && Number(count) >= 1;
  return isWhole && typeof uid === 'string'
    ? { transitions, uid, count: Number(count) }
    : undefined;
}

function copyOfRequest(request: unknown): LeaderRequest | undefined {
  if (!isObject(request)) return undefined;
  const { id, asks, transitions, holderIdentity, by, successor } = request;
  if (typeof id !== 'string' || typeof holderIdentity !== 'string') return undefined;
  if (typeof transitions !== 'number') return undefined;
  if (asks !== 'step-down' && asks !== 'read-schedule') return undefined;
  if (successor !== undefined && typeof successor !== 'string') return undefined;
  const said = typeof by === 'string' ? by : undefined;
  return { id, asks, transitions, holderIdentity, by: said, successor };
}

function copyOfAnswer(answer: unknown): LeaderAnswer | undefined {
  if (!isObject(answer)) return undefined;
  const { id, transitions, by, atMicros, refused } = answer;
  if (typeof id !== 'string' || typeof transitions !== 'number') return undefined;
  if (typeof by !== 'string' || typeof refused !== 'string') return undefined;
  return typeof atMicros === 'number' ? { id, transitions, by, atMicros, refused } : undefined;
}

function copyOfContainer(container: unknown): HoldersContainer | undefined {
  if (!isObject(container)) return undefined;
  const { podUid, containerName, containerId } = container;
  const { holderIdentity, transitions, acquireTimeMicros } = container;
  if (typeof podUid !== 'string' || typeof containerName !== 'string') return undefined;
  if (typeof containerId !== 'string' || typeof holderIdentity !== 'string') return undefined;
  if (typeof transitions !== 'number' || typeof acquireTimeMicros !== 'number') return undefined;
  return { podUid, containerName, containerId, holderIdentity, transitions, acquireTimeMicros };
}

function copyOfAddress(address: unknown): HoldersAddress | undefined {
  if (!isObject(address)) return undefined;
  const { url, holderIdentity, transitions, acquireTimeMicros } = address;
  if (typeof url !== 'string' || typeof holderIdentity !== 'string') return undefined;
  if (typeof transitions !== 'number' || typeof acquireTimeMicros !== 'number') return undefined;
  return { url, holderIdentity, transitions, acquireTimeMicros };
}

function copyOfCoordination(coordination: unknown): Coordination | undefined {
  if (!isObject(coordination)) return undefined;
  const { strategy, preferredHolder } = coordination;
  if (typeof strategy !== 'string' || strategy === '') return undefined;
  return typeof preferredHolder === 'string' ? { strategy, preferredHolder } : { strategy };
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

function isNumberOrNull(value: unknown): boolean {
  return value === null || Number.isFinite(value);
}

type RequestAnswer = Extract<ElectionEvent, { readonly outcome: unknown }>;
type RequestEffect = Extract<ElectionEffect, { kind: 'request' }>;

/** What a lock keeps. */
const LEASES: Kept<ObservedLease> = {
  store: 'lock',
  object: 'lease',
  whole: 'a whole lease (record, uid, revision as a bigint, timingKey)',
  isVersion: isLease,
  copyOf: copyOfLease,
};

/** Sends requests to the lock, one at a time, and hands on what each comes to. */
export class LockRequests {
  private pending: { readonly id: number; readonly giveUp: () => void } | undefined;

  constructor(
    private readonly lock: ResourceLock,
    private readonly clock: Clock,
    private readonly answer: (answer: RequestAnswer) => void,
  ) {}

  send({ id, request, timeoutMs }: RequestEffect): void {
    const { lock } = this;
    const call = (options: LockRequestOptions) => this.call(request, options);
    const giveUp = ask(
      this.clock,
      { store: lock, kept: LEASES, verb: request.verb, call, timeoutMs },
      (outcome) => {
        if (this.pending?.id !== id) return;
        this.pending = undefined;
        this.answer(answerOf(id, request, outcome));
      },
    );
    this.pending = { id, giveUp };
  }

  /** Gives the request up; no answer is passed on. */
  abandon(id: number): void {
    if (this.pending?.id !== id) return;
    this.pending.giveUp();
    this.pending = undefined;
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
  outcome: Outcome<ObservedLease>,
): RequestAnswer {
  return verb === 'read'
    ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
    : { kind: 'write-done', id, outcome: outcome as WriteOutcome };
}

/** Rejects with why it could not be closed, also if it hangs. */
export async function closeInTime(
  close: () => Promise<void> | undefined,
  clock: Clock,
  limitMs: number,
): Promise<void> {
  await within(clock, limitMs, Promise.resolve(close()), () =>
    Promise.reject(new Error(`it took longer than ${limitMs} ms`)),
  );
}

/**
 * Opens the watch of a lock that may be the user's own. What it reports is checked, nothing is passed on after
 * `close()`, and what it throws is reported as an interruption: an election works without a watch.
 */
export function guardedWatch(
  lock: ResourceLock,
  observer: LeaseWatchObserver & { opening(): void },
  options: { readonly silenceLimitMs: number },
): Pick<LeaseWatch, 'close'> | undefined {
  const failed: WatchFailed = (what, cause) => {
    const text = `${descriptionOf(lock)}: the watch ${what}`;
    observer.interrupted(new LockRequestError(text, { reason: 'unclear', cause }));
  };
  let isClosed = false;
  const checked = checkedObserver(observer, failed, () => isClosed);
  let watch: LeaseWatch | undefined;
  try {
    if (lock.watch === undefined) return undefined;
    observer.opening();
    watch = lock.watch(checked, options);
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

type WatchFailed = (what: string, cause?: unknown) => void;

/** Passes on what can be true, until the watch is closed. */
function checkedObserver(
  observer: LeaseWatchObserver,
  failed: WatchFailed,
  isClosed: () => boolean,
): LeaseWatchObserver {
  return {
    opened() {
      if (!isClosed()) observer.opened();
    },
    changed(lease, revision) {
      if (isClosed()) return;
      const change = changeOf(lease, revision);
      if (change === undefined) {
        failed('reported a change that is not a lease with its revision.');
      } else observer.changed(change.lease, revision);
    },
    holderDied(timingKey) {
      if (!isClosed() && typeof timingKey === 'string') observer.holderDied(timingKey);
    },
    interrupted(error) {
      if (isClosed()) return;
      if (error === undefined || error instanceof LockRequestError) observer.interrupted(error);
      else failed(`was interrupted: ${messageOf(error)}`, error);
    },
  };
}

/** What was reported, as it is now; undefined if it is not a change of a lease. */
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
