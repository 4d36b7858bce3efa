import { LockRequestError } from '../../core/errors.js';
import { formatDocument, type JsonDocument, parseDocument } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { kernelUuid } from '../kernel-entropy.js';

/** Told of every change of one lease; `lease` is null when it was deleted. */
export type MemoryLeaseListener = (lease: ObservedLease | null, revision: bigint) => void;

/**
 * Leases in memory with the rules of the Kubernetes API server: a uid per creation, one revision counter for the whole
 * store that also counts deletions, compare-and-set on uid and revision, and no change at all for a write that equals
 * what is stored (A4).
 */
export class MemoryLeaseStore {
  /** What is kept beside the leases, by key. */
  readonly documents: MemoryDocuments = new Map();
  #revision = 0n;
  readonly #leases = new Map<string, ObservedLease>();
  readonly #listeners = new Map<string, Set<MemoryLeaseListener>>();

  read(key: string): ObservedLease | undefined {
    return this.#leases.get(key);
  }

  create(key: string, record: LeaseRecord): WriteOutcome {
    if (this.#leases.has(key)) return { kind: 'conflict' };
    return { kind: 'applied', stored: this.#store(key, record, kernelUuid()) };
  }

  replace(key: string, record: LeaseRecord, expected: ObservedLease): WriteOutcome {
    const stored = this.#leases.get(key);
    if (stored === undefined) return { kind: 'absent' };
    if (stored.uid !== expected.uid || stored.revision !== expected.revision) {
      return { kind: 'conflict' };
    }
    if (sameRecord(stored.record, record)) return { kind: 'applied', stored: stored };
    return { kind: 'applied', stored: this.#store(key, record, stored.uid) };
  }

  /** As somebody with a text editor would: no expectation. Nothing happens if there is no such lease. */
  edit(key: string, change: Partial<LeaseRecord>): void {
    const stored = this.#leases.get(key);
    if (stored !== undefined) this.#store(key, { ...stored.record, ...change }, stored.uid);
  }

  delete(key: string): void {
    if (!this.#leases.delete(key)) return;
    this.#tell(key, null, ++this.#revision);
  }

  /** Returns the function that ends it. Listeners are called while the change is made, before its outcome is known. */
  listen(key: string, listener: MemoryLeaseListener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  #store(key: string, record: LeaseRecord, uid: string): ObservedLease {
    const revision = ++this.#revision;
    const lease = Object.freeze({
      record: Object.freeze({ ...record }),
      uid,
      revision,
      timingKey: timingKey(uid, record),
    });
    this.#leases.set(key, lease);
    this.#tell(key, lease, revision);
    return lease;
  }

  #tell(key: string, lease: ObservedLease | null, revision: bigint): void {
    for (const listener of this.#listeners.get(key) ?? []) listener(lease, revision);
  }
}

function timingKey(uid: string, record: LeaseRecord): string {
  return JSON.stringify([
    uid,
    record.holderIdentity,
    record.leaseDurationSeconds,
    record.acquireTimeMicros,
    record.renewTimeMicros,
    record.leaseTransitions,
  ]);
}

function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    timingKey('', a) === timingKey('', b) &&
    a.releasedTransitions === b.releasedTransitions &&
    a.application === b.application
  );
}

/** Documents by key, each with a number that no other version of any of them ever has. */
export type MemoryDocuments = Map<string, { readonly text: string; readonly version: object }>;

/** A document in memory. Delivers by promise only, never by timer, as the memory lock does. */
export class MemoryDocumentStore implements Store<JsonDocument, StoredDocument> {
  constructor(
    private readonly documents: MemoryDocuments,
    private readonly key: string,
  ) {}

  async read({ signal }: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'failed', error: this.aborted(signal) };
    const stored = this.documents.get(this.key);
    if (stored === undefined) return { kind: 'absent' };
    const { text, version } = stored;
    return { kind: 'found', stored: { document: parseDocument(text) ?? {}, version } };
  }

  async create(
    document: JsonDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, options, () =>
      this.documents.has(this.key) ? { kind: 'conflict' } : undefined,
    );
  }

