import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';

/** As a person with a text editor would, without an expectation. Nothing happens if there is no such lease. */
export function editLease(
  store: MemoryLeaseStore,
  key: string,
  change: Partial<LeaseRecord>,
): void {
  const stored = store.read(key);
  if (stored !== undefined) store.replace(key, { ...stored.record, ...change }, stored);
}
