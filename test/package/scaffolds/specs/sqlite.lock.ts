import { randomUUID } from 'node:crypto';
import {
  type JsonDocument,
  type LeaseRecord,
  LockRequestError,
  type LockRequester,
  type LockRequestOptions,
  type ObservedLease,
  type ReadOutcome,
  type ResourceLock,
  type ResourceLockFactory,
  type Store,
  type StoredDocument,
  type WriteOutcome,
} from 'nestjs-leader-election';

/** What this lock needs of a driver: one statement in, its rows out. */
export interface Database {
  all(sql: string, parameters: readonly unknown[]): Promise<readonly Row[]>;
}

export interface Row {
  readonly uid: string;
  readonly revision: number;
  readonly content: string;
}

/**
 * `AUTOINCREMENT` never gives a number twice, also after a row was deleted: the revision of each write is higher. The
 * trigger gives a new one to a row that a person edits.
 */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS leader_election (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    uid TEXT NOT NULL,
    content TEXT NOT NULL
  );
  CREATE TRIGGER IF NOT EXISTS leader_election_edited AFTER UPDATE ON leader_election BEGIN
    INSERT OR REPLACE INTO leader_election (name, uid, content)
    VALUES (NEW.name, NEW.uid, NEW.content);
  END`;

const READ = `SELECT uid, revision, content FROM leader_election WHERE name = ?`;

const CREATE = `
  INSERT INTO leader_election (name, uid, content) VALUES (?, ?, ?)
  ON CONFLICT (name) DO NOTHING
  RETURNING uid, revision, content`;

/** Compares and replaces in one statement; the new row takes the place of the old one, with the next revision. */
const REPLACE = `
  INSERT OR REPLACE INTO leader_election (name, uid, content)
  SELECT name, uid, ? FROM leader_election WHERE name = ? AND uid = ? AND revision = ?
  RETURNING uid, revision, content`;

/** A row whose content is JSON. Says what is known of each request, and never more. */
class RowStore<Content, Version> implements Store<Content, Version> {
  constructor(
    protected readonly database: Database,
    protected readonly name: string,
    private readonly versionOf: (row: Row) => Version,
    private readonly rowOf: (version: Version) => Pick<Row, 'uid' | 'revision'>,
  ) {}

  async read(options: LockRequestOptions): Promise<ReadOutcome<Version>> {
    try {
      const [row] = await this.ask(options, READ, [this.name]);
      return row === undefined
        ? { kind: 'absent' }
        : { kind: 'found', stored: this.versionOf(row) };
    } catch (error) {
      return { kind: 'failed', error: this.errorOf(error) };
    }
  }

  create(content: Content, options: LockRequestOptions): Promise<WriteOutcome<Version>> {
    const text = JSON.stringify(content);
    return this.write(options, CREATE, [this.name, randomUUID(), text], text);
  }

  async replace(
    content: Content,
    expected: Version,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<Version>> {
    const { uid, revision } = this.rowOf(expected);
    const text = JSON.stringify(content);
    return this.write(options, REPLACE, [text, this.name, uid, revision], text);
  }

  describe(): string {
    return `row ${this.name} of leader_election`;
  }

  /** A statement that returned no row found another version than the expected one. */
  private async write(
    options: LockRequestOptions,
    sql: string,
    parameters: readonly unknown[],
    text: string,
  ): Promise<WriteOutcome<Version>> {
    const tooLarge = this.tooLarge(text);
    if (tooLarge !== undefined) return { kind: 'not-applied', error: tooLarge };
    try {
      const [row] = await this.ask(options, sql, parameters);
      return row === undefined
        ? { kind: 'conflict' }
        : { kind: 'applied', stored: this.versionOf(row) };
    } catch (error) {
      // The statement may have been executed, and its answer lost. Only a code of the database that excludes this makes
      // it `not-applied`.
      return { kind: 'unknown', error: this.errorOf(error) };
    }
  }

  /** Settles in time, whatever the driver does. */
  private async ask(
    { timeoutMs, signal }: LockRequestOptions,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<readonly Row[]> {
    const end = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    end.throwIfAborted();
    const ended = new Promise<never>((_, reject) => {
      end.addEventListener('abort', () => reject(end.reason as Error), { once: true });
    });
    return Promise.race([this.database.all(sql, parameters), ended]);
  }

  private errorOf(cause: unknown): LockRequestError {
    const text = cause instanceof Error ? cause.message : String(cause);
    return new LockRequestError(`${this.describe()}: ${text}`, { reason: 'unclear', cause });
  }

  private tooLarge(text: string): LockRequestError | undefined {
    const bytes = Buffer.byteLength(text);
    if (bytes <= LARGEST_DOCUMENT_BYTES) return undefined;
    const sizes = `${bytes} bytes, and ${LARGEST_DOCUMENT_BYTES} fit`;
    return new LockRequestError(`${this.describe()}: ${sizes}`, { reason: 'rejected' });
  }
}

/** The same for every store, so that what works on one works on another. */
const LARGEST_DOCUMENT_BYTES = 240 * 1024;

class SqliteLock extends RowStore<LeaseRecord, ObservedLease> implements ResourceLock {
  constructor(database: Database, name: string) {
    super(database, name, leaseOf, ({ uid, revision }) => ({ uid, revision: Number(revision) }));
  }

  sibling(suffix: string): Store<JsonDocument, StoredDocument> {
    const name = `${this.name}-${suffix}`;
    return new RowStore<JsonDocument, StoredDocument>(this.database, name, documentOf, versionOf);
  }

  leaseBeside(suffix: string): ResourceLock {
    return new SqliteLock(this.database, `${this.name}-${suffix}`);
  }
}

function leaseOf({ uid, revision, content }: Row): ObservedLease {
  const record = JSON.parse(content) as LeaseRecord;
  return { record, uid, revision: BigInt(revision), timingKey: timingKeyOf(uid, record) };
}

/** Differs exactly if a process has acquired, renewed or released the lease in between. */
function timingKeyOf(uid: string, record: LeaseRecord): string {
  const { holderIdentity, acquireTimeMicros, renewTimeMicros } = record;
  const { leaseDurationSeconds, leaseTransitions } = record;
  const times = [acquireTimeMicros, renewTimeMicros, leaseDurationSeconds, leaseTransitions];
  return JSON.stringify([uid, holderIdentity, ...times]);
}

/** Throws for what is not an object: if it counted as empty, each tick in it would run a second time. */
function documentOf(row: Row): StoredDocument {
  const document = JSON.parse(row.content) as unknown;
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Error('its content is not a JSON object: restore it, or delete the row');
  }
  return { document: document as JsonDocument, version: row };
}

function versionOf({ version }: StoredDocument): Row {
  return version as Row;
}

/** The lock of an application whose replicas share a database. */
export function sqliteLock(database: Database): ResourceLockFactory {
  return ({ leaseName, namespace = 'default' }: LockRequester) =>
    new SqliteLock(database, `${namespace}/${leaseName}`);
}
