import type { ContainerEnd, ContainerMark } from './container.js';
import { UNKNOWN_CROWD } from './crowd.js';
import type { ElectionFailure } from './errors.js';
import type {
  Coordination,
  Crowd,
  GivenUp,
  LeaderRequest,
  LeaseRecord,
  ObservedLease,
  RequestAnswer,
} from './lease-record.js';
import { type ServerPace, UNKNOWN_PACE } from './request-timeout.js';
import type { ReadOutcome, WriteOutcome } from './resource-lock.js';
import type { RevocationReason } from './term.js';
import { type Anchor, TRUSTED_WALL, type WallTrust } from './validity.js';

/** What the machine needs to know of the options. All times in milliseconds. */
export interface ElectionConfig {
  readonly role: string;
  readonly identity: string;
  /** Written into the record beside the identity. */
  readonly application?: string | undefined;
  /**
   * How this process is named as a successor, and written beside the identity: the uid of its pod. On locks without pods
   * the identity. Absent where members are not known; such a process is never named.
   */
  readonly memberUid?: string | undefined;
  /** Where the holder answers requests, written beside the identity. */
  readonly address?: string | undefined;
  /** A write in vain costs nothing: no candidate waits for that of another (R22). */
  readonly isLockInProcess?: boolean;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  readonly requestTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly releaseOnShutdown: boolean;
  readonly strict: boolean;
  /** How long a process must have been ineligible, or eligible again, before it counts (R25). */
  readonly ineligibleGraceMs: number;
}

/** Pause in milliseconds after a request of unknown outcome while the lease is held (R9). */
export const RETRY_BACKOFF_MS = 250;

/** The clocks and the dice at one instant. The machine has none of its own. */
export interface Instant {
  /** Monotonic, milliseconds. The only time that decides anything (R1). */
  readonly now: number;
  /** Wall clock, whole microseconds since the epoch, read before `now`: what is written into the record. */
  readonly wallMicros: number;
  /** The same, read after `now`: what ends belief after a gap that the other clocks do not show (R19). */
  readonly wallAfterMicros: number;
  /**
   * How long the machine has slept while the monotonic clock stood still, milliseconds, since any fixed instant. Read
   * before `now`.
   */
  readonly suspendedMs: number;
  /** Uniform in [0, 1). Spreads candidates that woke at the same event. */
  readonly random: number;
}

/**
 * - `idle`: not started. `stopped`: it never starts again.
 * - `contending`: wants to lead. `suspended`: follows, and does not compete.
 * - `stopping`: gives up what it holds, then stops once `finish` was said.
 */
type Candidacy = 'idle' | 'contending' | 'suspended' | 'stopping' | 'stopped';

/** The newest known representation of the lease and what this process has seen of it on its own clock. */
export interface Observation {
  readonly lease: ObservedLease | null;
  /** Older watch events than this are dropped (R14). */
  readonly revision: bigint;
  /** When this process received the first representation with the present timing key (R5). */
  readonly since: number;
  /** This observation's own delay before an attempt on it, as a fraction of the jitter. */
  readonly jitter: number;
  /**
   * What proves that the holder's process is gone: the lock, for this timing key, or the end of the container that this
   * very version names (R24). Null: nothing.
   */
  readonly deathShownBy: 'lock' | 'container' | null;
  /**
   * When a proof was first known for this timing key, though the present version may no longer name a container; null:
   * never. An edit that takes the name off and puts it on again does not begin the wait of R22 a second time.
   */
  readonly deathShownAt: number | null;
}

/** What is known of the lease in every stage of holding it. */
export interface HeldLease {
  readonly uid: string;
  readonly term: number;
  readonly acquireTimeMicros: number;
  /** Renew times of the last renewal known to be applied and of the last one sent. The acquiring write counts as one. */
  readonly appliedRenewMicros: number;
  readonly sentRenewMicros: number;
  /** The outcome of the last write is not known: read before the next write (R9). */
  readonly mustReadBack: boolean;
  /** The container of this process, once a read since the acquisition has shown it; null until then (R24). */
  readonly container: ContainerMark | null;
}

