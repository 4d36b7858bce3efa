import { join } from 'node:path';
import { isJsonObject, type JsonDocument, parseDocument } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  Store,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { DocumentStore } from '../document-store.js';
import { CompetingProcesses } from './competing-processes.js';
import { checkFileLockOptions, type FileLockOptions } from './file-lock-options.js';
import { BoundedRequests, FileRequests } from './file-requests.js';
import { HolderSocket } from './holder-socket.js';
import {
  type HolderProcess,
  hostKernel,
  type HostKernel,
  isLeaseFileSource,
  type ObservedLeaseFile,
} from './lease-file-record.js';
import { LeaseFileStore } from './lease-file-store.js';
import { LeaseFileWatch } from './lease-file-watch.js';
import { FileLockDirectory, leaseDirectoryName } from './lease-paths.js';
import { LocalLock } from './local-lock.js';
import { type LeaseFileSystem, localFileSystem } from './system-call-failure.js';

/** The field of a version file that holds the document. */
const DOCUMENT_FIELD = 'document';

/** The files are those of a lease without a holder. */
const UNHELD: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: null,
  acquireTimeMicros: null,
  renewTimeMicros: null,
  leaseTransitions: 0,
  releasedTransitions: null,
};

/**
 * Documents in the versioned files of a lease of their own: their compare-and-set is this one's. A new document takes two
 * versions, an empty one and the first; a process killed in between leaves an empty document, which is one too.
 */
class FileTexts implements Store<string, ObservedLeaseFile> {
  constructor(private readonly files: FileRequests) {}

  read(options: LockRequestOptions): Promise<ReadOutcome<ObservedLeaseFile>> {
    return this.files.read(options);
  }

  create(text: string, options: LockRequestOptions): Promise<WriteOutcome<ObservedLeaseFile>> {
    return this.files.write('create', options, async (abandoned) => {
      const created = await this.files.store.create(UNHELD, null, abandoned);
      return created.kind === 'applied' ? this.put(text, created.stored, abandoned) : created;
    });
  }

  replace(
    text: string,
    expected: ObservedLeaseFile,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    return this.files.write('replace', options, (abandoned) => this.put(text, expected, abandoned));
  }

  describe(): string {
    return this.files.description;
  }

  /** Fields that this library does not know are written back, and the document is one of them. */
  private put(
    text: string,
    expected: ObservedLeaseFile,
    abandoned: AbortSignal,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    const fields = { ...expected.source.fields, [DOCUMENT_FIELD]: parseDocument(text) };
    const next = { ...expected, source: { ...expected.source, fields } };
    return this.files.store.replace(UNHELD, next, null, abandoned);
  }
}

const DOCUMENT_PLACE = {
  name: 'the newest version',
  /** Undefined if the file is not one of a document: edited by hand, or cut off. */
  documentIn({ record, source }: ObservedLeaseFile): JsonDocument | undefined {
    const document = source.fields[DOCUMENT_FIELD] ?? {};
    return record.holderIdentity === '' && isJsonObject(document) ? document : undefined;
  },
};

/**
 * The directory of `fileLockOfVisitor()`.
 *
 * @throws LeaderElectionOptionsError with every fault at once
 */
export function visitedDirectory(options: FileLockOptions = {}): FileLockDirectory {
  checkFileLockOptions(options);
  return new FileLockDirectory(options.directory, localFileSystem, undefined, true);
}

/** Whose lock it is: a competitor's, with its work in this process or outlived by it, or a visitor's. */
type FileLockUser = 'competitor' | 'outlived' | 'visitor';

export class FileLock extends LocalLock implements ResourceLock {
  /** With the files and the kernel of this process. */
  static of(user: FileLockUser, options: FileLockOptions, requester: LockRequester): FileLock {
    return new FileLock(options, requester, localFileSystem, hostKernel, user);
  }

  private readonly directory: FileLockDirectory;
  private readonly lease: FileRequests;
  private readonly socket: HolderSocket;
  private readonly identity: string;
  private readonly labels: { readonly namespace: string; readonly leaseName: string };
  private readonly requests = new BoundedRequests();
  private ownSocket: string | null = null;
  private knownKernel: HostKernel | undefined;

  constructor(
    private readonly options: FileLockOptions,
    { leaseName, namespace = 'default', identity }: LockRequester,
    private readonly files: LeaseFileSystem = localFileSystem,
    private readonly readKernel: () => HostKernel = hostKernel,
    private readonly user: FileLockUser = 'competitor',
  ) {
    super();
    this.identity = identity;
    this.labels = { namespace, leaseName };
    const isVisited = user === 'visitor';
    this.directory = new FileLockDirectory(options.directory, files, undefined, isVisited);
    this.lease = this.filesOf(leaseName, 'lease');
    this.socket = new HolderSocket(this.directory, this.lease.store.directory);
  }

