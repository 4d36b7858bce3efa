import { onAbort } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import { LockRequestError } from '../../core/errors.js';
import type { JsonDocument } from '../../core/json-document.js';
import type { Store, StoredDocument } from '../../core/resource-lock.js';
import { BoundedStore, RequestPace } from '../ledger/bounded-store.js';
import type { LedgerOptions } from '../ledger/schedule-ledger.js';
import { type OnceRecord, readOnceRecord, writeOnceRecord } from './once-record.js';

/** What a record leads to: the change of it that is to be stored, or what is settled by it. */
export type OnceStep<R> = { readonly write: OnceRecord } | { readonly settled: R };

/** A change that is awaited. */
interface PendingChange {
  readonly key: string;
  readonly signal: AbortSignal;
  /** True if it is settled; a record if that is to be stored. */
  readonly decide: (record: OnceRecord | undefined) => OnceRecord | true;
  /** Its write may have reached the store, so the outcome is awaited whatever its signal says. */
  isInFlight: boolean;
  readonly giveUp: () => void;
}

/** What one write is to store. */
interface OnceDraft {
  readonly document: JsonDocument;
  readonly changes: readonly PendingChange[];
}

const NOTHING_STORED: JsonDocument = {};

/**
 * The document with what has run once, of one role. A change is settled only by a version that is known to be stored:
 * after a conflict, a timeout, a reset or a 5xx the document is read, and the change decides again. One write takes all
 * changes that are pending, one of each key, so that the keys of one process do not meet each other's versions.
 */
export class OnceLedger {
  private readonly store: BoundedStore;
  private readonly pending = new Set<PendingChange>();
  private readonly reads: RequestPace;
  private readonly writes: RequestPace;
  private isWorking = false;
  /** How many changes the next write takes: one of many may be the reason why a store refuses all. */
  private most = Infinity;
  /** Aborted when no change is left. */
  private idle = new AbortController();

  constructor(
    store: Store<JsonDocument, StoredDocument>,
    private readonly clock: Clock,
    private readonly options: LedgerOptions,
  ) {
    this.store = new BoundedStore(store, clock, options);
    this.reads = new RequestPace(clock, options);
    this.writes = new RequestPace(clock, options);
  }

  /** The document as it is stored, tried until it can be read; undefined once the signal is aborted. */
  async read(signal: AbortSignal): Promise<JsonDocument | undefined> {
    const stored = await this.readStored(new RequestPace(this.clock, this.options), signal);
    return stored === undefined ? undefined : (stored?.document ?? NOTHING_STORED);
  }

  /** The record of a key in a document that was read; undefined, and an error is reported, if it cannot be. */
  recordIn(
    document: JsonDocument,
    key: string,
  ): { readonly record: OnceRecord | undefined } | undefined {
    const read = readOnceRecord(document, key);
    if ('record' in read) return read;
    this.options.onError(this.unreadable(read.fault));
    return undefined;
  }

  /** One read, for people. @throws LockRequestError */
  async inspect(key: string): Promise<OnceRecord | undefined> {
    const outcome = await this.store.read(new AbortController().signal);
    if (outcome.kind === 'failed') throw outcome.error;
    const read = readOnceRecord(
      outcome.kind === 'found' ? outcome.stored.document : NOTHING_STORED,
      key,
    );
    if ('fault' in read) throw this.unreadable(read.fault);
    return read.record;
  }

