import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { ReadOutcome, WriteOutcome } from '../core/lock-outcome.js';
import type { LockRequestError } from '../core/errors/lock-request.error.js';
import type { DocumentStore } from './document-store.js';

export interface LockRequestOptions {
  /** Bound of the whole request, body included. */
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

export interface LeaseWatch {
  /** Ends the watch. No observer call comes after it, and no socket, timer or file handle is left. */
  close(): void;
}

/**
 * The store of one lease: reads, and writes that are compare-and-set. Every lock passes the same contract suite
 * (`test/locks/resource-lock.contract.ts`).
 *
 * A lock never retries a write, never writes without the expected version, never merges, never deletes (R6). It
 * reports failures as outcomes; a promise that rejects is treated as an unknown outcome.
 */
export interface ResourceLock {
  /** A linearizable read: it sees every write that was acknowledged before it began. */
  read(options: LockRequestOptions): Promise<ReadOutcome>;
  /** Creates the object; `conflict` if there is one. */
  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome>;
  /**
   * Replaces the record if the stored object still has `expected.revision` and `expected.uid`. Everything else in the
   * object (`expected.source`) is kept.
   */
  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome>;
  /**
   * Reports changes as they happen. A lock without it is polled every retry period. A watch that has heard nothing for
   * `silenceLimitMs` begins again by itself.
   */
  watch?(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch;
  /**
   * The store of a document beside this lease, in an object of its own named `<leaseName>-<suffix>`. Uses what this
   * lock holds, and is of no use after `close()`. A lock without it cannot carry `@LeaderCron` jobs.
   */
  sibling?(suffix: string): DocumentStore;
  /** For logs and errors: which object this is, e.g. `Lease default/plan-scheduler`. */
  describe(): string;
  /** Frees what the lock holds (connections, sockets). Called once, after the last request and the watch have ended. */
  close?(): Promise<void>;
}

/** Who asks for a lock: what a lock needs to know of the election it serves. */
export interface LockRequester {
  readonly leaseName: string;
  /** Undefined where none was configured; the Lease lock then takes the pod's own. */
  readonly namespace: string | undefined;
  readonly identity: string;
}

/** Makes the lock of one election; what `leaseLock()`, `fileLock()` and `memoryLock()` return. */
export interface ResourceLockFactory {
  (requester: LockRequester): ResourceLock | Promise<ResourceLock>;
}
