import { LockRequestError } from '../../core/errors.js';
import {
  formatDocument,
  isJsonObject,
  type JsonDocument,
  unreadableDocument,
} from '../../core/json-document.js';
import type {
  DocumentReadOutcome,
  DocumentStore,
  DocumentWriteOutcome,
  LockRequestOptions,
  StoredDocument,
  WriteOutcome,
} from '../../core/resource-lock.js';
import type { LeaseRecord } from '../../core/lease-record.js';
import type { BoundedRequests } from './bounded-requests.js';
import { fileLockError } from './file-lock-error.js';
import type { FileLockDirectory } from './file-lock-directory.js';
import type { ObservedLeaseFile } from './lease-file-record.js';
import type { LeaseFileStore } from './lease-file-store.js';

/** The field of a version file that holds the document. */
const DOCUMENT_FIELD = 'document';

/** The files are those of a lease that nobody holds. */
const UNHELD: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: null,
  acquireTimeMicros: null,
  renewTimeMicros: null,
  leaseTransitions: 0,
  releasedTransitions: null,
};

/**
 * A document in the versioned files of a lease of its own: their compare-and-set is this one's. A new document takes
 * two versions, an empty one and the first; a process killed in between leaves an empty document, which is one too.
 */
export class FileDocumentStore implements DocumentStore {
  constructor(
    private readonly directory: FileLockDirectory,
    private readonly store: LeaseFileStore,
    private readonly requests: BoundedRequests,
  ) {}

  read(options: LockRequestOptions): Promise<DocumentReadOutcome> {
    const attempt = async (abandoned: AbortSignal): Promise<DocumentReadOutcome> => {
      try {
        await this.directory.prepare();
        const file = await this.store.look(abandoned);
        if (file === null) return { kind: 'absent' };
        const stored = storedIn(file);
        if (stored !== undefined) return { kind: 'found', stored };
        const error = unreadableDocument(this.describe(), 'the newest version');
        return { kind: 'failed', error };
      } catch (error) {
        return { kind: 'failed', error: this.explain('read', error) };
      }
    };
    return this.requests.run(options, attempt, (why) => ({
      kind: 'failed',
      error: this.abandoned('reading', why),
    }));
  }

  create(document: JsonDocument, options: LockRequestOptions): Promise<DocumentWriteOutcome> {
    return this.write('create', document, options, async (abandoned) => {
      const created = await this.store.create(UNHELD, null, abandoned);
      if (created.kind !== 'applied') return created;
      return this.put(document, created.lease as ObservedLeaseFile, abandoned);
    });
  }

  replace(
    document: JsonDocument,
    { version }: StoredDocument,
    options: LockRequestOptions,
  ): Promise<DocumentWriteOutcome> {
    return this.write('replace', document, options, (abandoned) =>
      this.put(document, version as ObservedLeaseFile, abandoned),
    );
  }

  describe(): string {
    return `document files in ${this.store.directory}`;
  }

  /** Fields that this library does not know are written back, and so is the document, put among them. */
  private put(
    document: JsonDocument,
    expected: ObservedLeaseFile,
    abandoned: AbortSignal,
  ): Promise<WriteOutcome> {
    const fields = { ...expected.source.fields, [DOCUMENT_FIELD]: document };
    const next = { ...expected, source: { ...expected.source, fields } };
    return this.store.replace(UNHELD, next, null, abandoned);
  }

  private write(
    action: string,
    document: JsonDocument,
    options: LockRequestOptions,
    write: (abandoned: AbortSignal) => Promise<WriteOutcome>,
  ): Promise<DocumentWriteOutcome> {
    const text = formatDocument(document, this.describe());
    if (text instanceof LockRequestError) {
      return Promise.resolve({ kind: 'not-applied', error: text });
    }
    const attempt = async (abandoned: AbortSignal): Promise<DocumentWriteOutcome> => {
      try {
        await this.directory.prepare();
      } catch (error) {
        return { kind: 'not-applied', error: this.explain(action, error) };
      }
      const outcome = await write(abandoned);
      if (outcome.kind !== 'applied') return outcome;
      return { kind: 'applied', stored: { document, version: outcome.lease } };
    };
    return this.requests.run(options, attempt, (why) => ({
      kind: 'unknown',
      error: this.abandoned('writing', why),
    }));
  }

  private explain(action: string, error: unknown): LockRequestError {
    if (error instanceof LockRequestError) return error;
    return fileLockError(action, this.store.directory, error);
  }

  private abandoned(action: string, why: string): LockRequestError {
    return new LockRequestError(`Gave up ${action} ${this.describe()}: ${why}.`, {
      reason: 'unclear',
    });
  }
}

/** Undefined if the file is not one of a document: edited by hand, or cut off. */
function storedIn(file: ObservedLeaseFile): StoredDocument | undefined {
  const document = file.source.fields[DOCUMENT_FIELD] ?? {};
  const isReadable = file.record.holderIdentity === '' && isJsonObject(document);
  return isReadable ? { document, version: file } : undefined;
}
