import type { LockRequestError } from './errors/lock-request.error.js';
import type { ObservedLease } from './lease-record.js';

/** A read that found no object. `failed`: nothing was learned. */
export type NothingFound =
  { readonly kind: 'absent' } | { readonly kind: 'failed'; readonly error: LockRequestError };

/**
 * A write that is not known to be in the store (R9).
 * - `conflict`: the store holds another version than expected, or, for a create, an object. Not proof of loss: an own
 *   earlier write may be the cause. Only for a comparison of versions: the election takes it as proof that the expected
 *   version is outdated, and does not try it again soon. A store that refuses for another reason, with whatever status
 *   (a quota, the denial of an admission webhook), answers `not-applied`.
 * - `absent`: there is no object to replace.
 * - `not-applied`: it is not and never will be in the store. The error says why.
 * - `unknown`: it may be in the store now, later or never (timeout, reset, 5xx).
 */
export type UnconfirmedWrite =
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'not-applied'; readonly error: LockRequestError }
  | { readonly kind: 'unknown'; readonly error: LockRequestError };

export type ReadOutcome = { readonly kind: 'found'; readonly lease: ObservedLease } | NothingFound;

/** What is known of a write. `applied`: it is in the store, as `lease`; for the rest see {@link UnconfirmedWrite}. */
export type WriteOutcome =
  { readonly kind: 'applied'; readonly lease: ObservedLease } | UnconfirmedWrite;