interface RenewedLease extends HeldLease {
  /** When the last renewal was sent. */
  readonly sentAt: Anchor;
}

interface Validity {
  /** Read just before the last renewal known to have been applied was built: validity counts from here (R4). */
  readonly anchor: Anchor;
  /** End of validity V: the anchor plus the renew deadline, less what the monotonic clock has missed since (R19). */
  readonly validUntil: number;
}

/** Strict mode waits out believers that a hand edit may have left (R13); not leader. Others pass through it at once. */
export interface SettlingTenure extends RenewedLease, Validity {
  readonly stage: 'settling';
  readonly settledAt: number;
  readonly fencingToken: bigint;
}

/** Leader while the clock is before `validUntil`. */
export interface LeadingTenure extends RenewedLease, Validity {
  readonly stage: 'leading';
}

/** No longer leader; renewed so that no other leader begins while its work ends. */
export interface DrainingTenure extends RenewedLease {
  readonly stage: 'draining';
  /** As of a validity, which is over: no other process can hold the lease until the renew deadline after it has passed. */
  readonly anchor: Anchor;
  /** The term was granted, so its release may say that no believer is left (R13). */
  readonly wasGranted: boolean;
  readonly drainDeadline: number;
}

/** A release is due or was sent; the term is over, whatever becomes of that request (R11). */
export interface ReleasingTenure extends HeldLease {
  readonly stage: 'releasing';
  /** As while draining. */
  readonly wasGranted: boolean;
  readonly releaseDeadline: number;
  /** When the last release was sent, as the next is not sent at once; null before the first. */
  readonly releaseSentAt: number | null;
}

/**
 * Possession of the lease, from the acquiring write until it is released, lost or left to expire. How one stage follows
 * another is drawn above `transition`.
 */
export type Tenure = SettlingTenure | LeadingTenure | DrainingTenure | ReleasingTenure;

/** This process may lead, now or once it has settled: validity bounds it. */
export type BelievingTenure = SettlingTenure | LeadingTenure;

/**
 * How a lease that is taken without a clean release and without waiting looked: its object was missing; it shows no
 * holder, now or earlier, as one that was made by hand; or its holder was removed.
 */
export type UncleanKind = 'missing' | 'unheld' | 'emptied';

export type Purpose = 'read' | 'acquire' | 'renew' | 'release';

export interface PendingRequest {
  readonly id: number;
  readonly purpose: Purpose;
  readonly sent: LockRequest;
  readonly startedAt: Instant;
  /**
   * Revision that a replacement was conditioned on, and a reply that still has it changed nothing (R7); for a read, the
   * newest one known when it was sent.
   */
  readonly baseRevision: bigint | null;
  readonly timeoutMs: number;
  /** Given up at this instant, before its timeout, as something more urgent waits for its end. Infinity: nothing does. */
  readonly cutAt: number;
  /** What the acquisition takes over without a clean release; null after one, or after a whole lease duration. */
  readonly unclean: UncleanKind | null;
  /** How long the acquisition must be held before it is granted (strict mode). */
  readonly settleMs: number;
}

/** The acquiring writes of one term; lets an own record be told from one that merely has our identity. */
interface Acquisition {
  readonly term: number;
  /** The acquireTime of each attempt; a record with another one was written by another process. */
  readonly acquireTimesMicros: readonly number[];
  /**
   * The renewTime of each write that may be stored now or yet be applied: of the attempts, or of the last renewal known
   * to be applied and all that were sent since. A record with another one was written by a copy of this process (R19).
   */
  readonly renewTimesMicros: readonly number[];
}

/** Whom the release is to name at the request of a person, or why there is no such member. */
export type SuccessorChoice = { readonly uid: string } | { readonly refused: string };

