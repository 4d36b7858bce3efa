import type { JsonDocument } from '../../locks/document-store.js';
import { readJobRecord, writeJobRecord } from '../claim/job-record.js';
import { sweptThrough } from '../claim/job-sweep.js';
import type { PendingChange } from './pending-change.js';

export interface ProposedWrite {
  readonly document: JsonDocument;
  /** The changes that are in it; with none there is nothing to write. */
  readonly changes: readonly PendingChange[];
}

/** The changes that somebody waits for, in the order in which they were submitted. */
export class PendingChanges {
  private readonly entries = new Set<PendingChange>();

  add(entry: PendingChange): void {
    this.entries.add(entry);
    entry.onAbort(() => {
      if (!entry.isInFlight && this.entries.delete(entry)) entry.giveUp();
    });
  }

  /** Lets go of changes that nobody waits for any more. True if any are left. */
  dropOver(now: number): boolean {
    for (const entry of this.entries) {
      if (!entry.isOver(now)) continue;
      this.entries.delete(entry);
      entry.giveUp();
    }
    return this.entries.size > 0;
  }

  /** Settles what a stored version settles; all the others go into one write on it. */
  proposeOn(stored: JsonDocument): ProposedWrite {
    const floor = sweptThrough(stored);
    const changes: PendingChange[] = [];
    let document = stored;
    for (const entry of this.entries) {
      const { job } = entry.change;
      const verdict = entry.change.decide(readJobRecord(document, job), floor);
      if (verdict.kind === 'write') {
        document = writeJobRecord(document, job, verdict.record);
        changes.push(entry);
      } else {
        this.entries.delete(entry);
        entry.settle(verdict.result);
      }
    }
    return { document, changes };
  }

  /** Milliseconds until nobody waits any more; 0 if nobody does. */
  longestWaitMs(now: number): number {
    return Math.max(0, ...[...this.entries].map(({ deadline }) => deadline - now));
  }
}
