import type { LockRequestError } from '../../lib/core/errors.js';
import type { LeaseWatchObserver } from '../../lib/core/resource-lock.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';

interface RecordedChange {
  readonly lease: ObservedLease | null;
  readonly revision: bigint;
}

/** Keeps what a watch tells, and waits for what it should tell; the time limit is the test's own. */
export class RecordedWatch implements LeaseWatchObserver {
  openings = 0;
  calls = 0;
  readonly changes: RecordedChange[] = [];
  readonly deaths: string[] = [];
  readonly errors: LockRequestError[] = [];
  readonly #waiting = new Set<() => void>();

  get last(): RecordedChange | undefined {
    return this.changes.at(-1);
  }

  opened(): void {
    this.openings++;
    this.#heard();
  }

  changed(lease: ObservedLease | null, revision: bigint): void {
    this.changes.push({ lease, revision });
    this.#heard();
  }

  holderDied(timingKey: string): void {
    this.deaths.push(timingKey);
    this.#heard();
  }

  interrupted(error?: LockRequestError): void {
    if (error !== undefined) this.errors.push(error);
    this.#heard();
  }

  /** A watch may report one representation more than once. */
  distinctChanges(): RecordedChange[] {
    return this.changes.filter(
      ({ revision }, index) => revision !== this.changes[index - 1]?.revision,
    );
  }

  until(holds: (watch: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!holds(this)) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  untilShows(record: LeaseRecord): Promise<void> {
    const text = JSON.stringify(record);
    return this.until(({ last }) => JSON.stringify(last?.lease?.record) === text);
  }

  #heard(): void {
    this.calls++;
    for (const check of this.#waiting) check();
  }
}
