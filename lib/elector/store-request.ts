import { onAbort } from '../core/abort-signal.js';
import type { Clock } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  Store,
  WriteOutcome,
} from '../core/resource-lock.js';
import { messageOf } from '../core/thrown-value.js';

/**
 * One request to a store that may be foreign code: what it answers is checked, and so is that it answers. An answer
 * that is none of the port's outcomes tells nothing; of a write it is unknown whether it was applied (R9).
 */

type Verb = 'read' | 'create' | 'replace';
export type Outcome<Version> = ReadOutcome<Version> | WriteOutcome<Version>;

/** What a store keeps, and its names for people. */
export interface Kept<Version> {
  /** `lock` or `store`. */
  readonly store: string;
  /** `lease` or `document`. */
  readonly object: string;
  /** What a version consists of: `a whole lease (record, uid …)`. */
  readonly whole: string;
  /** May throw, as it looks at a foreign value. */
  isVersion(value: unknown): value is Version;
  /** The version as it is now, should the store change its object later. */
  copyOf(version: Version): Version;
}

export interface StoreRequest<Version> {
  readonly store: Pick<Store<never, Version>, 'describe'>;
  readonly kept: Kept<Version>;
  readonly verb: Verb;
  readonly call: (options: LockRequestOptions) => unknown;
  readonly timeoutMs: number;
  /** Its abort reaches the store. There is an outcome all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** A store bounds its own requests; this much later the library stops waiting for it. */
const OVERRUN_MS = 100;

/**
 * Sends the request and answers exactly once and in time, whatever the store does; never before it returns. Returns what
 * gives the request up: the store sees the abort, and no answer is passed on.
 */
export function ask<Version>(
  clock: Clock,
  request: StoreRequest<Version>,
  answer: (outcome: Outcome<Version>) => void,
): () => void {
  const { timeoutMs, signal } = request;
  const abort = new AbortController();
  const ignoreAbort = onAbort(signal, () => abort.abort(signal?.reason));
  let isOver = false;
  const end = (): boolean => {
    if (isOver) return false;
    overrun.cancel();
    ignoreAbort();
    return (isOver = true);
  };
  const finish = (outcome: Outcome<Version>): void => {
    if (end()) answer(outcome);
  };
  const overrun = clock.setTimer(() => {
    abort.abort();
    finish(failedOutcome(request, `it gave no outcome within ${timeoutMs} ms`));
  }, timeoutMs + OVERRUN_MS);
  called(request.call, { timeoutMs, signal: abort.signal }).then(
    (value) => finish(checkedOutcome(request, value)),
    (cause: unknown) => finish(failedOutcome(request, cause)),
  );
  return () => {
    if (end()) abort.abort();
  };
}

/** A foreign store may throw where it should reject: that is an outcome all the same. */
function called(
  call: (options: LockRequestOptions) => unknown,
  options: LockRequestOptions,
): Promise<unknown> {
  try {
    return Promise.resolve(call(options));
  } catch (cause) {
    return Promise.reject(cause as Error);
  }
}

const WITH_VERSION: readonly unknown[] = ['found', 'applied'];
const WITH_ERROR: readonly unknown[] = ['failed', 'not-applied', 'unknown'];
const KINDS: Readonly<Record<Verb, readonly unknown[]>> = {
  read: ['found', 'absent', 'failed'],
  create: ['applied', 'conflict', 'absent', 'not-applied', 'unknown'],
  replace: ['applied', 'conflict', 'absent', 'not-applied', 'unknown'],
};

interface Answer<Version> {
  readonly kind: Outcome<Version>['kind'];
  readonly stored: Version;
  readonly error: unknown;
}

/** The outcome, where the store gave one; otherwise one that says what it answered instead. Never throws. */
function checkedOutcome<Version>(
  request: StoreRequest<Version>,
  answer: unknown,
): Outcome<Version> {
  try {
    const problem = problemOf(request, answer);
    if (problem !== undefined) return nonsense(request, problem);
    return outcomeOf(request.kept, answer as Answer<Version>);
  } catch (cause) {
    // A getter or a proxy that throws when it is looked at.
    return nonsense(request, `something that cannot be read: ${messageOf(cause)}`);
  }
}

function problemOf<Version>(
  { verb, kept }: StoreRequest<Version>,
  answer: unknown,
): string | undefined {
  if (!isObject(answer)) return printed(answer);
  const { kind } = answer;
  if (!KINDS[verb].includes(kind)) return `an outcome of kind ${printed(kind)}`;
  if (!WITH_VERSION.includes(kind) || kept.isVersion(answer['stored'])) return undefined;
  return `"${String(kind)}" without ${kept.whole}`;
}

/** What its kind has and nothing besides: what else a store adds, such as an `error` on a success, means nothing. */
function outcomeOf<Version>(
  kept: Kept<Version>,
  { kind, stored, error }: Answer<Version>,
): Outcome<Version> {
  if (WITH_VERSION.includes(kind)) return { kind, stored: kept.copyOf(stored) } as Outcome<Version>;
  return (
    WITH_ERROR.includes(kind) ? { kind, error: withReason(kind, error) } : { kind }
  ) as Outcome<Version>;
}

/** The reason decides on how soon to try again; an error of another kind has none. */
function withReason(kind: Outcome<unknown>['kind'], error: unknown): LockRequestError {
  if (error instanceof LockRequestError) return error;
  const reason = kind === 'not-applied' ? 'rejected' : 'unclear';
  return new LockRequestError(messageOf(error), { reason, cause: error });
}

/** A store that throws or gives no outcome in time. */
function failedOutcome<Version>(request: StoreRequest<Version>, cause: unknown): Outcome<Version> {
  const { store, kept, verb } = request;
  const text = `${descriptionOf(store, kept.store)}: the ${kept.store} failed to ${verb} the ${kept.object}: ${messageOf(cause)}`;
  return noOutcome(verb, new LockRequestError(text, { reason: 'unclear', cause }));
}

function nonsense<Version>(
  { store, kept, verb }: StoreRequest<Version>,
  what: string,
): Outcome<Version> {
  const text = `${descriptionOf(store, kept.store)}: the ${kept.store} answered ${what} to ${verb}, which is not an outcome.`;
  return noOutcome(verb, new LockRequestError(text, { reason: 'unclear' }));
}

function noOutcome(verb: Verb, error: LockRequestError): Outcome<never> {
  return verb === 'read' ? { kind: 'failed', error } : { kind: 'unknown', error };
}

/** What a store calls itself, if it can. */
export function descriptionOf(store: StoreRequest<never>['store'], kind = 'lock'): string {
  try {
    const description: unknown = store.describe();
    if (typeof description === 'string') return description;
  } catch {
    // Its other errors say more than this one would.
  }
  return `A ${kind} that cannot describe itself`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function printed(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : messageOf(value);
}
