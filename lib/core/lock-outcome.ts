import type { LockRequestError } from './errors/lock-request.error.js';
import type { ObservedLease } from './lease-record.js';

/** What a read found. `failed`: nothing was learned. */
export type ReadOutcome =
  | { readonly kind: 'found'; readonly lease: ObservedLease }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly error: LockRequestError };

/**
 * What is known of a write (R9).
 * - `applied`: it is in the store, as `lease`.
 * - `conflict`: the store holds another version than expected. Not proof of loss: an own earlier write may be the cause.
 * - `absent`: there is no object to replace.
 * - `not-applied`: it is not and never will be in the store.
 * - `unknown`: it may be in the store now, later or never (timeout, reset, 5xx).
 */
export type WriteOutcome =
  | { readonly kind: 'applied'; readonly lease: ObservedLease }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'not-applied'; readonly error: LockRequestError }
  | { readonly kind: 'unknown'; readonly error: LockRequestError };
