import { onAbort } from '../../core/abort-signal.js';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../core/json-document.js';
import { printRecord } from './job-record.codec.js';
import type { JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-changes.js';
import {
  DocumentRoom,
  jobFault,
  readJobRecord,
  type StoredSize,
  sweptThrough,
  withJobRecords,
  withLessHistory,
} from './ledger-document.js';
import type { LedgerMemory } from './ledger-memory.js';
import { isCutDown, isMark, type RecordMark } from './moved-record.js';
import { PORTION } from './portions.js';

export interface SubmitOptions {
  /** When to give up, in milliseconds on the clock's `now()`. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/** `unresolved`: the change may be in the store, may arrive there later, or never. */
export type Submitted<R> =
  { readonly kind: 'settled'; readonly result: R } | { readonly kind: 'unresolved' };

/**
 * `unreadable`: this version must not change its record or the document. `no-room`: it does not fit at present.
 * `rejected`: the store has refused it alone.
 */
export interface Refusal {
  readonly kind: 'unreadable' | 'no-room' | 'rejected';
  readonly why: string;
}

/** The record of its job is in another object: the change is to be submitted there. */
export interface Moved {
  readonly kind: 'moved';
  readonly mark: RecordMark;
}

/** A change, with the caller that waits for it. */
export class PendingChange {
  /** Part of the write that is made or under way: it is too late to abort, and the outcome must be awaited. */
  isInFlight = false;
  /** Why it could not be part of the last write; undefined if it was, or may be part of the next. */
  refusal: Refusal | undefined;
  /** When it may be tried again after the store has refused it alone, on the clock's `now()`. */
  rejectedUntil = -Infinity;
  private ignoreAbort: () => void = () => {};

  constructor(
    readonly change: LedgerChange<unknown>,
    private readonly options: SubmitOptions,
    private readonly resolve: (result: Submitted<unknown> | Moved) => void,
    /** What becomes of it if the record has moved: the caller hears so, or it waits for the record to come back. */
    private readonly isFollowing = false,
  ) {}

  get deadline(): number {
    return this.options.deadline;
  }

  isOver(now: number): boolean {
    return now >= this.options.deadline || this.options.signal?.aborted === true;
  }

  onAbort(listener: () => void): void {
    this.ignoreAbort = onAbort(this.options.signal, listener);
  }

  settle(result: unknown): void {
    this.ignoreAbort();
    this.resolve({ kind: 'settled', result });
  }

  /** False if its caller knows of no other object. */
  follow(mark: RecordMark): boolean {
    if (!this.isFollowing) return false;
    this.ignoreAbort();
    this.resolve({ kind: 'moved', mark });
    return true;
  }

  giveUp(): void {
    this.ignoreAbort();
    this.resolve({ kind: 'unresolved' });
  }
}

export interface ProposedWrite {
  readonly document: JsonDocument;
  /** The changes in it; without any there is nothing to write. */
  readonly changes: readonly PendingChange[];
}

/** The changes of one write, while they are decided. */
class WriteDraft {
  readonly changes: PendingChange[] = [];
  readonly drafts = new Map<string, JobRecord>();
  readonly printed = new Map<string, JsonDocument>();

  constructor(private readonly room: DocumentRoom) {}

  /** Takes a change into the write, or says why there is no room for it. */
  take(entry: PendingChange, record: JobRecord): string | undefined {
    const { job } = entry.change;
    const printed = printRecord(record);
    const lack = this.room.take(job, printed);
    if (lack !== undefined) return lack;
    this.drafts.set(job, record);
    this.printed.set(job, printed);
    this.changes.push(entry);
    entry.isInFlight = true;
    return undefined;
  }
}

/** The changes that are awaited, in the order in which they were submitted. */
export class PendingChanges {
  private readonly entries = new Set<PendingChange>();
  private readonly suspects = new Set<string>();

  constructor(
    private readonly memory: LedgerMemory,
    /** A change whose time ran out while it could not be written. */
    private readonly onRefused: (entry: PendingChange) => void,
    private readonly sizeOf: (document: JsonDocument) => StoredSize,
    /** Awaited between portions of many changes. */
    private readonly nextTurn: () => Promise<void>,
  ) {}

  get isEmpty(): boolean {
    return this.entries.size === 0;
  }

  add(entry: PendingChange, onEmpty: () => void): void {
    this.entries.add(entry);
    entry.onAbort(() => {
      if (entry.isInFlight || !this.entries.has(entry)) return;
      this.giveUp(entry);
      if (this.isEmpty) onEmpty();
    });
  }

  /** Drops changes that are no longer awaited. True if any are left. */
  dropOver(now: number): boolean {
    for (const entry of this.entries) {
      if (!entry.isOver(now)) continue;
      if (now >= entry.deadline) this.onRefused(entry);
      this.giveUp(entry);
    }
    return !this.isEmpty;
  }

  /**
   * Settles what a stored version settles. Of the others as many as fit, and no more than `most`, go into one write on
   * it, and are in flight from here on. One that does not fit waits, but those after it need not. Before one has to wait,
   * past runs make room for it.
   */
  async proposeOn(stored: JsonDocument, now: number, most: number): Promise<ProposedWrite> {
    let proposed = await this.proposeWithin(stored, now, most);
    let smaller: JsonDocument | undefined = stored;
    while (this.lacksRoom && (smaller = withLessHistory(smaller)) !== undefined) {
      for (const entry of proposed.changes) entry.isInFlight = false;
      proposed = await this.proposeWithin(smaller, now, most);
    }
    return proposed;
  }

  private get lacksRoom(): boolean {
    return this.refused.some(({ refusal }) => refusal?.kind === 'no-room');
  }

  private async proposeWithin(
    stored: JsonDocument,
    now: number,
    most: number,
  ): Promise<ProposedWrite> {
    const write = new WriteDraft(new DocumentRoom(stored, this.sizeOf, MAX_DOCUMENT_BYTES));
    for (const [index, entry] of this.othersFirst().entries()) {
      if (index > 0 && index % PORTION === 0) await this.nextTurn();
      // It may have been given up in the meantime.
      if (this.entries.has(entry)) this.proposeOne(entry, { stored, now, most, write });
    }
    return { document: withJobRecords(stored, write.printed), changes: write.changes };
  }

  private proposeOne(
    entry: PendingChange,
    {
      stored,
      now,
      most,
      write,
    }: {
      readonly stored: JsonDocument;
      readonly now: number;
      readonly most: number;
      readonly write: WriteDraft;
    },
  ): void {
    const { job } = entry.change;
    entry.refusal = refusal('unreadable', jobFault(stored, job));
    if (entry.refusal !== undefined) return;
    const draft = write.drafts.get(job);
    const record = draft ?? readJobRecord(stored, job);
    if (isMark(record) && entry.change.isOfMark !== true) {
      if (draft === undefined) this.follow(entry, record);
      return;
    }
    const verdict = this.decide(entry.change, stored, draft);
    if (verdict.kind === 'settled') {
      // A proposal of another change in this write is not stored yet, and settles nothing.
      if (draft === undefined) this.settle(entry, verdict.result);
      return;
    }
    if (now < entry.rejectedUntil) {
      entry.refusal = refusal('rejected', 'the store refuses its change');
      return;
    }
    if (write.changes.length >= (this.suspects.has(job) ? 1 : most)) return;
    entry.refusal = refusal('no-room', write.take(entry, verdict.record));
  }

  /** Those that cannot be written at present. */
  get refused(): PendingChange[] {
    return [...this.entries].filter(({ refusal }) => refusal !== undefined);
  }

  /**
   * The store has refused a change of this job alone: until one succeeds, its changes are tried alone, after all
   * others.
   */
  suspect(job: string): void {
    this.suspects.add(job);
  }

  isSuspect(job: string): boolean {
    return this.suspects.has(job);
  }

  clear(job: string): void {
    this.suspects.delete(job);
  }

  has(entry: PendingChange): boolean {
    return this.entries.has(entry);
  }

  /** When the first of them is given up, on the clock's `now()`; Infinity if there is none. */
  get firstDeadline(): number {
    return [...this.entries].reduce((first, { deadline }) => Math.min(first, deadline), Infinity);
  }

  /** When the last of them is given up; -Infinity if there is none. */
  get lastDeadline(): number {
    return [...this.entries].reduce((last, { deadline }) => Math.max(last, deadline), -Infinity);
  }

  private othersFirst(): PendingChange[] {
    const rank = ({ change: { job } }: PendingChange): number => (this.suspects.has(job) ? 1 : 0);
    return [...this.entries].toSorted((a, b) => rank(a) - rank(b));
  }

  private decide(
    change: LedgerChange<unknown>,
    stored: JsonDocument,
    draft: JobRecord | undefined,
  ): Verdict<unknown> {
    const { memory } = this;
    const { job } = change;
    if (draft !== undefined) return change.decide(draft, -Infinity);
    const record = readJobRecord(stored, job);
    if (record === undefined) {
      return change.decide(undefined, Math.max(sweptThrough(stored), memory.accountedBefore(job)));
    }
    memory.saw(job, record);
    if (isCutDown(record) && change.isOfMark !== true) {
      return change.decide(undefined, memory.accountedBefore(job));
    }
    return change.decide(memory.recall(job, record), -Infinity);
  }

  private follow(entry: PendingChange, mark: RecordMark): void {
    if (entry.follow(mark)) this.entries.delete(entry);
    else entry.refusal = refusal('unreadable', `its record is in object ${mark.movedTo}`);
  }

  private settle(entry: PendingChange, result: unknown): void {
    this.entries.delete(entry);
    if (entry.change.ending !== undefined) this.memory.runEnded(entry.change.ending);
    entry.settle(result);
  }

  private giveUp(entry: PendingChange): void {
    this.entries.delete(entry);
    this.memory.gaveUp(entry.change);
    entry.giveUp();
  }
}

function refusal(kind: Refusal['kind'], why: string | undefined): Refusal | undefined {
  return why === undefined ? undefined : { kind, why };
}
