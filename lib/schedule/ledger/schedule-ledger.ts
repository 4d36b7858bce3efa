import { onAbort } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import { LockRequestError } from '../../core/errors.js';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../core/json-document.js';
import type { Store, StoredDocument, WriteOutcome } from '../../core/resource-lock.js';
import {
  BoundedStore,
  type PaceOptions,
  type RequestBounds,
  RequestPace,
} from './bounded-store.js';
import { DocumentFill } from './document-fill.js';
import type { JobRecord } from './job-record.js';
import type { SweptDocument } from './job-sweep.js';
import type { LedgerChange } from './ledger-changes.js';
import { readJobRecord, withBoundedHistory } from './ledger-document.js';
import type { JobLedger, Sweep } from './job-ledger.js';
import { LedgerMemory } from './ledger-memory.js';
import { nextTurn } from './portions.js';
import {
  type Moved,
  PendingChange,
  PendingChanges,
  type ProposedWrite,
  type SubmitOptions,
  type Submitted,
} from './pending-changes.js';

export interface LedgerOptions extends RequestBounds, PaceOptions {
  /** A request failed, or a change cannot be written; the ledger continues as long as a caller waits for it. */
  readonly onError: (error: LockRequestError) => void;
}

const NOTHING_STORED: JsonDocument = {};
/** So many consecutive conflicts can no longer be rivalry. */
const MANY_CONFLICTS = 4;

type UnconfirmedWrite = Exclude<WriteOutcome, { readonly kind: 'applied' }>;

/** The callers that wait for the document to be read. */
interface Load {
  readonly resolve: (isRead: boolean) => void;
}

/**
 * The document with the records of all jobs of one role. There is one write at a time, with all waiting changes that
 * fit. The version of the last write is the expectation of the next, so a change costs one request.
 *
 * A change is settled only by a version that is known to be stored. After a conflict, a timeout, a reset or a 5xx the
 * document is read, and every change decides again; one that is not settled by its deadline is `unresolved`, and its
 * write may or may not be found in the store later.
 *
 * Requests never overlap: a request that was sent before a write was answered might return a version older than that
 * write.
 */
export class ScheduleLedger implements JobLedger {
  private readonly store: BoundedStore;
  private readonly pending: PendingChanges;
  private readonly fill = new DocumentFill();
  private readonly loads = new Set<Load>();
  private readonly reads: RequestPace;
  private readonly writes: RequestPace;
  /** For changes that the store refuses although it takes others. */
  private readonly rejections: RequestPace;
  /** For changes that wait until room is made or a record is repaired. */
  private readonly looks: RequestPace;
  /** Undefined: unknown. `stored` null: there is no document. */
  private current: { readonly stored: StoredDocument | null } | undefined;
  private isWorking = false;
  private wake: () => void = () => {};
  private reading = new AbortController();
  /** A store may refuse a write because of one change in it, so fewer and fewer are then tried together. */
  private mostInOneWrite = Infinity;
  /** Jobs whose refusal has been reported. */
  private readonly explained = new Set<string>();
  private sweep: Sweep = (document) => ({
    document,
    forgotten: [],
  });
  private onForgotten: (job: string) => void = () => {};

  constructor(
    store: Store<JsonDocument, StoredDocument>,
    private readonly clock: Clock,
    private readonly options: LedgerOptions,
    private readonly memory = new LedgerMemory(),
  ) {
    this.store = new BoundedStore(store, clock, options);
    this.pending = new PendingChanges(
      memory,
      (entry) => this.explain(entry),
      (document) => this.store.sizeOf(document),
      () => nextTurn(clock),
    );
    this.reads = new RequestPace(clock, options);
    this.writes = new RequestPace(clock, options);
    this.rejections = new RequestPace(clock, options);
    this.looks = new RequestPace(clock, options);
  }

  /** The record as last read or written; undefined if there is none, if it is unknown, or if it cannot be read. */
  known(job: string): JobRecord | undefined {
    const record = readJobRecord(this.document, job);
    if (record === undefined) return undefined;
    this.memory.saw(job, record);
    return this.memory.recall(job, record);
  }

  /** The document as of some time is known. */
  get isRead(): boolean {
    return this.current !== undefined;
  }

  /** Tidies the document whenever it is written anyway. */
  sweepBy(sweep: Sweep, onForgotten: (job: string) => void): void {
    this.sweep = sweep;
    this.onForgotten = onForgotten;
  }