  get isInDefaultDirectory(): boolean {
    return this.directory.isDefault;
  }

  read(options: LockRequestOptions): Promise<ReadOutcome<ObservedLeaseFile>> {
    return this.lease.read(options);
  }

  create(
    record: LeaseRecord,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    return this.lease.write('create', options, async (abandoned) => {
      const outcome = await this.lease.store.create(record, await this.holder(record), abandoned);
      if (outcome.kind === 'applied') await this.sweepSockets();
      return outcome;
    });
  }

  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    return this.lease.write('replace', options, async (abandoned) => {
      const holder = await this.holder(record, expected);
      const outcome = await this.lease.store.replace(record, expected, holder, abandoned);
      const isTakeover = expected.record.holderIdentity !== record.holderIdentity;
      if (outcome.kind === 'applied' && isTakeover) await this.sweepSockets();
      return outcome;
    });
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    const view = {
      directory: this.lease.store.directory,
      look: () => this.requests.track(this.lookForWatch()),
      revisionOfDeletion: () => this.lease.store.nextUnseenRevision,
      holderSocket: (lease: ObservedLeaseFile | null) => this.socketOfOther(lease),
      isKernelUnique: () => this.kernel.isUnique,
      explain: (error: unknown) => this.lease.explain('watch', error),
    };
    return new LeaseFileWatch(view, observer, options.silenceLimitMs);
  }

  sibling(suffix: string): DocumentStore<ObservedLeaseFile> {
    const files = this.filesOf(`${this.labels.leaseName}-${suffix}`, 'document');
    return new DocumentStore(new FileTexts(files), DOCUMENT_PLACE);
  }

  leaseBeside(suffix: string, identity: string): FileLock {
    const { namespace, leaseName } = this.labels;
    const requester = { namespace, leaseName: `${leaseName}-${suffix}`, identity };
    return new FileLock(this.options, requester, this.files, this.readKernel, this.user);
  }

  competitors(): CompetingProcesses {
    return new CompetingProcesses(this.directory, this.lease.store.directory, this.identity);
  }

  describe(): string {
    return this.lease.description;
  }

  /**
   * While the newest version names this process as the holder, its socket stays open until the process ends, without
   * keeping it alive. The work may still run, so others must wait until the lease has expired or this process is gone.
   */
  async close(): Promise<void> {
    await this.requests.settled();
    if (this.ownSocket === null) return;
    try {
      const lease = await this.lease.store.look();
      if (lease?.source.holderProcess?.socket === this.ownSocket) return;
    } catch {
      // A version that cannot be read may name the socket.
      return;
    }
    await this.socket.close();
  }

  private filesOf(name: string, kind: 'lease' | 'document'): FileRequests {
    const { namespace } = this.labels;
    const path = join(this.directory.path, leaseDirectoryName(namespace, name));
    const store = new LeaseFileStore(
      path,
      this.files,
      { namespace, leaseName: name },
      this.directory,
    );
    return new FileRequests(this.directory, store, this.requests, `${kind} files in ${path}`);
  }

  private async lookForWatch(): Promise<ObservedLeaseFile | null> {
    await this.directory.prepare();
    await this.directory.make(this.lease.store.directory);
    return this.lease.store.look();
  }

  /** Listens before the write that names the socket; the record of another holder names that one's, if it did. */
  private async holder(
    record: LeaseRecord,
    expected?: ObservedLease,
  ): Promise<HolderProcess | null> {
    if (record.holderIdentity !== this.identity) {
      const isSame = record.holderIdentity === expected?.record.holderIdentity;
      return isSame && isLeaseFileSource(expected.source) ? expected.source.holderProcess : null;
    }
    if (this.user === 'outlived') return null;
    this.ownSocket = await this.socket.listen();
    if (this.ownSocket === null) return null;
    return { kernel: this.kernel.name, pid: process.pid, socket: this.ownSocket };
  }

  /** Asked again until it is certain: a descriptor may have been lacking. */
  private get kernel(): HostKernel {
    if (this.knownKernel !== undefined) return this.knownKernel;
    const kernel = this.readKernel();
    if (kernel.isUnique) this.knownKernel = kernel;
    return kernel;
  }

  private socketOfOther(lease: ObservedLeaseFile | null): string | null {
    const process = lease?.source.holderProcess ?? null;
    if (process === null || process.kernel !== this.kernel.name) return null;
    return process.socket === this.ownSocket ? null : process.socket;
  }

  private async sweepSockets(): Promise<void> {
    try {
      await this.socket.sweep();
    } catch {
      // Files of dead holders are harmless; the next takeover sweeps again.
    }
  }
}
