import { LockRequestError } from '../core/errors.js';
import { formatDocument, type JsonDocument, parseDocument } from '../core/json-document.js';
import type {
  DocumentReadOutcome,
  DocumentStore,
  DocumentWriteOutcome,
  LockRequestOptions,
} from '../core/resource-lock.js';

/** Documents by key, each with a number that no other version of any of them ever has. */
export type MemoryDocuments = Map<string, { readonly text: string; readonly version: object }>;

/** A document in memory. Delivers by promise only, never by timer, as the memory lock does. */
export class MemoryDocumentStore implements DocumentStore {
  constructor(
    private readonly documents: MemoryDocuments,
    private readonly key: string,
  ) {}

  async read({ signal }: LockRequestOptions): Promise<DocumentReadOutcome> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'failed', error: this.aborted(signal) };
    const stored = this.documents.get(this.key);
    if (stored === undefined) return { kind: 'absent' };
    const { text, version } = stored;
    return { kind: 'found', stored: { document: parseDocument(text) ?? {}, version } };
  }

  async create(document: JsonDocument, options: LockRequestOptions): Promise<DocumentWriteOutcome> {
    return this.write(document, options, () =>
      this.documents.has(this.key) ? { kind: 'conflict' } : undefined,
    );
  }

  async replace(
    document: JsonDocument,
    expected: { readonly version: unknown },
    options: LockRequestOptions,
  ): Promise<DocumentWriteOutcome> {
    return this.write(document, options, () => {
      const stored = this.documents.get(this.key);
      if (stored === undefined) return { kind: 'absent' };
      return stored.version === expected.version ? undefined : { kind: 'conflict' };
    });
  }

  describe(): string {
    return `in-memory document ${this.key}`;
  }

  private async write(
    document: JsonDocument,
    { signal }: LockRequestOptions,
    refusal: () => DocumentWriteOutcome | undefined,
  ): Promise<DocumentWriteOutcome> {
    const text = formatDocument(document, this.describe());
    if (text instanceof LockRequestError) return { kind: 'not-applied', error: text };
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.aborted(signal) };
    const refused = refusal();
    if (refused !== undefined) return refused;
    const version = {};
    this.documents.set(this.key, { text, version });
    return { kind: 'applied', stored: { document: parseDocument(text) ?? {}, version } };
  }

  private aborted(signal: AbortSignal): LockRequestError {
    return new LockRequestError(`${this.describe()}: the request was aborted before it was made.`, {
      reason: 'unclear',
      cause: signal.reason,
    });
  }
}
