import { LeaderElectionError } from './leader-election.error.js';

export interface LockRequestErrorDetails {
  /**
   * `rejected`: the store understood and said no (403, 422, 429 ...). `unreachable`: nothing was sent.
   * `unclear`: sent, and no usable answer came back. The election retries a rejected request more slowly.
   */
  readonly reason: 'rejected' | 'unreachable' | 'unclear';
  /** How long the store asked to wait, in milliseconds (Kubernetes: the Retry-After header). */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * A request to the lock's store failed. The message says what was asked, what came back and what to change.
 * Code `ERR_LOCK_REQUEST`.
 */
export class LockRequestError extends LeaderElectionError {
  readonly code = 'ERR_LOCK_REQUEST';
  readonly reason: LockRequestErrorDetails['reason'];
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: LockRequestErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}
