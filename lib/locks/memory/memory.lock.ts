import { LockRequestError } from '../../core/errors.js';
import { parseDocument } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import { competingMember, type MemberObserver, type MemberSource } from '../../core/member.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  Store,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { DocumentStore } from '../document-store.js';
import { kernelUuid } from '../kernel-entropy.js';

/** Called with every change of one lease; `lease` is null when it was deleted. */
export type MemoryLeaseListener = (lease: ObservedLease | null, revision: bigint) => void;

/**
 * Leases in memory with the rules of the Kubernetes API server: a uid per creation, one revision counter for the whole
 * store that also counts deletions, compare-and-set on uid and revision, and no change at all for a write that equals
 * what is stored (A4).
 */
export class MemoryLeaseStore {
  /** What is kept beside the leases, by key. */
  readonly documents: MemoryDocuments = new Map();
  readonly competitors = new MemoryCompetitors();
  private revision = 0n;
  private readonly leases = new Map<string, ObservedLease>();
  private readonly listeners = new Map<string, Set<MemoryLeaseListener>>();

  read(key: string): ObservedLease | undefined {
    return this.leases.get(key);
  }

  create(key: string, record: LeaseRecord): WriteOutcome {
    if (this.leases.has(key)) return { kind: 'conflict' };
    return { kind: 'applied', stored: this.store(key, record, kernelUuid()) };
  }

  replace(key: string, record: LeaseRecord, expected: ObservedLease): WriteOutcome {
    const stored = this.leases.get(key);
    if (stored === undefined) return { kind: 'absent' };
    if (stored.uid !== expected.uid || stored.revision !== expected.revision) {
      return { kind: 'conflict' };
    }
    if (sameRecord(stored.record, record)) return { kind: 'applied', stored: stored };
    return { kind: 'applied', stored: this.store(key, record, stored.uid) };
  }

  delete(key: string): void {
    if (!this.leases.delete(key)) return;
    this.tell(key, null, ++this.revision);
  }

  /** Returns the function that ends it. Listeners are called while the change is made, before its outcome is known. */
  listen(key: string, listener: MemoryLeaseListener): () => void {
    const listeners = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  private store(key: string, record: LeaseRecord, uid: string): ObservedLease {
    const revision = ++this.revision;
    const lease = Object.freeze({
      record: Object.freeze({ ...record }),
      uid,
      revision,
      timingKey: timingKey(uid, record),
    });
    this.leases.set(key, lease);
    this.tell(key, lease, revision);
    return lease;
  }

  private tell(key: string, lease: ObservedLease | null, revision: bigint): void {
    for (const listener of this.listeners.get(key) ?? []) listener(lease, revision);
  }
}

/** Who competes for which lease, by its key. */
class MemoryCompetitors {
  private readonly competing = new Map<string, Map<MemberObserver, Competitor>>();

  join(key: string, competitor: Competitor, observer: MemberObserver): () => void {
    const all = this.competing.get(key) ?? new Map<MemberObserver, Competitor>();
    this.competing.set(key, all.set(observer, competitor));
    this.tell(key);
    return () => {
      if (all.delete(observer)) this.tell(key);
    };
  }

  /** Later, and to who is there then. */
  private tell(key: string): void {
    const all = this.competing.get(key)!;
    void Promise.resolve().then(() => {
      for (const [observer, self] of all) {
        const members = [...all.values()].map((competitor) =>
          competingMember(competitor.identity, competitor.since, competitor === self),
        );
        observer.members(members);
      }
    });
  }
}

interface Competitor {
  readonly identity: string;
  readonly since: Date;
}

function timingKey(uid: string, record: LeaseRecord): string {
  return JSON.stringify([
    uid,
    record.holderIdentity,
    record.leaseDurationSeconds,
    record.acquireTimeMicros,
    record.renewTimeMicros,
    record.leaseTransitions,
  ]);
}

function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    timingKey('', a) === timingKey('', b) &&
    a.releasedTransitions === b.releasedTransitions &&
    a.application === b.application &&
    a.memberUid === b.memberUid &&
    sameMarks(a, b) &&
    // Each is made once and never changed.
    a.request?.id === b.request?.id &&
    a.answer?.id === b.answer?.id
  );
}

function sameMarks(
  { crowd, successor, gaveUp, container, address }: LeaseRecord,
  other: LeaseRecord,
): boolean {
  return (
    crowd?.candidates === other.crowd?.candidates &&
    crowd?.stepMs === other.crowd?.stepMs &&
    successor?.transitions === other.successor?.transitions &&
    successor?.uid === other.successor?.uid &&
    gaveUp?.transitions === other.gaveUp?.transitions &&
    gaveUp?.uid === other.gaveUp?.uid &&
    gaveUp?.count === other.gaveUp?.count &&
    container?.holderIdentity === other.container?.holderIdentity &&
    container?.transitions === other.container?.transitions &&
    container?.acquireTimeMicros === other.container?.acquireTimeMicros &&
    container?.podUid === other.container?.podUid &&
    container?.containerName === other.container?.containerName &&
    container?.containerId === other.container?.containerId &&
    address?.url === other.address?.url &&
    address?.holderIdentity === other.address?.holderIdentity &&
    address?.transitions === other.address?.transitions &&
    address?.acquireTimeMicros === other.address?.acquireTimeMicros
  );
}

