import type { UncleanKind } from '../core/election-state.js';
import type { ElectionError } from '../core/errors/election-error.js';
import type { RevocationReason, Term } from '../core/term.js';

/**
 * What an election tells. Calls come one at a time, in the order in which things happened; granted and revoked
 * alternate, one pair per term. An observer must not throw: the election goes on, and the error becomes an uncaught one. A
 * rejected promise of a handler only ends the wait for it.
 */
export interface ElectionObserver {
  /** `isLeader()` is already true. The promise is waited for when the term ends. */
  onGranted?(term: Term): void | Promise<void>;
  /** `isLeader()` is already false and the term's signal aborted. The lease is kept until the promise settles. */
  onRevoked?(term: Term, reason: RevocationReason): void | Promise<void>;
  /**
   * Whoever leads as far as this process knows; undefined when nobody is known to. With its application, where the
   * record names one.
   */
  onLeaderChanged?(leader: string | undefined, application: string | undefined): void;
  /** Something failed; the election goes on by itself. */
  onError?(error: ElectionError): void;
  onRenewed?(term: number): void;
  onReleased?(term: number): void;
  /** Strict mode: the lease is held and will be granted after this time. */
  onSettling?(term: number, settleMs: number): void;
  /** The lease was taken over without a clean release: its object was missing, or somebody had emptied its holder. */
  onUncleanAcquisition?(term: number, was: UncleanKind): void;
}
