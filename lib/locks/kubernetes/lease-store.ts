import { LockRequestError } from '../../core/errors.js';
import { type JsonDocument, parseDocument } from '../../core/json-document.js';
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
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import { EventRecorder } from '../../kubernetes/event-recorder.js';
import { LeaderMark } from '../../kubernetes/leader-mark.js';
import { type ApiRequest, KubernetesTransport } from '../../kubernetes/kubernetes-transport.js';
import { collectionPath, type ObjectAddress, objectPath } from '../../kubernetes/object-request.js';
import { factsOfThisProcess } from '../../members/container-death.js';
import { ApiServerPods } from '../../members/pod-api.js';
import { PodMembers } from '../../members/pod-members.js';
import { DocumentStore } from '../document-store.js';
import type { ClusterChoice } from './cluster-choice.js';
import { ClusterLock, type EventReporter, type OwnPod, type PodSelection } from './cluster-lock.js';
import { ConfigMapRecordCodec } from './config-map-record.codec.js';
import {
  annotationsOf,
  conditionalReplacement,
  type LeaseDecoder,
  metadataOf,
} from './lease-object.js';
import { decodeLease, encodeNewLease, encodeReplacement } from './lease-record.codec.js';
import { LeaseTarget, type LockObject, readOutcome, writeOutcome } from './lease-target.js';
import { KubernetesLeaseWatch } from './lease-watch.js';
import type { WriteTurns } from './write-turns.js';

/** The annotation that holds the document, as JSON text. */
export const DOCUMENT_ANNOTATION = 'nestjs-leader-election/schedule';

/** An object without the annotation holds an empty document. Undefined if the annotation is not that of a JSON object. */
export function documentIn(lease: ObservedLease): JsonDocument | undefined {
  const text = annotationsOf(metadataOf(lease))[DOCUMENT_ANNOTATION];
  return text === undefined ? {} : parseDocument(text);
}

/** An object without a holder, to POST. */
function encodeNewDocument(text: string, address: ObjectAddress): JsonDocument {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = { [DOCUMENT_ANNOTATION]: text };
  const metadata = { name, namespace, annotations };
  return { apiVersion, kind, metadata, ...(kind === 'Lease' && { spec: {} }) };
}

/** The whole object as it was read, with another document. */
export function encodeDocumentReplacement(
  text: string,
  expected: ObservedLease,
  address: ObjectAddress,
): JsonDocument {
  return conditionalReplacement(expected, address, {
    ...annotationsOf(metadataOf(expected)),
    [DOCUMENT_ANNOTATION]: text,
  });
}