  /**
   * Changes the record of a key until it settles. Undefined: the signal was aborted before, and what was last written may
   * still be stored, now or later.
   */
  change<R>(
    key: string,
    decide: (record: OnceRecord | undefined) => OnceStep<R>,
    signal: AbortSignal,
  ): Promise<R | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const entry: PendingChange = {
        key,
        signal,
        isInFlight: false,
        decide: (record) => {
          const step = decide(record);
          if ('write' in step) return step.write;
          end(step.settled);
          return true;
        },
        giveUp: () => end(undefined),
      };
      const end = (result: R | undefined): void => {
        ignoreAbort();
        this.pending.delete(entry);
        if (this.pending.size === 0) this.idle.abort();
        resolve(result);
      };
      const ignoreAbort = onAbort(signal, () => {
        if (!entry.isInFlight) entry.giveUp();
      });
      this.pending.add(entry);
      if (!this.isWorking) void this.workOff();
    });
  }

  private async workOff(): Promise<void> {
    this.isWorking = true;
    // What is submitted in the same turn belongs into the same write.
    await Promise.resolve();
    let stored: StoredDocument | null | undefined;
    while (this.pending.size > 0) {
      this.idle = new AbortController();
      stored ??= await this.readStored(this.reads, this.idle.signal);
      if (stored !== undefined) stored = await this.changeIn(stored, this.idle.signal);
    }
    this.isWorking = false;
  }

  /** What is known to be stored after that; undefined if it has to be read. */
  private async changeIn(
    stored: StoredDocument | null,
    idle: AbortSignal,
  ): Promise<StoredDocument | undefined> {
    const { document, changes } = this.draftOn(stored?.document ?? NOTHING_STORED);
    if (changes.length === 0) {
      if (this.pending.size === 0) this.writes.helped();
      // What is left cannot be decided by this version.
      else await this.pauseAfter(this.writes, {}, idle);
      return undefined;
    }
    const outcome = await this.store.write(document, stored);
    for (const change of changes) change.isInFlight = false;
    const written = outcome.kind === 'applied' ? outcome.stored : undefined;
    if (written !== undefined && this.settledBy(written.document, changes)) {
      this.writes.helped();
      this.most = Infinity;
      return written;
    }
    for (const change of changes) if (change.signal.aborted) change.giveUp();
    const error = outcome.kind === 'applied' ? this.altered() : undefined;
    if ('error' in outcome && outcome.error.reason === 'rejected') this.takeApart(changes);
    const failure = 'error' in outcome ? outcome.error : error;
    await this.pauseAfter(this.writes, failure ?? { isFree: true }, idle);
    return undefined;
  }

  /** Settles what this version settles, and puts the others into one write on it. */
  private draftOn(stored: JsonDocument): OnceDraft {
    let document = stored;
    const changes = new Map<string, PendingChange>();
    for (const entry of this.pending) {
      // Another change of the same key in this write is not stored yet, and settles nothing.
      if (changes.has(entry.key)) continue;
      const read = this.recordIn(stored, entry.key);
      const record = read && entry.decide(read.record);
      if (record === undefined || record === true) continue;
      if (entry.signal.aborted) entry.giveUp();
      else if (changes.size < this.most) {
        document = writeOnceRecord(document, entry.key, record);
        changes.set(entry.key, entry);
        entry.isInFlight = true;
      }
    }
    return { document, changes: [...changes.values()] };
  }

  /** False if none of them finds in what is stored what it has written. */
  private settledBy(document: JsonDocument, changes: readonly PendingChange[]): boolean {
    const settled = changes.filter((entry) => {
      const read = readOnceRecord(document, entry.key);
      return 'record' in read && entry.decide(read.record) === true;
    });
    return settled.length > 0;
  }

  /** The next writes take one change each, and last those that were refused together. */
  private takeApart(changes: readonly PendingChange[]): void {
    this.most = 1;
    for (const entry of changes) if (this.pending.delete(entry)) this.pending.add(entry);
  }

  /** Null: there is no document. */
  private async readStored(
    pace: RequestPace,
    signal: AbortSignal,
  ): Promise<StoredDocument | null | undefined> {
    while (!signal.aborted) {
      const outcome = await this.store.read(signal);
      if (outcome.kind === 'failed') {
        if (!signal.aborted) await this.pauseAfter(pace, outcome.error, signal);
        continue;
      }
      pace.helped();
      return outcome.kind === 'found' ? outcome.stored : null;
    }
    return undefined;
  }

  private async pauseAfter(
    pace: RequestPace,
    failure: LockRequestError | { readonly isFree?: true },
    signal: AbortSignal,
  ): Promise<void> {
    if (failure instanceof LockRequestError) {
      pace.failed({ retryAfterMs: failure.retryAfterMs ?? 0 });
      this.options.onError(failure);
    } else pace.failed(failure);
    await pauseFor(this.clock, pace.notBefore - this.clock.now(), signal);
  }

  private unreadable(fault: string): LockRequestError {
    return new LockRequestError(
      `${this.store.describe()}: nothing that is to run once can be decided, as ${fault}. ` +
        'Fix: restore what it said, or use the version of the library that wrote it.',
      { reason: 'rejected' },
    );
  }

  private altered(): LockRequestError {
    return new LockRequestError(
      `${this.store.describe()} was written, but what is stored differs from what was sent, so nothing can be claimed. ` +
        'Something (an admission webhook, for instance) changes it on the way to the store: exclude this object from it.',
      { reason: 'unclear' },
    );
  }
}

/** Resolves after that time, or when the signal is aborted. */
export function pauseFor(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.setTimer(() => {
      ignoreAbort();
      resolve();
    }, ms);
    const ignoreAbort = onAbort(signal, () => {
      timer.cancel();
      resolve();
    });
  });
}