/** One version of a text; no other version of any text is equal to it. */
interface TextVersion {
  readonly text: string;
}

/** Documents as text, by key. */
export type MemoryDocuments = Map<string, TextVersion>;

/** Reads and compare-and-set writes of one object in memory, each done at once. */
interface MemoryObject<Content, Version> {
  read(): Version | undefined;
  create(content: Content): WriteOutcome<Version>;
  replace(content: Content, expected: Version): WriteOutcome<Version>;
}

/** Delivers by promise only, never by timer, so that a test with a manual clock stays deterministic. */
class MemoryStore<Content, Version> implements Store<Content, Version> {
  constructor(
    private readonly object: MemoryObject<Content, Version>,
    private readonly description: string,
  ) {}

  async read({ signal }: LockRequestOptions): Promise<ReadOutcome<Version>> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'failed', error: this.aborted(signal) };
    const stored = this.object.read();
    return stored === undefined ? { kind: 'absent' } : { kind: 'found', stored };
  }

  async create(content: Content, { signal }: LockRequestOptions): Promise<WriteOutcome<Version>> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.aborted(signal) };
    return this.object.create(content);
  }

  async replace(
    content: Content,
    expected: Version,
    { signal }: LockRequestOptions,
  ): Promise<WriteOutcome<Version>> {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'unknown', error: this.aborted(signal) };
    return this.object.replace(content, expected);
  }

  describe(): string {
    return this.description;
  }

  private aborted(signal: AbortSignal): LockRequestError {
    return new LockRequestError(`${this.describe()}: the request was aborted before it was made.`, {
      reason: 'unclear',
      cause: signal.reason,
    });
  }
}

function textIn(documents: MemoryDocuments, key: string): MemoryObject<string, TextVersion> {
  const store = (text: string): WriteOutcome<TextVersion> => {
    const stored = { text };
    documents.set(key, stored);
    return { kind: 'applied', stored };
  };
  return {
    read: () => documents.get(key),
    create: (text) => (documents.has(key) ? { kind: 'conflict' } : store(text)),
    replace(text, expected) {
      if (!documents.has(key)) return { kind: 'absent' };
      return documents.get(key) === expected ? store(text) : { kind: 'conflict' };
    },
  };
}

const DOCUMENT_PLACE = {
  name: 'its text',
  documentIn: ({ text }: TextVersion) => parseDocument(text),
};

export class MemoryDocumentStore extends DocumentStore<TextVersion> {
  constructor(documents: MemoryDocuments, key: string) {
    super(new MemoryStore(textIn(documents, key), `in-memory document ${key}`), DOCUMENT_PLACE);
  }
}

/**
 * A lock inside one process, for tests and for an application that never runs twice. All locks made from one call share
 * one store; two calls are independent of each other.
 */
export function memoryLock(store: MemoryLeaseStore = new MemoryLeaseStore()): ResourceLockFactory {
  return (requester) => new MemoryLock(store, requester);
}

/** The key of a lease in the {@link MemoryLeaseStore} that {@link memoryLock} was given. */
export function memoryLeaseKey(requester: Pick<LockRequester, 'leaseName' | 'namespace'>): string {
  return `${requester.namespace ?? 'default'}/${requester.leaseName}`;
}

export class MemoryLock extends MemoryStore<LeaseRecord, ObservedLease> implements ResourceLock {
  readonly isInProcess = true;
  private readonly key: string;

  constructor(
    private readonly store: MemoryLeaseStore,
    private readonly requester: LockRequester,
  ) {
    const key = memoryLeaseKey(requester);
    const lease: MemoryObject<LeaseRecord, ObservedLease> = {
      read: () => store.read(key),
      create: (record) => store.create(key, record),
      replace: (record, expected) => store.replace(key, record, expected),
    };
    super(lease, `in-memory lease ${key}`);
    this.key = key;
  }

  watch(observer: LeaseWatchObserver): LeaseWatch {
    return { close: this.follow(observer) };
  }

  sibling(suffix: string): MemoryDocumentStore {
    return new MemoryDocumentStore(this.store.documents, `${this.key}-${suffix}`);
  }

  leaseBeside(suffix: string, identity: string): MemoryLock {
    const { requester, store } = this;
    const leaseName = `${requester.leaseName}-${suffix}`;
    return new MemoryLock(store, { ...requester, leaseName, identity });
  }

  competitors(): MemberSource {
    const competitor = { identity: this.requester.identity, since: new Date() };
    let leave = (): void => undefined;
    return {
      start: (observer) => {
        leave = this.store.competitors.join(this.key, competitor, observer);
      },
      close: () => Promise.resolve(leave()),
    };
  }

  private follow(observer: LeaseWatchObserver): () => void {
    let ended = false;
    const deliver = (report: () => void) => {
      void Promise.resolve().then(() => {
        if (!ended) report();
      });
    };
    deliver(() => observer.opened());
    const unlisten = this.store.listen(this.key, (lease, revision) =>
      deliver(() => observer.changed(lease, revision)),
    );
    return () => {
      ended = true;
      unlisten();
    };
  }
}