/** Whether this process is fit to lead, as the application and the cluster see it (R25). */
interface Eligibility {
  /** What counts: the report that has stayed the same for `ineligibleGraceMs`. True where nothing is ever reported. */
  readonly isEligible: boolean;
  /** The last report, and when it began. */
  readonly isReported: boolean;
  readonly since: number;
  /** It has competed as an eligible process; until then a report that makes it one counts at once. */
  readonly hasCompeted: boolean;
  /** Another process that is fit to take over is known. */
  readonly mayHandOver: boolean;
  /** It has handed over since it became ineligible. */
  readonly hasHandedOver: boolean;
  /** The last term that it handed over as ineligible. */
  readonly letGoTerm: number | null;
}

/** A member that has given up, and when this process first heard of it. */
export interface RestingMember extends GivenUp {
  readonly since: number;
}

export interface ElectionState {
  readonly candidacy: Candidacy;
  /** The last reading of the monotonic clock. */
  readonly latestNow: number;
  readonly wallTrust: WallTrust;
  readonly observation: Observation | null;
  readonly watching: boolean;
  /** The first watch is on its way: nothing is sent in vain that it may save (R22). */
  readonly watchOpening: boolean;
  /** A read has shown what the open watch has not: until it reports something, this process polls as well. */
  readonly watchMissed: boolean;
  /** The observation may be outdated though a watch is open. */
  readonly mustRead: boolean;
  readonly tenure: Tenure | null;
  readonly pending: PendingRequest | null;
  readonly lastRequestId: number;
  /** The ended term whose handlers or work have not ended yet; nothing is acquired before they have. */
  readonly undrainedTerm: number | null;
  /** No write starts sooner. */
  readonly nextAttemptAt: number;
  /** No read of a follower starts sooner. */
  readonly nextReadAt: number;
  /** No acquisition starts sooner: one retry period after the last, and after the cool-down of a step-down. */
  readonly contendNotBefore: number;
  /** The longest cool-down asked for since the last term began; it begins again when the work of that term has ended. */
  readonly cooldownMs: number;
  /** Closing may last until then: the whole drain timeout, though it was not used, and time for the release (R20). */
  readonly closingDeadline: number;
  readonly finishing: boolean;
  readonly finishDeadline: number;
  readonly lastAcquisition: Acquisition | null;
  /** The last term that was granted: its record may be released as one whose holder has ended. */
  readonly lastGrantedTerm: number | null;
  /**
   * The store may name this process by a write that no answer and no read has settled: one that may have been applied or
   * be applied later, or the last of a term that ran out (R9, R11).
   */
  readonly writeUnresolved: boolean;
  /** Every renewTime this process writes is greater than this one (R7). */
  readonly lastRenewMicros: number;
  /** Highest transitions seen; a re-created lease continues from there. */
  readonly highestTransitions: number;
  /** How fast the server has answered lately (R20). */
  readonly pace: ServerPace;
  /** What failed when this process last tried to acquire; null once there is something new to try for (R21). */
  readonly failedAttempts: FailedAttempts | null;
  readonly refuted: readonly RefutedRevision[];
  /** The highest revision received since the store was last seen to be restored, and when that was. */
  readonly newestRevision: bigint;
  readonly restoredAt: number;
  /** How many members there are; null while they are not known (R22). */
  readonly members: number | null;
  /** What this process writes of the crowd while it holds the lease. */
  readonly crowd: Crowd;
  /** Of the last renewal whose way to the own watch was measured. */
  readonly measuredRenewMicros: number;
  /** Whom the release of the present term is to name (R23). */
  readonly successorUid: string | null;
  /** The present or last term began with a release that named this process. */
  readonly wasNamed: boolean;
  /** Members that were named, and another one acquired, and that have not been seen to lead since. */
  readonly namedInVain: readonly string[];
  /** Members that have given up, each once; those that did last, if there are too many (R25). */
  readonly resting: readonly RestingMember[];
  /** Containers of which it is proved that they have ended; those that ended last, if there are too many (R24). */
  readonly endedContainers: readonly ContainerEnd[];
  readonly eligibility: Eligibility;
  /** The last requests that this process has heard as the holder, with their terms (R27). */
  readonly heardRequests: readonly string[];
  /** What came of it, or of an earlier one. */
  readonly answer: RequestAnswer | null;
  /** The leader last announced. */
  readonly leader: string | undefined;
}

