import { type AttemptFailure, type PendingRequest, RETRY_BACKOFF_MS } from './election-state.js';
import { LockRequestError, StoreTooSlowError } from './errors.js';
import type { Step } from './step.js';

/**
 * What does not help is done less often (R21): the second attempt to acquire that fails in the same way waits twice as
 * long as the first, the third four times, up to the lease duration. Never delayed is the first attempt on a record
 * that is news, nor anything that a holder sends.
 */

/** Several caches of different age show as many versions. */
const REMEMBERED_REFUSALS = 8;

/** So many in a row are no coincidence. */
const FEWEST_LATE = 2;
const FEWEST_CONFLICTS = 4;
/** It is some minutes from error to error in the end. */
const ATTEMPTS_PER_ERROR = 32;

export function attemptFailed(
  step: Step,
  request: PendingRequest,
  as: AttemptFailure,
  error?: LockRequestError,
): void {
  const count = countFailure(step, as);
  step.state.nextAttemptAt = retryAt(step, request, {
    error,
    // A server that cannot be reached bears nothing, and is to be found again soon.
    repetition: as === 'unreachable' ? 1 : count,
  });
}

function countFailure(step: Step, as: AttemptFailure): number {
  const { failedAttempts } = step.state;
  const count = failedAttempts?.as === as ? failedAttempts.count + 1 : 1;
  step.state.failedAttempts = { as, count };
  return count;
}

/** Less and less often, like the attempts: from the fewest on after 2, 4, 8, 16 and 32 of them, then after every 32. */
function isToBeSaid(attempts: number, fewest: number): boolean {
  const isPowerOfTwo = Number.isInteger(Math.log2(attempts));
  return attempts >= fewest && (isPowerOfTwo || attempts % ATTEMPTS_PER_ERROR === 0);
}

/**
 * Another process was faster, or an earlier attempt has landed. That is no error, unless it happens again and again and nothing
 * newer is seen.
 */
export function attemptConflicted(step: Step, request: PendingRequest): void {
  attemptFailed(step, request, 'conflict');
  const { sent } = request;
  if (sent.verb === 'replace') refute(step, sent.expected.revision);
  const attempts = step.state.failedAttempts!.count;
  if (!isToBeSaid(attempts, FEWEST_CONFLICTS)) return;
  const attempted =
    sent.verb === 'replace' ? `replace revision ${sent.expected.revision} of` : 'create';
  step.fail(
    new LockRequestError(
      `The store refused the last ${attempts} attempts to acquire the lease, now to ${attempted} it, as it holds another ` +
        'version than this process has seen. Find out what is between this process and the store that answers reads from ' +
        'an old copy, or that sends each write twice.',
      { reason: 'rejected' },
    ),
  );
}

/**
 * The lease is ours, and the answer says so too late: the next attempt is due at once, as only it can find the server
 * faster. One late answer proves little.
 */
export function acquiredLate(step: Step, tookMs: number): void {
  const attempts = countFailure(step, 'late');
  if (!isToBeSaid(attempts, FEWEST_LATE)) return;
  const { role } = step.config;
  step.fail(new StoreTooSlowError(role, { ...step.config, attempts, tookMs }));
}

/** The refusal by version proves that this version is not the stored one, whatever reads say (R21). */
function refute(step: Step, revision: bigint): void {
  const others = step.state.refuted.filter((known) => known.revision !== revision);
  const until = step.now + step.config.leaseDurationMs;
  step.state.refuted = [...others, { revision, until }].slice(-REMEMBERED_REFUSALS);
}

/** From when on something may be tried on this version. */
export function triableFrom(step: Step, revision: bigint): number {
  return step.state.refuted.find((known) => known.revision === revision)?.until ?? -Infinity;
}

/**
 * True if this version was never received before. A lower one that a read shows means that the store was restored, and
 * all that was known of later versions is void; but two servers of different age look the same, and would keep the
 * pace of attempts from ever slowing down, so that this counts once per lease duration.
 */
export function isNews(step: Step, revision: bigint): boolean {
  const { newestRevision, restoredAt } = step.state;
  if (revision > newestRevision) {
    step.state.newestRevision = revision;
    return true;
  }
  if (revision === newestRevision) return false;
  if (step.now < restoredAt + step.config.leaseDurationMs) return false;
  step.state.newestRevision = revision;
  step.state.restoredAt = step.now;
  step.state.refuted = [];
  return true;
}

interface Retry {
  readonly error?: LockRequestError | undefined;
  /** How often this has failed in the same way. */
  readonly repetition?: number;
}

/**
 * From start to start, spread so that candidates do not march in step: by a fifth, and by half where all of them lost
 * the same server at the same instant.
 */
export function retryAt(
  step: Step,
  request: PendingRequest,
  { error, repetition = 1 }: Retry = {},
): number {
  // When all is to end there is no later period to wait for.
  if (step.state.finishing) return step.now + RETRY_BACKOFF_MS;
  const { retryPeriodMs, leaseDurationMs } = step.config;
  const { random } = step.at;
  const spread = error?.reason === 'unreachable' ? 0.5 + 0.5 * random : 0.8 + 0.2 * random;
  const periodMs = Math.min(retryPeriodMs * 2 ** (repetition - 1), leaseDurationMs);
  // A lease duration that is shorter than the retry period slows nothing down.
  const usual = request.startedAt.now + Math.max(periodMs, retryPeriodMs) * spread;
  const asked = Math.min(error?.retryAfterMs ?? 0, leaseDurationMs);
  return Math.max(usual, step.now + asked);
}
