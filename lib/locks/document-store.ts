import { LockRequestError } from '../core/errors.js';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../core/json-document.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../core/resource-lock.js';

/** Where a document is in what the store below keeps. */
export interface DocumentPlace<Version> {
  /** For errors: `the annotation …`. */
  readonly name: string;
  /**
   * Undefined where there is something else: if it counted as empty, everything that was recorded would be open again.
   */
  readonly documentIn: (version: Version) => JsonDocument | undefined;
}

/** Documents in a store of texts, whatever it is: what is too large is not written, what is not a document is not read. */
export class DocumentStore<Version> implements Store<JsonDocument, StoredDocument> {
  constructor(
    private readonly texts: Store<string, Version>,
    private readonly place: DocumentPlace<Version>,
  ) {}

  async read(options: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    const outcome = await this.texts.read(options);
    if (outcome.kind !== 'found') return outcome;
    const stored = this.documentIn(outcome.stored);
    return stored instanceof LockRequestError
      ? { kind: 'failed', error: stored }
      : { kind: 'found', stored };
  }

  create(
    document: JsonDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, null, options);
  }

  replace(
    document: JsonDocument,
    expected: StoredDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, expected, options);
  }

  describe(): string {
    return this.texts.describe();
  }

  private async write(
    document: JsonDocument,
    expected: StoredDocument | null,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    const text = JSON.stringify(document);
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_DOCUMENT_BYTES) return { kind: 'not-applied', error: this.tooLarge(bytes) };
    const outcome =
      expected === null
        ? await this.texts.create(text, options)
        : await this.texts.replace(text, expected.version as Version, options);
    if (outcome.kind !== 'applied') return outcome;
    // What is stored counts: something may have changed it on the way.
    const stored = this.documentIn(outcome.stored);
    return stored instanceof LockRequestError
      ? { kind: 'unknown', error: stored }
      : { kind: 'applied', stored };
  }

  private documentIn(version: Version): StoredDocument | LockRequestError {
    const document = this.place.documentIn(version);
    return document === undefined ? this.unreadable() : { document, version };
  }

  /** Nothing is written over what is there: what it said is not known. */
  private unreadable(): LockRequestError {
    return new LockRequestError(
      `${this.describe()}: ${this.place.name} is not a JSON object, so nothing can be decided by it. ` +
        'Fix: restore it, or delete the object.',
      { reason: 'rejected' },
    );
  }

  private tooLarge(bytes: number): LockRequestError {
    return new LockRequestError(
      `${this.describe()}: the document has ${bytes} bytes, more than the ${MAX_DOCUMENT_BYTES} that fit beside a lease. ` +
        'Keep fewer jobs or keys of work that runs once per role, or remove those that no longer exist from the object by hand.',
      { reason: 'rejected' },
    );
  }
}
