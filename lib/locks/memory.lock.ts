import type { ObservedLease, LeaseRecord } from '../core/lease-record.js';
import { LockRequestError } from '../core/errors.js';
import type {
  DocumentStore,
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  WriteOutcome,
} from '../core/resource-lock.js';
import { MemoryDocumentStore } from './memory-document-store.js';
import { MemoryLeaseStore } from './memory-lease-store.js';

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
    return lease === undefined ? { kind: 'absent' } : { kind: 'found', lease };
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

  sibling(suffix: string): DocumentStore {
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