export const INITIAL_STATE: ElectionState = {
  candidacy: 'idle',
  latestNow: -Infinity,
  wallTrust: TRUSTED_WALL,
  observation: null,
  watching: false,
  watchOpening: false,
  watchMissed: false,
  mustRead: true,
  tenure: null,
  pending: null,
  lastRequestId: 0,
  undrainedTerm: null,
  nextAttemptAt: 0,
  nextReadAt: 0,
  contendNotBefore: 0,
  cooldownMs: 0,
  closingDeadline: Infinity,
  finishing: false,
  finishDeadline: Infinity,
  lastAcquisition: null,
  lastGrantedTerm: null,
  writeUnresolved: false,
  lastRenewMicros: 0,
  highestTransitions: 0,
  pace: UNKNOWN_PACE,
  failedAttempts: null,
  refuted: [],
  newestRevision: -1n,
  restoredAt: -Infinity,
  members: null,
  crowd: UNKNOWN_CROWD,
  measuredRenewMicros: 0,
  successorUid: null,
  wasNamed: false,
  namedInVain: [],
  resting: [],
  endedContainers: [],
  eligibility: {
    isEligible: true,
    isReported: true,
    since: -Infinity,
    hasCompeted: false,
    mayHandOver: false,
    hasHandedOver: false,
    letGoTerm: null,
  },
  heardRequests: [],
  answer: null,
  leader: undefined,
};

/** Ways to give up leadership on purpose. */
export type WithdrawalReason = Extract<
  RevocationReason,
  'stepped-down' | 'handler-failed' | 'suspended' | 'shutdown'
>;

export type ElectionEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'tick' }
  | { readonly kind: 'read-done'; readonly id: number; readonly outcome: ReadOutcome }
  | { readonly kind: 'write-done'; readonly id: number; readonly outcome: WriteOutcome }
  /** A watch was asked for and has not answered. */
  | { readonly kind: 'watch-opening' }
  | { readonly kind: 'watch-opened' }
  | {
      readonly kind: 'watch-changed';
      readonly lease: ObservedLease | null;
      readonly revision: bigint;
    }
  | { readonly kind: 'watch-interrupted' }
  | { readonly kind: 'holder-died'; readonly timingKey: string }
  /** The API server says that this container has ended (R24). */
  | { readonly kind: 'container-ended'; readonly end: ContainerEnd }
  /** A read since the acquisition of this term has shown in which container this process runs. Forgotten with the term. */
  | { readonly kind: 'container-known'; readonly term: number; readonly container: ContainerMark }
  | { readonly kind: 'withdraw'; readonly reason: WithdrawalReason; readonly cooldownMs: number }
  | { readonly kind: 'resume' }
  /** How many members compete; null: it is not known. */
  | { readonly kind: 'crowd-known'; readonly candidates: number | null }
  /** Whom the release of the present term is to name; null: no member. Forgotten with the term. */
  | { readonly kind: 'successor-chosen'; readonly uid: string | null }
  /** Whom the release is to name, as the request asks for (R27). */
  | {
      readonly kind: 'successor-looked-up';
      readonly request: LeaderRequest;
      readonly choice: SuccessorChoice;
    }
  /** Whether this process is fit to lead, and whether another that is fit to take over is known (R25). */
  | { readonly kind: 'eligibility'; readonly isEligible: boolean; readonly mayHandOver: boolean }
  /** The handlers and the work of this ended term have all ended. */
  | { readonly kind: 'drained'; readonly term: number }
  /** The application is gone: release now if that is safe, then stop. */
  | { readonly kind: 'finish' };

export type LockRequest =
  | { readonly verb: 'read' }
  | { readonly verb: 'create'; readonly record: LeaseRecord }
  | { readonly verb: 'replace'; readonly record: LeaseRecord; readonly expected: ObservedLease };