  /** Reads the document, repeating until it succeeds; false if the signal is aborted before. */
  load(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(false);
      const ignoreAbort = onAbort(signal, () => {
        this.loads.delete(load);
        resolve(false);
        this.rest();
      });
      const load: Load = {
        resolve: (isRead) => {
          ignoreAbort();
          resolve(isRead);
        },
      };
      this.loads.add(load);
      if (!this.isWorking) void this.work();
      else this.wake();
    });
  }

  submit<R>(change: LedgerChange<R>, options: SubmitOptions): Promise<Submitted<R>> {
    return this.enter(change, options, false) as Promise<Submitted<R>>;
  }

  /** As {@link submit}, and tells if the record of the job is in another object. */
  submitOrFollow<R>(
    change: LedgerChange<R>,
    options: SubmitOptions,
  ): Promise<Submitted<R> | Moved> {
    return this.enter(change, options, true) as Promise<Submitted<R> | Moved>;
  }

  private enter(
    change: LedgerChange<unknown>,
    options: SubmitOptions,
    isFollowing: boolean,
  ): Promise<Submitted<unknown> | Moved> {
    return new Promise((resolve) => {
      const entry = new PendingChange(change, options, resolve, isFollowing);
      if (entry.isOver(this.clock.now())) return entry.giveUp();
      this.pending.add(entry, () => this.rest());
      if (!this.isWorking) void this.work();
      else this.wake();
    });
  }

  refresh(signal: AbortSignal): Promise<boolean> {
    return this.load(signal);
  }

  async inspect(job: string, signal: AbortSignal): Promise<JobRecord | undefined> {
    return readJobRecord(await this.inspectAll(signal), job);
  }

  /** The document as it is stored now, for people; independent of the rest of this class. */
  async inspectAll(signal: AbortSignal): Promise<JsonDocument> {
    const outcome = await this.store.read(signal);
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome.kind === 'found' ? outcome.stored.document : NOTHING_STORED;
  }

  private get document(): JsonDocument {
    return this.current?.stored?.document ?? NOTHING_STORED;
  }

  private async work(): Promise<void> {
    this.isWorking = true;
    while (this.isWanted()) {
      // Changes that are submitted in the same turn go into the same write.
      await Promise.resolve();
      const dueAt = Math.max(this.reads.notBefore, this.writes.notBefore);
      if (this.clock.now() < dueAt) await this.sleepUntil(dueAt);
      else if (this.current === undefined || this.loads.size > 0) await this.read();
      else await this.writeOnce();
    }
    this.isWorking = false;
  }

  private isWanted(): boolean {
    return this.pending.dropOver(this.clock.now()) || this.loads.size > 0;
  }

  /** No caller is waiting, so the loop need not wait either, and a read is pointless. */
  private rest(): void {
    if (!this.pending.isEmpty || this.loads.size > 0) return;
    this.reading.abort();
    this.wake();
  }

  /** Waits until then, until the first change is to be given up, or until the callers have changed. */
  private sleepUntil(instant: number): Promise<void> {
    const until = Math.min(instant, this.pending.firstDeadline);
    return new Promise((resolve) => {
      const timer = this.clock.setTimer(() => this.wake(), until - this.clock.now());
      this.wake = () => {
        timer.cancel();
        this.wake = () => {};
        resolve();
      };
    });
  }

  private async read(): Promise<void> {
    const loads = [...this.loads];
    this.reading = new AbortController();
    const { signal } = this.reading;
    const outcome = await this.store.read(signal);
    if (outcome.kind !== 'failed') {
      this.reads.helped();
      this.current = { stored: outcome.kind === 'found' ? outcome.stored : null };
      for (const load of loads) if (this.loads.delete(load)) load.resolve(true);
      return;
    }
    if (signal.aborted) return;
    this.failed(this.reads, outcome.error);
  }

  /** Settles what can be settled by the known version, and writes the rest. */
  private async writeOnce(): Promise<void> {
    const proposed = await this.propose(this.mostInOneWrite);
    if (proposed.changes.length === 0) return this.lookAgain();
    const { changes } = proposed;
    const { document, forgotten } = this.swept(withBoundedHistory(proposed.document));
    const outcome = await this.store.write(document, this.current?.stored ?? null);
    if (outcome.kind === 'applied') {
      this.current = { stored: outcome.stored };
      this.lookAtFill();
      for (const job of forgotten) this.onForgotten(job);
      // A written change is settled by its own success, even if its time has run out in the meantime.
      await this.propose(0);
      this.wasWritten({ changes, document });
    } else {
      this.current = undefined;
      this.wasNotWritten({ changes, document }, outcome);
    }
    for (const entry of changes) entry.isInFlight = false;
  }

  private propose(most: number): Promise<ProposedWrite> {
    return this.pending.proposeOn(this.document, this.clock.now(), most);
  }

  private lookAtFill(): void {
    const full = this.fill.look(this.document, this.store.sizeOf(this.document));
    if (full === undefined) return;
    const message = `${this.store.describe()}: ${full}`;
    this.options.onError(new LockRequestError(message, { reason: 'rejected' }));
  }

  /** Marks that do not fit are left for later. */
  private swept(document: JsonDocument): SweptDocument {
    const swept = this.sweep(document, false);
    const isTooLarge =
      swept.document !== document && this.store.sizeOf(swept.document).bytes > MAX_DOCUMENT_BYTES;
    return isTooLarge ? { document, forgotten: [] } : swept;
  }

  private wasWritten({ changes, document }: ProposedWrite): void {
    if (changes.every((entry) => this.pending.has(entry)) && !this.isStored(document)) {
      this.current = undefined;
      return this.failed(this.writes, this.alteredError());
    }
    for (const { change } of changes) {
      this.explained.delete(change.job);
      if (this.pending.isSuspect(change.job)) this.rejections.helped();
      this.pending.clear(change.job);
    }
    this.writes.helped();
    this.mostInOneWrite *= 2;
  }

  private isStored(document: JsonDocument): boolean {
    return JSON.stringify(this.document) === JSON.stringify(document);
  }

  private wasNotWritten({ changes }: ProposedWrite, outcome: UnconfirmedWrite): void {
    if (!('error' in outcome)) {
      this.writes.failed({ isFree: true });
      if (this.writes.count >= MANY_CONFLICTS) this.options.onError(this.conflictError());
      return;
    }
    if (outcome.error.reason === 'rejected' && this.wasRejected(changes, outcome.error)) return;
    this.failed(this.writes, outcome.error);
  }

  /**
   * One of them may be the reason of a refusal, and the others must not wait for it. True if it is known to be: then
   * the store itself may be healthy.
   */
  private wasRejected(changes: readonly PendingChange[], error: LockRequestError): boolean {
    this.mostInOneWrite = Math.max(1, Math.floor(changes.length / 2));
    const [only, ...others] = changes;
    if (only === undefined || others.length > 0) return false;
    const { job } = only.change;
    const isKnown = this.pending.isSuspect(job);
    this.pending.suspect(job);
    if (!isKnown) return false;
    this.failed(this.rejections, error);
    only.rejectedUntil = this.rejections.notBefore;
    return true;
  }

  /** A server that asks for a pause gets one that still leaves time for another attempt. */
  private failed(pace: RequestPace, error: LockRequestError): void {
    const { lastDeadline, isEmpty } = this.pending;
    const lastChanceMs = lastDeadline - this.clock.now() - this.options.requestTimeoutMs;
    const mostMs = isEmpty ? Infinity : Math.max(0, lastChanceMs);
    pace.failed({ retryAfterMs: Math.min(error.retryAfterMs ?? 0, mostMs) });
    this.options.onError(error);
  }

  /** No waiting change can be written on this version; another version may be different. */
  private async lookAgain(): Promise<void> {
    const { refused } = this.pending;
    if (refused.length === 0) return this.looks.helped();
    const now = this.clock.now();
    const isLater = (instant: number): boolean => instant > now;
    for (const entry of refused) if (entry.refusal?.kind === 'unreadable') this.explain(entry);
    const retryAt = Math.min(...refused.map(({ rejectedUntil }) => rejectedUntil).filter(isLater));
    if (refused.every((entry) => isLater(entry.rejectedUntil))) return this.sleepUntil(retryAt);
    if (!isLater(this.looks.notBefore)) this.looks.failed();
    await this.sleepUntil(Math.min(retryAt, this.looks.notBefore));
    if (this.looks.notBefore <= this.clock.now()) this.current = undefined;
  }

  /** Reports this once, until a change of the job has been written. */
  private explain({ change, refusal }: PendingChange): void {
    if (refusal === undefined || this.explained.has(change.job)) return;
    this.explained.add(change.job);
    const job = `job ${JSON.stringify(change.job)}`;
    const message = `${this.store.describe()}: ${job} is not scheduled, as ${refusal.why}`;
    this.options.onError(new LockRequestError(message, { reason: 'rejected' }));
  }

  private conflictError(): LockRequestError {
    return new LockRequestError(
      `${this.store.describe()}: write after write finds another version than the one just read. ` +
        'Either something else writes this object all the time, or reads of it are stale (a cache between this ' +
        'process and the store). Ticks are claimed late or not at all until that ends.',
      { reason: 'unclear' },
    );
  }

  private alteredError(): LockRequestError {
    return new LockRequestError(
      `${this.store.describe()} was written, but what is stored differs from what was sent, so no tick can be claimed. ` +
        'Something (an admission webhook, for instance) changes it on the way to the store: exclude this object from it.',
      { reason: 'unclear' },
    );
  }
}
