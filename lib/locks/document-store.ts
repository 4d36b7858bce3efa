import type { NothingFound, UnconfirmedWrite } from '../core/lock-outcome.js';
import type { LockRequestOptions } from './resource-lock.js';

/** A JSON object. What a writer does not understand of it, it writes back. */
export type JsonDocument = Readonly<Record<string, unknown>>;

/** One version of a document, as a read or a write returned it. */
export interface StoredDocument {
  readonly document: JsonDocument;
  /** The expectation of a compare-and-set. Opaque: only the store that made it understands it. */
  readonly version: unknown;
}

export type DocumentReadOutcome =
  { readonly kind: 'found'; readonly stored: StoredDocument } | NothingFound;

/** What is known of a write. `applied`: it is in the store, as `stored`; for the rest see {@link UnconfirmedWrite}. */
export type DocumentWriteOutcome =
  { readonly kind: 'applied'; readonly stored: StoredDocument } | UnconfirmedWrite;

/**
 * The store of one small document beside a lease, with the lease's own rules: every write is a compare-and-set on the
 * version that was read, a deleted document is not brought back by a replacement, nothing is retried, merged or
 * deleted, and failures are outcomes. Every store passes the same contract suite
 * (`test/locks/document-store.contract.ts`).
 */
export interface DocumentStore {
  /** A linearizable read: it sees every write that was acknowledged before it began. */
  read(options: LockRequestOptions): Promise<DocumentReadOutcome>;
  /** Creates the document; `conflict` if there is one. */
  create(document: JsonDocument, options: LockRequestOptions): Promise<DocumentWriteOutcome>;
  /** Replaces the document if the stored one still is the expected version. */
  replace(
    document: JsonDocument,
    expected: StoredDocument,
    options: LockRequestOptions,
  ): Promise<DocumentWriteOutcome>;
  /** For logs and errors: which object this is, e.g. `Lease default/plan-scheduler-schedule`. */
  describe(): string;
}
