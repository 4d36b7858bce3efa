import { LockRequestError } from '../../../lib/core/errors.js';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../../lib/core/resource-lock.js';
import { MemoryDocumentStore } from '../../../lib/locks/memory/memory.lock.js';

/**
 * What becomes of a request.
 * - `ok`: as the store has it. - `lost`: never arrives, no answer. - `unanswered`: applied, no answer.
 * - `late`: no answer, and it arrives when the test calls `deliverLate()`. - `rejected`: refused, not applied.
 * - `throws`: the store breaks its promise not to. - `held`: answered when the test calls `release()`.
 * - `conflict`: another version is stored. - `nonsense`: the answer is no outcome. - `hangs`: never answered.
 */
export type Fate =
  | 'ok'
  | 'lost'
  | 'unanswered'
  | 'late'
  | 'rejected'
  | 'throws'
  | 'held'
  | 'conflict'
  | 'nonsense'
  | 'hangs';

/** A document store whose requests meet the fates that a test lists, and are counted. */
export class ScriptedDocumentStore implements Store<JsonDocument, StoredDocument> {
  reads = 0;
  writes = 0;
  readonly fatesOfReads: Fate[] = [];
  readonly fatesOfWrites: Fate[] = [];
  private readonly late: (() => Promise<unknown>)[] = [];
  private readonly held: (() => void)[] = [];

  constructor(
    readonly inner: MemoryDocumentStore = new MemoryDocumentStore(new Map(), 'scripted'),
  ) {}

  async read(options: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    this.reads += 1;
    const fate = this.fatesOfReads.shift() ?? 'ok';
    if (fate === 'held') await new Promise<void>((resolve) => this.held.push(resolve));
    if (fate === 'throws') throw new Error('broken store');
    if (fate === 'hangs') return new Promise(() => {});
    if (fate === 'nonsense') return undefined as never;
    if (fate === 'ok' || fate === 'held') return this.inner.read(options);
    return { kind: 'failed', error: failure('unclear') };
  }

  create(
    document: JsonDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(() => this.inner.create(document, options));
  }

  replace(
    document: JsonDocument,
    expected: StoredDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(() => this.inner.replace(document, expected, options));
  }

  describe(): string {
    return 'scripted document';
  }

  /** The late requests arrive, the first one first. */
  async deliverLate(): Promise<void> {
    for (const arrive of this.late.splice(0)) await arrive();
  }

  release(): void {
    for (const resolve of this.held.splice(0)) resolve();
  }

  async document(): Promise<JsonDocument> {
    const outcome = await this.inner.read(request());
    return outcome.kind === 'found' ? outcome.stored.document : {};
  }

  /** As another process, or somebody with an editor, would. */
  async put(document: JsonDocument): Promise<void> {
    const outcome = await this.inner.read(request());
    if (outcome.kind === 'found') await this.inner.replace(document, outcome.stored, request());
    else await this.inner.create(document, request());
  }

  private async write(
    apply: () => Promise<WriteOutcome<StoredDocument>>,
  ): Promise<WriteOutcome<StoredDocument>> {
    this.writes += 1;
    const fate = this.fatesOfWrites.shift() ?? 'ok';
    if (fate === 'held') await new Promise<void>((resolve) => this.held.push(resolve));
    switch (fate) {
      case 'ok':
      case 'held':
        return apply();
      case 'rejected':
        return { kind: 'not-applied', error: failure('rejected') };
      case 'throws':
        throw new Error('broken store');
      case 'conflict':
        return { kind: 'conflict' };
      case 'nonsense':
        return {} as never;
      case 'hangs':
        return new Promise(() => {});
      case 'unanswered':
        await apply();
        break;
      case 'late':
        this.late.push(apply);
        break;
      case 'lost':
        break;
    }
    return { kind: 'unknown', error: failure('unclear') };
  }
}

function request(): LockRequestOptions {
  return { timeoutMs: 1_000, signal: new AbortController().signal };
}

function failure(reason: 'unclear' | 'rejected'): LockRequestError {
  return new LockRequestError(`scripted: ${reason}`, { reason });
}
