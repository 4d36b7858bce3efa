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

const NOTHING_STORED: JsonDocument = {};

/**
 * The document with what has run once, of one role. A change is settled only by a version that is known to be stored:
 * after a conflict, a timeout, a reset or a 5xx the document is read, and the change decides again.
 */
export class OnceLedger {
  private readonly store: BoundedStore;

  constructor(
    store: Store<JsonDocument, StoredDocument>,
    private readonly clock: Clock,
    private readonly options: LedgerOptions,
  ) {
    this.store = new BoundedStore(store, clock, options);
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
  async change<R>(
    key: string,
    decide: (record: OnceRecord | undefined) => OnceStep<R>,
    signal: AbortSignal,
  ): Promise<R | undefined> {
    const pace = new RequestPace(this.clock, this.options);
    let stored: StoredDocument | null | undefined;
    let isAsWritten = false;
    for (;;) {
      stored ??= await this.readStored(pace, signal);
      if (stored === undefined) return undefined;
      const document = stored?.document ?? NOTHING_STORED;
      const read = readOnceRecord(document, key);
      const step = 'fault' in read ? undefined : decide(read.record);
      if (step !== undefined && 'settled' in step) return step.settled;
      if (signal.aborted) return undefined;
      if (step === undefined || isAsWritten) {
        this.failed(pace, 'fault' in read ? this.unreadable(read.fault) : this.altered());
        await this.pause(pace, signal);
        [stored, isAsWritten] = [undefined, false];
        continue;
      }
      const outcome = await this.store.write(writeOnceRecord(document, key, step.write), stored);
      isAsWritten = outcome.kind === 'applied';
      stored = outcome.kind === 'applied' ? outcome.stored : undefined;
      if (outcome.kind === 'applied') continue;
      if ('error' in outcome) this.failed(pace, outcome.error);
      else pace.failed({ isFree: true });
      await this.pause(pace, signal);
    }
  }

  /** Null: there is no document. */
  private async readStored(
    pace: RequestPace,
    signal: AbortSignal,
  ): Promise<StoredDocument | null | undefined> {
    while (!signal.aborted) {
      const outcome = await this.store.read(signal);
      if (outcome.kind === 'found') return outcome.stored;
      if (outcome.kind === 'absent') return null;
      if (signal.aborted) return undefined;
      this.failed(pace, outcome.error);
      await this.pause(pace, signal);
    }
    return undefined;
  }

  private failed(pace: RequestPace, error: LockRequestError): void {
    const { retryAfterMs = 0 } = error;
    pace.failed({ retryAfterMs });
    this.options.onError(error);
  }

  private async pause({ notBefore }: RequestPace, signal: AbortSignal): Promise<void> {
    await pauseFor(this.clock, notBefore - this.clock.now(), signal);
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
