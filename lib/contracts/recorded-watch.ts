import type { LockRequestError } from '../core/errors.js';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { LeaseWatchObserver } from '../core/resource-lock.js';
import { Awaited } from './awaited.js';
import { plain } from './contract-case.js';

interface RecordedChange {
  readonly lease: ObservedLease | null;
  readonly revision: bigint;
}

/** Keeps what a watch reports, and waits for what it should report. */
export class RecordedWatch implements LeaseWatchObserver {
  openings = 0;
  calls = 0;
  readonly changes: RecordedChange[] = [];
  readonly deaths: string[] = [];
  readonly errors: LockRequestError[] = [];
  private readonly awaited: Awaited;

  /** @param patienceMs how long it waits, in real time; unless given, as long as the test runner does */
  constructor(private readonly patienceMs = Infinity) {
    this.awaited = new Awaited(patienceMs);
  }

  get last(): RecordedChange | undefined {
    return this.changes.at(-1);
  }

  opened(): void {
    this.openings++;
    this.heard();
  }

  changed(lease: ObservedLease | null, revision: bigint): void {
    this.changes.push({ lease, revision });
    this.heard();
  }

  holderDied(timingKey: string): void {
    this.deaths.push(timingKey);
    this.heard();
  }

  interrupted(error?: LockRequestError): void {
    if (error !== undefined) this.errors.push(error);
    this.heard();
  }

  /** A watch may report one representation more than once. */
  distinctChanges(): RecordedChange[] {
    return this.changes.filter(
      ({ revision }, index) => revision !== this.changes[index - 1]?.revision,
    );
  }

  until(
    holds: (watch: this) => boolean,
    what: string | (() => string) = 'what was awaited',
  ): Promise<void> {
    return this.awaited.until(
      () => holds(this),
      () => {
        const missed = typeof what === 'string' ? what : what();
        return `the watch did not report within ${this.patienceMs} ms: ${missed}`;
      },
    );
  }

  untilOpen(): Promise<void> {
    return this.until(({ openings }) => openings === 1, 'opened');
  }

  untilShows(record: LeaseRecord): Promise<void> {
    const text = JSON.stringify(plain(record));
    return this.until(
      ({ last }) => last?.lease != null && JSON.stringify(plain(last.lease.record)) === text,
      () => `${text}, last ${JSON.stringify(this.last?.lease?.record)}`,
    );
  }

  private heard(): void {
    this.calls++;
    this.awaited.heard();
  }
}
