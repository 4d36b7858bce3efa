import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { WriteOutcome } from '../core/resource-lock.js';
import { kernelUuid } from './kernel-entropy.js';
import type { MemoryDocuments } from './memory-document-store.js';

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
    return { kind: 'applied', lease: this.#store(key, record, kernelUuid()) };
  }

  replace(key: string, record: LeaseRecord, expected: ObservedLease): WriteOutcome {
    const stored = this.#leases.get(key);
    if (stored === undefined) return { kind: 'absent' };
    if (stored.uid !== expected.uid || stored.revision !== expected.revision) {
      return { kind: 'conflict' };
    }
    if (sameRecord(stored.record, record)) return { kind: 'applied', lease: stored };
    return { kind: 'applied', lease: this.#store(key, record, stored.uid) };
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
