import { LockRequestError } from '../../core/errors/lock-request.error.js';
import { messageOf } from '../../core/thrown-value.js';
import type { Clock } from '../../elector/clock.js';
import type {
  DocumentStore,
  DocumentWriteOutcome,
  JsonDocument,
  StoredDocument,
} from '../../locks/document-store.js';
import { readJobRecord, type JobRecord } from '../claim/job-record.js';
import type { SweptDocument } from '../claim/job-sweep.js';
import type { LedgerChange } from '../claim/ledger-change.js';
import { PendingChange, type SubmitOptions, type Submitted } from './pending-change.js';
import { PendingChanges, type ProposedWrite } from './pending-changes.js';

export interface LedgerOptions {
  /** Bound of one request, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** Pause after a request that failed, in milliseconds. */
  readonly retryMs: number;
  /** A request failed; the ledger goes on as long as somebody waits for it. */
  readonly onError: (error: LockRequestError) => void;
}

const NOTHING_STORED: JsonDocument = {};

/**
 * The document with the records of all jobs of one role. Changes are made one write at a time, all that wait in the
 * same write. The version of the own last write is the expectation of the next, so a change costs one request.
 *
 * A change is settled only by a version that is known to be stored. After a conflict, a timeout, a reset or a 5xx the
 * document is read, and every change decides anew; one that is not settled by its deadline is `unresolved`, and its
 * write may or may not be found in the store later.
 */
export class ScheduleLedger {
  private readonly pending = new PendingChanges();
  /** Undefined: not known. `stored` null: there is no document. */
  private current: { readonly stored: StoredDocument | null } | undefined;
  private isWorking = false;
  private sweep: (document: JsonDocument) => SweptDocument = (document) => ({
    document,
    forgotten: [],
  });
  private onForgotten: (job: string) => void = () => {};

  constructor(
    private readonly store: DocumentStore,
    private readonly clock: Clock,
    private readonly options: LedgerOptions,
  ) {}

  /** The record as last read or written; undefined if there is none, or if none is known. */
  known(job: string): JobRecord | undefined {
    return readJobRecord(this.document, job);
  }

  /** What tidies the document whenever it is written anyway. */
  sweepBy(
    sweep: (document: JsonDocument) => SweptDocument,
    onForgotten: (job: string) => void,
  ): void {
    this.sweep = sweep;
    this.onForgotten = onForgotten;
  }

  /** Reads the document, again and again until it could be read; false if the signal was aborted before. */
  async load(signal: AbortSignal): Promise<boolean> {
    this.current = undefined;
    while (!signal.aborted) {
      const failure = await this.read(this.options.requestTimeoutMs, signal);
      if (failure === undefined) return true;
      if (!signal.aborted) await this.pause(failure, signal);
    }
    return false;
  }

  submit<R>(change: LedgerChange<R>, options: SubmitOptions): Promise<Submitted<R>> {
    return new Promise((resolve) => {
      const entry = new PendingChange(change, options, resolve as (result: unknown) => void);
      if (entry.isOver(this.clock.now())) return entry.giveUp();
      this.pending.add(entry);
      if (!this.isWorking) void this.work();
    });
  }

  /** The document as it is stored now, for people; independent of everything else here. */
  async inspect(signal: AbortSignal): Promise<JsonDocument> {
    const { requestTimeoutMs: timeoutMs } = this.options;
    const outcome = await this.store.read({ timeoutMs, signal });
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome.kind === 'found' ? outcome.stored.document : NOTHING_STORED;
  }

  private get document(): JsonDocument {
    return this.current?.stored?.document ?? NOTHING_STORED;
  }

  private async work(): Promise<void> {
    this.isWorking = true;
    while (this.dropOver()) {
      // What is submitted in the same turn goes into the same write.
      await Promise.resolve();
      const failure = this.current === undefined ? await this.readOnce() : await this.writeOnce();
      if (failure !== undefined && this.dropOver()) await this.pause(failure, undefined);
    }
    this.isWorking = false;
  }

  private dropOver(): boolean {
    return this.pending.dropOver(this.clock.now());
  }

  private readOnce(): Promise<LockRequestError | undefined> {
    return this.read(this.requestTimeoutMs(), new AbortController().signal);
  }

  private async read(
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<LockRequestError | undefined> {
    const outcome = await settled(
      () => this.store.read({ timeoutMs, signal }),
      (error) => ({ kind: 'failed' as const, error }),
    );
    if (outcome.kind !== 'failed') {
      this.current = { stored: outcome.kind === 'found' ? outcome.stored : null };
      return undefined;
    }
    if (!signal.aborted) this.options.onError(outcome.error);
    return outcome.error;
  }

  /** Settles what can be settled by the known version, and writes the rest. */
  private async writeOnce(): Promise<LockRequestError | undefined> {
    const proposed = this.propose();
    if (proposed.changes.length === 0) return undefined;
    const { document, forgotten } = this.sweep(proposed.document);
    for (const entry of proposed.changes) entry.isInFlight = true;
    const outcome = await this.write(document);
    for (const entry of proposed.changes) entry.isInFlight = false;
    if (outcome.kind === 'applied') {
      this.current = { stored: outcome.stored };
      for (const job of forgotten) this.onForgotten(job);
      // What was written is settled by its own success, also if its time has run out meanwhile.
      this.propose();
      return undefined;
    }
    this.current = undefined;
    if (!('error' in outcome)) return undefined;
    this.options.onError(outcome.error);
    return outcome.error;
  }

  private propose(): ProposedWrite {
    return this.pending.proposeOn(this.document);
  }

  private write(document: JsonDocument): Promise<DocumentWriteOutcome> {
    const stored = this.current?.stored ?? null;
    const options = { timeoutMs: this.requestTimeoutMs(), signal: new AbortController().signal };
    return settled(
      () =>
        stored === null
          ? this.store.create(document, options)
          : this.store.replace(document, stored, options),
      (error) => ({ kind: 'unknown' as const, error }),
    );
  }

  /** No request outlives the last change that waits for it by much. */
  private requestTimeoutMs(): number {
    const longest = Math.ceil(this.pending.longestWaitMs(this.clock.now()));
    return Math.max(1, Math.min(this.options.requestTimeoutMs, longest));
  }

  private pause(failure: LockRequestError, signal: AbortSignal | undefined): Promise<void> {
    const { clock, options } = this;
    const wait = Math.max(options.retryMs, failure.retryAfterMs ?? 0);
    const bound = signal === undefined ? this.pending.longestWaitMs(clock.now()) : Infinity;
    return new Promise((resolve) => {
      const timer = clock.setTimer(done, Math.min(wait, bound));
      signal?.addEventListener('abort', done, { once: true });
      function done(): void {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      }
    });
  }
}

/** A store that throws has told nothing. */
async function settled<T>(
  request: () => Promise<T>,
  broken: (error: LockRequestError) => T,
): Promise<T> {
  try {
    return await request();
  } catch (cause) {
    return broken(new LockRequestError(messageOf(cause), { reason: 'unclear', cause }));
  }
}
