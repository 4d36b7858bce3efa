import type { LockRequestError } from './errors.js';
import type { JsonDocument } from './json-document.js';
import type { MemberSource } from './member.js';
import type { LeaseRecord, ObservedLease } from './lease-record.js';

/** One version of a document, as a read or a write returned it. */
export interface StoredDocument {
  /** What the store holds. */
  readonly document: JsonDocument;
  /** The expectation of a compare-and-set. Opaque: only the store that made it understands it. */
  readonly version: unknown;
}

/**
 * What is known after a read.
 * - `found`: the object, as `stored`.
 * - `absent`: there is no object.
 * - `failed`: nothing was learned. The error says why.
 */
export type ReadOutcome<Version = ObservedLease> =
  | {
      readonly kind: 'found';
      /** The object as the store holds it. */
      readonly stored: Version;
    }
  | { readonly kind: 'absent' }
  | FailedRequest<'failed'>;

/** What came of a request that failed. */
interface FailedRequest<Kind extends string> {
  readonly kind: Kind;
  /** Why it failed, how far it got, and how long the store asked to wait. */
  readonly error: LockRequestError;
}

/**
 * What is known after a write (R9).
 * - `applied`: it is in the store, as `stored`.
 * - `conflict`: the store holds another version than expected, or, for a create, an object. Not proof of loss: an own
 *   earlier write may be the cause. Only for a comparison of versions: the election takes it as proof that the expected
 *   version is outdated, and does not try it again soon. A store that refuses for another reason, with whatever status
 *   (a quota, the denial of an admission webhook), answers `not-applied`.
 * - `absent`: there is no object to replace.
 * - `not-applied`: it is not and never will be in the store. The error says why.
 * - `unknown`: it may be in the store now, later or never (timeout, reset, 5xx).
 */
export type WriteOutcome<Version = ObservedLease> =
  | {
      readonly kind: 'applied';
      /** The object as the store holds it after the write. */
      readonly stored: Version;
    }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' }
  | FailedRequest<'not-applied'>
  | FailedRequest<'unknown'>;

/** What bounds one request to a lock. */
export interface LockRequestOptions {
  /** Bound of the whole request in milliseconds, body included. */
  readonly timeoutMs: number;
  /** Aborted when the election no longer wants the answer; the outcome of a write is then `unknown`. */
  readonly signal: AbortSignal;
}

/** What a watch tells. Every call may come at any time between `watch()` and the end of `close()`. */
export interface LeaseWatchObserver {
  /**
   * From now on every change is reported. Nothing that happened before this call needs to be: the election reads the
   * lease once after each `opened`. May come again without an interruption, where a lock knows only that it is time to
   * read.
   */
  opened(): void;
  /**
   * A representation; `lease` null when the object was deleted, `revision` then being that of the deletion. May be
   * old, repeated or out of order: the election drops what is not newer than what it knows.
   */
  changed(lease: ObservedLease | null, revision: bigint): void;
  /**
   * Proof, not suspicion, that the process which wrote the representation with this timing key no longer runs. The
   * lease may then be taken at once.
   */
  holderDied(timingKey: string): void;
  /** No longer reporting; the watch tries again by itself until it is closed. `error` is absent on an ordinary end. */
  interrupted(error?: LockRequestError): void;
}

/** A watch that has begun. */
export interface LeaseWatch {
  /** Ends the watch. No observer call comes after it, and no socket, timer or file handle is left. */
  close(): void;
}

/**
 * The store of one object: reads, and writes that are compare-and-set. `Content` is what is written, `Version` what is
 * stored of it: the content with whatever tells one version from another.
 *
 * A store never retries a write, never writes without the expected version, never merges, never deletes (R6). It
 * reports failures as outcomes; a promise that rejects is treated as an unknown outcome.
 */
export interface Store<Content, Version> {
  /** A linearizable read: it sees every write that was acknowledged before it began. */
  read(options: LockRequestOptions): Promise<ReadOutcome<Version>>;
  /** Creates the object; `conflict` if there is one. */
  create(content: Content, options: LockRequestOptions): Promise<WriteOutcome<Version>>;
  /**
   * Replaces the object if the stored one still is the expected version (of a lease: has its `revision` and its `uid`).
   * Everything else in the object is kept (R6): of a lease, whatever its `source` holds beside the record, the records of
   * other leases that share the object among it.
   */
  replace(
    content: Content,
    expected: Version,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<Version>>;
  /** For logs and errors: which object this is, e.g. `Lease default/plan-scheduler`. */
  describe(): string;
}

/** The store of one lease. Every lock passes `lockContract()` of `nestjs-leader-election/contracts`. */
export interface ResourceLock extends Store<LeaseRecord, ObservedLease> {
  /**
   * Says that the lease is kept in this process, where a write in vain costs nothing. Candidates then don't wait a random
   * time before they acquire.
   * @default false
   */
  readonly isInProcess?: boolean;
  /**
   * Reports changes as they happen. A lock without it is polled every retry period.
   */
  watch?(
    observer: LeaseWatchObserver,
    options: {
      /** A watch that has heard nothing for this time, in milliseconds, begins again by itself. */
      readonly silenceLimitMs: number;
    },
  ): LeaseWatch;
  /**
   * The election is about to acquire the lease. A lock that has to connect to its store first may begin to, and must send no
   * request: most candidates then hear of another leader instead. Called again before each acquisition that is expected;
   * what fails here is for the request that follows to say.
   */
  connect?(): void;
  /**
   * The store of a document beside this lease, in an object of its own named `<leaseName>-<suffix>`. Uses what this
   * lock holds, and is of no use after `close()`. A lock without it cannot carry `@LeaderCron` jobs. Every such store
   * passes `documentStoreContract()` of `nestjs-leader-election/contracts`.
   */
  sibling?(suffix: string): Store<JsonDocument, StoredDocument>;
  /**
   * The lock of another lease, in an object of its own named `<leaseName>-<suffix>`, for `@LeaderOnce` work; `identity` is
   * how this process is written as its holder. It may use what this lock holds: it is closed first, and must not close
   * that. Without it the factory of the lock is called once more, with that `leaseName` and `identity`.
   */
  leaseBeside?(suffix: string, identity: string): ResourceLock;
  /**
   * The processes that compete for this lease, this one included from the start of the source on. For the option
   * `members`; a lock without it cannot have them.
   */
  competitors?(): MemberSource;
  /** Frees what the lock holds (connections, sockets). Called once, after the last request and the watch have ended. */
  close?(): Promise<void>;
}

/** Who asks for a lock: what a lock needs to know of the election it serves. */
export interface LockRequester {
  /** The option `leaseName`. */
  readonly leaseName: string;
  /** Undefined where none was configured; the Lease lock then takes the pod's own. */
  readonly namespace: string | undefined;
  /** The option `identity`: how this process is written as holder. */
  readonly identity: string;
  /**
   * The option `role`, for a lock that other programs find by it.
   * @default leaseName
   */
  readonly role?: string;
  /** The option `createLease`. @default true */
  readonly createLease?: boolean;
}

/** Makes the lock of one election; what `leaseLock()`, `fileLock()` and `memoryLock()` return. */
export interface ResourceLockFactory {
  (requester: LockRequester): ResourceLock | Promise<ResourceLock>;
}