  async replace(
    document: JsonDocument,
    expected: { readonly version: unknown },
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, options, () => {
      const stored = this.documents.get(this.key);
      if (stored === undefined) return { kind: 'absent' };
      return stored.version === expected.version ? undefined : { kind: 'conflict' };
    });
  }

  describe(): string {
    return `in-memory document ${this.key}`;
  }

  private async write(
    document: JsonDocument,
    { signal }: LockRequestOptions,
    refusal: () => WriteOutcome<StoredDocument> | undefined,
  ): Promise<WriteOutcome<StoredDocument>> {
    const text = formatDocument(document, this.describe());
    if (text instanceof LockRequestError) return { kind: 'not-applied', error: text };
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.aborted(signal) };
    const refused = refusal();
    if (refused !== undefined) return refused;
    const version = {};
    this.documents.set(this.key, { text, version });
    return { kind: 'applied', stored: { document: parseDocument(text) ?? {}, version } };
  }

  private aborted(signal: AbortSignal): LockRequestError {
    return new LockRequestError(`${this.describe()}: the request was aborted before it was made.`, {
      reason: 'unclear',
      cause: signal.reason,
    });
  }
}

/**
 * A lock inside one process, for tests and for an application that never runs twice. All locks made from one call
 * share one store; two calls know nothing of each other.
 */
export function memoryLock(store: MemoryLeaseStore = new MemoryLeaseStore()): ResourceLockFactory {
  return (requester) => new MemoryLock(store, requester);
}

/** The key of a lease in the {@link MemoryLeaseStore} that {@link memoryLock} was given. */
export function memoryLeaseKey(requester: Pick<LockRequester, 'leaseName' | 'namespace'>): string {
  return `${requester.namespace ?? 'default'}/${requester.leaseName}`;
}

/** Delivers by promise only, never by timer, so that a test with a manual clock stays deterministic. */
export class MemoryLock implements ResourceLock {
  readonly #key: string;

  constructor(
    private readonly store: MemoryLeaseStore,
    requester: LockRequester,
  ) {
    this.#key = memoryLeaseKey(requester);
  }

  async read({ signal }: LockRequestOptions): Promise<ReadOutcome> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'failed', error: this.#aborted(signal) };
    const lease = this.store.read(this.#key);
    return lease === undefined ? { kind: 'absent' } : { kind: 'found', stored: lease };
  }

  async create(record: LeaseRecord, { signal }: LockRequestOptions): Promise<WriteOutcome> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.#aborted(signal) };
    return this.store.create(this.#key, record);
  }

  async replace(
    record: LeaseRecord,
    expected: ObservedLease,
    { signal }: LockRequestOptions,
  ): Promise<WriteOutcome> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.#aborted(signal) };
    return this.store.replace(this.#key, record, expected);
  }

  watch(observer: LeaseWatchObserver): LeaseWatch {
    return { close: this.#follow(observer) };
  }

  sibling(suffix: string): Store<JsonDocument, StoredDocument> {
    return new MemoryDocumentStore(this.store.documents, `${this.#key}-${suffix}`);
  }

  describe(): string {
    return `in-memory lease ${this.#key}`;
  }

  #follow(observer: LeaseWatchObserver): () => void {
    let ended = false;
    const deliver = (report: () => void) => {
      void Promise.resolve().then(() => {
        if (!ended) report();
      });
    };
    deliver(() => observer.opened());
    const unlisten = this.store.listen(this.#key, (lease, revision) =>
      deliver(() => observer.changed(lease, revision)),
    );
    return () => {
      ended = true;
      unlisten();
    };
  }

  #aborted(signal: AbortSignal): LockRequestError {
    return new LockRequestError(`${this.describe()}: the request was aborted before it was made.`, {
      reason: 'unclear',
      cause: signal.reason,
    });
  }
}