/** What a step of the machine leads to, in the order in which it is to be done and told. */
export type ElectionEffect = ElectionCommand | ElectionNotice;

/** What the elector is to do. */
type ElectionCommand =
  | {
      readonly kind: 'request';
      readonly id: number;
      readonly purpose: Purpose;
      readonly request: LockRequest;
      readonly timeoutMs: number;
    }
  /** The answer is no longer wanted. */
  | { readonly kind: 'abandon-request'; readonly id: number }
  /** Send a `tick` at this instant, in place of any earlier wish. Infinity: none. */
  | { readonly kind: 'wake'; readonly at: number }
  /** Begin the term. This process already leads, and whoever hears of it may have it waited for when the term ends. */
  | { readonly kind: 'grant'; readonly term: number; readonly fencingToken: bigint }
  /** End the term, and say `drained` when all its work has ended. This process no longer leads. */
  | { readonly kind: 'revoke'; readonly term: number; readonly reason: RevocationReason }
  /** Look up the member that the request names, and say `successor-looked-up` (R27). */
  | { readonly kind: 'choose-successor'; readonly request: LeaderRequest }
  /** Nothing comes after this. */
  | { readonly kind: 'stop' };

/** What others hear, as it is. Nothing in the election depends on their hearing it. */
export type ElectionNotice =
  /** Whoever leads as far as this process knows; undefined when none is known. */
  | {
      readonly kind: 'leader-changed';
      readonly leader: string | undefined;
      /** Another leader's application, where its record names one. */
      readonly application: string | undefined;
    }
  /** The lease is held but not granted before this much time (strict mode). */
  | { readonly kind: 'settling'; readonly term: number; readonly settleMs: number }
  | { readonly kind: 'renewed'; readonly term: number }
  | { readonly kind: 'released'; readonly term: number }
  /** A release named this member, and another one acquired. It is not named again before it was seen to lead (R23). */
  | { readonly kind: 'named-in-vain'; readonly uid: string; readonly leader: string }
  /** Taken without a clean release and without waiting: the object was missing or its holder had been emptied (R13). */
  | {
      readonly kind: 'unclean-acquisition';
      readonly term: number;
      readonly was: UncleanKind;
    }
  /** This process competes no longer, or competes again, as it has been ineligible or eligible for the grace (R25). */
  | { readonly kind: 'eligibility-changed'; readonly isEligible: boolean }
  /** A lease that the API server was to coordinate was taken, as no holder was chosen for a whole lease duration (R17). */
  | {
      readonly kind: 'uncoordinated-acquisition';
      readonly term: number;
      readonly coordination: Coordination;
    }
  /** This leader was asked to step down, or to read its schedule, and has done so, or has refused: then it says why (R27). */
  | { readonly kind: 'request-answered'; readonly request: LeaderRequest; readonly refused: string }
  /** Others have written beside the lease: this leader is to read its schedule (R27). */
  | { readonly kind: 'schedule-changed' }
  /** An ineligible process leads, as no eligible one has taken the lease (R25). */
  | { readonly kind: 'ineligible-acquisition'; readonly term: number }
  /** Something failed; the election continues by itself. `of`: what, if it was no request. */
  | { readonly kind: 'failed'; readonly error: ElectionFailure; readonly of?: 'watch' }
  /** The watch of the lease, which had failed, is open again. */
  | { readonly kind: 'watch-recovered' };

/** How an attempt to acquire failed. `late`: it succeeded, too late to be granted (R20). */
export type AttemptFailure =
  'conflict' | 'rejected' | 'unreachable' | 'unknown' | 'altered' | 'late';

/** Attempts in a row that failed in the same way. */
interface FailedAttempts {
  readonly as: AttemptFailure;
  readonly count: number;
}

/** A version that a replacement of ours conflicted with, and so is not the stored one. */
interface RefutedRevision {
  readonly revision: bigint;
  /** Until then nothing is tried on it, however often a stale cache shows it again. */
  readonly until: number;
}
