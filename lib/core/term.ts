/** One uninterrupted leadership of one process. A value: it never changes after it was granted. */
export interface Term {
  /** The role that is led. */
  readonly role: string;
  /** The lease's `leaseTransitions` at acquisition. For people: it starts again when the Lease is deleted. */
  readonly number: number;
  /**
   * Grows from each leader to the next, also over a deleted Lease: the resourceVersion that the acquiring write got
   * (docs/safety.md). A store that remembers the highest token it has seen and refuses lower ones is safe
   * from a leader that does not yet know that it was replaced.
   */
  readonly fencingToken: bigint;
  /** This process, as it is written in the lease: the option `identity`. */
  readonly holderIdentity: string;
  /** Wall-clock time, for logs. Nothing is decided by it. */
  readonly grantedAt: Date;
  /** Aborted the moment the term ends, before `@OnRevoked` handlers run. Its reason is a LeadershipRevokedError. */
  readonly signal: AbortSignal;
}

/**
 * Makes a term out of its fields. As JSON it has its fencing token as decimal text, and no signal; the method that does
 * it is not enumerable, so that a term equals an object with its fields.
 */
export function createTerm(fields: Term): Term {
  const { signal, ...sent } = fields;
  const json = { ...sent, fencingToken: String(fields.fencingToken) };
  return Object.freeze(Object.defineProperty({ ...sent, signal }, 'toJSON', { value: () => json }));
}

/**
 * Why a term ended.
 * - `renew-deadline`: no renewal succeeded for `renewDeadlineMs`.
 * - `superseded`: another process was seen to hold the lease, or someone has edited it.
 * - `lease-deleted`: the lease was deleted, or deleted and created again.
 * - `stepped-down`: `stepDown()` was called.
 * - `handler-failed`: an `@OnGranted` handler threw.
 * - `suspended`: `suspend()` was called.
 * - `ineligible`: this process was not fit to lead for `ineligibleGraceMs`, and another was known to be.
 * - `shutdown`: the application is closing.
 */
export type RevocationReason =
  | 'renew-deadline'
  | 'superseded'
  | 'lease-deleted'
  | 'stepped-down'
  | 'handler-failed'
  | 'suspended'
  | 'ineligible'
  | 'shutdown';

/** What `leadership$` carries: who leads as far as this process knows. */
export interface Leadership {
  /** The role that it is about. */
  readonly role: string;
  /** True while this process leads. */
  readonly isLeader: boolean;
  /** Identity of the leader; absent when none is known. */
  readonly leader?: string;
  /** Present while this process leads. */
  readonly term?: Term;
  /** Why the last term of this process ended; present from then until it leads again. */
  readonly reason?: RevocationReason;
}