/** With `createLease: false`: what to apply, as the object cannot come from this process. */
function explainNotCreated({ apiVersion, kind, namespace, name }: ObjectAddress): LockRequestError {
  return new LockRequestError(
    `${kind} ${namespace}/${name} does not exist, and createLease: false leaves it to whoever deploys the application. ` +
      'The replicas take it as soon as it is there. Apply this manifest, or set createLease: true and allow create:\n' +
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\n  namespace: ${namespace}`,
    { reason: 'rejected' },
  );
}

/** How something is kept in an object: how it is read, and the bodies of a POST and of a PUT over what is expected. */
interface ObjectCodec<Content> {
  readonly decode: LeaseDecoder;
  created(content: Content, address: ObjectAddress): JsonDocument;
  replaced(content: Content, expected: ObservedLease, address: ObjectAddress): JsonDocument;
}

const LEASE_CODEC: ObjectCodec<LeaseRecord> = {
  decode: decodeLease,
  created: encodeNewLease,
  replaced: encodeReplacement,
};

/** GET, POST and PUT of one object. No PATCH, no DELETE, no write without a version (R6). */
class ObjectStore<Content> implements Store<Content, ObservedLease> {
  constructor(
    private readonly target: LeaseTarget,
    private readonly transport: KubernetesTransport,
    private readonly codec: ObjectCodec<Content>,
    private readonly createsObjects: boolean,
  ) {}

  /** Without a resourceVersion parameter the answer comes from etcd and not from a cache (A6). */
  async read(options: LockRequestOptions): Promise<ReadOutcome> {
    const context = await this.target.contextFor('get');
    if (context instanceof LockRequestError) return { kind: 'failed', error: context };
    const request = { method: 'GET', path: objectPath(context.address) } as const;
    const answer = await this.transport.send(request, options);
    return readOutcome(context, answer, this.codec.decode);
  }

  async create(content: Content, options: LockRequestOptions): Promise<WriteOutcome> {
    if (!this.createsObjects) return { kind: 'not-applied', error: await this.leftToTheManifest() };
    return this.write('create', options, (address) => ({
      method: 'POST',
      path: collectionPath(address),
      body: this.codec.created(content, address),
    }));
  }

  replace(
    content: Content,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    return this.write('update', options, (address) => ({
      method: 'PUT',
      path: objectPath(address),
      body: this.codec.replaced(content, expected, address),
    }));
  }

  describe(): string {
    return this.target.describe();
  }

  private async leftToTheManifest(): Promise<LockRequestError> {
    const context = await this.target.contextFor('create');
    return context instanceof LockRequestError ? context : explainNotCreated(context.address);
  }

  private async write(
    verb: 'create' | 'update',
    options: LockRequestOptions,
    requestTo: (address: ObjectAddress) => ApiRequest,
  ): Promise<WriteOutcome> {
    const context = await this.target.contextFor(verb);
    if (context instanceof LockRequestError) return { kind: 'not-applied', error: context };
    const answer = await this.transport.send(requestTo(context.address), options);
    return writeOutcome(context, answer, options.signal, this.codec.decode);
  }
}

const DOCUMENT_PLACE = { name: `the annotation ${DOCUMENT_ANNOTATION}`, documentIn };

/** The lock in one object. The namespace may be that of a kubeconfig, and so has to be looked up first. */
export async function openObjectLock(
  choice: ClusterChoice,
  object: LockObject,
  requester: LockRequester,
  pod: PodEnvironment,
): Promise<ResourceLock> {
  const target = await LeaseTarget.find(choice, object, requester, pod);
  const codec = object.kind === 'Lease' ? LEASE_CODEC : configMapCodec(object, requester, pod);
  const turns = object.kind === 'ConfigMap' && !object.isClientGo ? object.turns : undefined;
  const transport = new KubernetesTransport(target.connection);
  const createsObjects = requester.createLease ?? true;
  const close = (): void => transport.close();
  return new ObjectLock({ target, codec, turns, transport, createsObjects, close }, choice, pod);
}

function configMapCodec(
  { isClientGo }: Extract<LockObject, { kind: 'ConfigMap' }>,
  { leaseName, role = leaseName }: LockRequester,
  pod: PodEnvironment,
): ConfigMapRecordCodec {
  const podName = pod.env['POD_NAME']?.trim() || undefined;
  return new ConfigMapRecordCodec({ leaseName, role, isClientGo, podName });
}

/** True if nothing that is kept of the lease differs, whatever else of the object does. */
function isSameLease(present: ObservedLease, expected: ObservedLease): boolean {
  return (
    present.timingKey === expected.timingKey &&
    JSON.stringify(present.record) === JSON.stringify(expected.record)
  );
}

/** A record in its object, and the way there. */
interface ObjectAccess {
  readonly target: LeaseTarget;
  readonly codec: ObjectCodec<LeaseRecord>;
  /** Where other leases are in the object, each of whose renewals makes a version of it. */
  readonly turns: WriteTurns | undefined;
  readonly transport: KubernetesTransport;
  readonly createsObjects: boolean;
  /** Frees what no other lock uses. */
  readonly close: () => void;
}

class ObjectLock extends ClusterLock implements ResourceLock {
  private readonly target: LeaseTarget;
  private readonly codec: ObjectCodec<LeaseRecord>;
  private readonly turns: WriteTurns | undefined;
  private readonly transport: KubernetesTransport;
  private readonly createsObjects: boolean;
  private readonly store: ObjectStore<LeaseRecord>;
  /** The watch tells of every version. */
  private isFollowed = false;

  constructor(
    private readonly access: ObjectAccess,
    readonly cluster: ClusterChoice,
    readonly pod: PodEnvironment,
  ) {
    super();
    const { target, codec, turns, transport, createsObjects } = access;
    this.target = target;
    this.codec = codec;
    this.turns = turns;
    this.transport = transport;
    this.createsObjects = createsObjects;
    this.store = new ObjectStore(target, transport, codec, createsObjects);
  }

  read(options: LockRequestOptions): Promise<ReadOutcome> {
    return this.store.read(options);
  }

  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.store.create(record, options);
  }

  /**
   * The version that is expected of a shared object is mostly outdated by the renewals of other leases. What is replaced is
   * the newest version that this process has written, or without a watch the present one, which is read first: if it says
   * of this lease what was expected.
   */
  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    const { turns } = this;
    if (turns === undefined) return this.store.replace(record, expected, options);
    const startedAt = performance.now();
    const rest = (): LockRequestOptions => ({
      ...options,
      timeoutMs: Math.max(1, options.timeoutMs - (performance.now() - startedAt)),
    });
    return turns.take(options.timeoutMs, async () => {
      const found = await this.newest(expected, turns, rest());
      if ('kind' in found) return found;
      const outcome = await this.store.replace(record, found, rest());
      turns.newest = outcome.kind === 'applied' ? outcome.stored.source : undefined;
      return outcome;
    });
  }

  /** The version to replace, or why there is none. */
  private async newest(
    expected: ObservedLease,
    turns: WriteTurns,
    options: LockRequestOptions,
  ): Promise<ObservedLease | WriteOutcome> {
    const written = await this.writtenBy(turns);
    if (written !== undefined && written.revision > expected.revision) {
      if (isSameLease(written, expected)) return written;
    }
    if (this.isFollowed) return expected;
    const present = await this.store.read(options);
    if (present.kind === 'absent') return present;
    if (present.kind === 'failed') {
      return { kind: options.signal.aborted ? 'unknown' : 'not-applied', error: present.error };
    }
    return isSameLease(present.stored, expected) ? present.stored : { kind: 'conflict' };
  }

  private async writtenBy({ newest }: WriteTurns): Promise<ObservedLease | undefined> {
    if (newest === undefined) return undefined;
    const decoded = this.codec.decode(newest, await this.target.address());
    return decoded.kind === 'lease' ? decoded.lease : undefined;
  }

  describe(): string {
    return this.store.describe();
  }

  connect(): void {
    this.transport.connect();
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    const followed: LeaseWatchObserver = {
      opened: () => {
        this.isFollowed = true;
        observer.opened();
      },
      changed: (lease, revision) => observer.changed(lease, revision),
      holderDied: (timingKey) => observer.holderDied(timingKey),
      interrupted: (error) => {
        this.isFollowed = false;
        observer.interrupted(error);
      },
    };
    return new KubernetesLeaseWatch(followed, {
      connection: this.target.connection,
      resolveAddress: () => this.target.address(),
      decode: this.codec.decode,
      silenceLimitMs: options.silenceLimitMs,
    });
  }

  /**
   * A document in an annotation of an object of the same kind without a holder, over the transport of this lock. Needs
   * the verbs get, create and update on it; no process watches it.
   */
  sibling(suffix: string): DocumentStore<ObservedLease> {
    const target = this.target.sibling(suffix);
    const codec = {
      decode: this.codec.decode,
      created: encodeNewDocument,
      replaced: encodeDocumentReplacement,
    };
    const texts = new ObjectStore(target, this.transport, codec, this.createsObjects);
    return new DocumentStore(texts, DOCUMENT_PLACE);
  }

  /** An object of the same kind for this lease alone, over the transport of this lock. */
  leaseBeside(suffix: string): ObjectLock {
    const target = this.target.sibling(suffix);
    const codec = target.kind === 'Lease' ? LEASE_CODEC : ConfigMapRecordCodec.alone();
    const access = { ...this.access, target, codec, turns: undefined, close: () => undefined };
    return new ObjectLock(access, this.cluster, this.pod);
  }

  podMembers({ podName, random, ...selection }: PodSelection): PodMembers {
    const { connection } = this.target;
    const namespace = async () => this.pod.namespace() ?? (await this.target.address()).namespace;
    const api = new ApiServerPods({ connection, namespace, podName, random });
    const facts = () => factsOfThisProcess(this.pod.uid());
    return new PodMembers({ ...selection, api, podName, random, facts });
  }

  eventRecorder(reporter: EventReporter): EventRecorder | undefined {
    const { target } = this;
    if (target.kind !== 'Lease') return undefined;
    const namespace = async () => (await target.address()).namespace;
    return new EventRecorder({ ...reporter, connection: target.connection, namespace });
  }

  leaderMark(pod: OwnPod): LeaderMark {
    return new LeaderMark({ ...pod, connection: this.target.connection });
  }

  close(): Promise<void> {
    this.access.close();
    return Promise.resolve();
  }
}
