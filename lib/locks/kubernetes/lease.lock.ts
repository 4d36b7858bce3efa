import { LockRequestError } from '../../core/errors.js';
import {
  formatDocument,
  isJsonObject,
  type JsonDocument,
  type JsonObject,
  parseDocument,
  unreadableDocument,
} from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { PodEnvironment } from '../../kubernetes/connection/in-cluster.connection.js';
import { type ApiRequest, KubernetesTransport } from '../../kubernetes/kubernetes-transport.js';
import {
  type ApiAnswer,
  type RequestContext,
  collectionPath,
  type ObjectAddress,
  objectPath,
} from '../../kubernetes/object-request.js';
import {
  checkLeaseLockOptions,
  chooseCluster,
  type LeaseLockOptions,
} from './lease-lock-options.js';
import {
  conditionalReplacement,
  encodeNewLease,
  encodeReplacement,
  metadataOf,
} from './lease-record.codec.js';
import { LeaseTarget, readOutcome, writeOutcome } from './lease-target.js';
import { KubernetesLeaseWatch } from './lease-watch.js';

/** The annotation that holds the document, as JSON text. */
export const DOCUMENT_ANNOTATION = 'nestjs-leader-election/schedule';

/**
 * A Lease without the annotation holds an empty document. Undefined if the annotation is not that of a JSON object:
 * taken for empty, everything that was recorded would be open again.
 */
export function decodeDocument(lease: ObservedLease): StoredDocument | undefined {
  const text = annotationsOf(metadataOf(lease))[DOCUMENT_ANNOTATION];
  const document = text === undefined ? {} : parseDocument(text);
  return document && { document, version: lease };
}

/** A Lease that nobody holds, to POST. */
function encodeNewDocument(text: string, address: ObjectAddress): JsonObject {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = { [DOCUMENT_ANNOTATION]: text };
  return { apiVersion, kind, metadata: { name, namespace, annotations }, spec: {} };
}

/** The whole object as it was read, with the document exchanged. */
export function encodeDocumentReplacement(
  text: string,
  expected: ObservedLease,
  address: ObjectAddress,
): JsonObject {
  return conditionalReplacement(expected, address, {
    ...annotationsOf(metadataOf(expected)),
    [DOCUMENT_ANNOTATION]: text,
  });
}

function annotationsOf(metadata: JsonObject): JsonObject {
  return isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
}

/**
 * A document in an annotation of a Lease that nobody holds, over the transport of the lock it belongs to. Needs the
 * verbs get, create and update on it; nobody watches it.
 */
class LeaseDocumentStore implements Store<JsonDocument, StoredDocument> {
  constructor(
    private readonly target: LeaseTarget,
    private readonly transport: KubernetesTransport,
  ) {}

  async read(options: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    const context = await this.target.contextFor('get');
    if (context instanceof LockRequestError) return { kind: 'failed', error: context };
    const request = { method: 'GET', path: objectPath(context.address) } as const;
    const outcome = readOutcome(context, await this.transport.send(request, options));
    if (outcome.kind !== 'found') return outcome;
    const stored = decodeDocument(outcome.stored);
    if (stored !== undefined) return { kind: 'found', stored };
    const what = `the annotation ${DOCUMENT_ANNOTATION}`;
    return { kind: 'failed', error: unreadableDocument(this.describe(), what) };
  }

  create(
    document: JsonDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write('create', document, options, ({ address }, text) => ({
      method: 'POST',
      path: collectionPath(address),
      body: encodeNewDocument(text, address),
    }));
  }

  replace(
    document: JsonDocument,
    { version }: StoredDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write('update', document, options, ({ address }, text) => ({
      method: 'PUT',
      path: objectPath(address),
      body: encodeDocumentReplacement(text, version as ObservedLease, address),
    }));
  }

  describe(): string {
    return this.target.describe();
  }

  private async write(
    verb: 'create' | 'update',
    document: JsonDocument,
    options: LockRequestOptions,
    requestOf: (context: RequestContext, text: string) => ApiRequest,
  ): Promise<WriteOutcome<StoredDocument>> {
    const text = formatDocument(document, this.describe());
    if (text instanceof LockRequestError) return { kind: 'not-applied', error: text };
    const context = await this.target.contextFor(verb);
    if (context instanceof LockRequestError) return { kind: 'not-applied', error: context };
    const answer = await this.transport.send(requestOf(context, text), options);
    const outcome = writeOutcome(context, answer, options.signal);
    if (outcome.kind !== 'applied') return outcome;
    // What is stored counts: something may have changed it on the way.
    const stored = decodeDocument(outcome.stored);
    if (stored !== undefined) return { kind: 'applied', stored };
    const what = `the annotation ${DOCUMENT_ANNOTATION}`;
    return { kind: 'unknown', error: unreadableDocument(this.describe(), what) };
  }
}

/**
 * The lock that Kubernetes' own components use: a Lease of `coordination.k8s.io/v1`. Needs the verbs get, create and
 * update on it; with watch a hand-over takes milliseconds instead of a retry period.
 */
export function leaseLock(options: LeaseLockOptions = {}): ResourceLockFactory {
  return leaseLockIn(new PodEnvironment(), options);
}

/** `leaseLock()` in a pod of one's choice. */
export function leaseLockIn(pod: PodEnvironment, options: LeaseLockOptions): ResourceLockFactory {
  checkLeaseLockOptions(options);
  return async (requester) =>
    new LeaseLock(await LeaseTarget.find(chooseCluster(options, pod), requester, pod));
}

/** GET, POST and PUT of one Lease. No PATCH, no DELETE, no write without a version (R6). */
class LeaseLock implements ResourceLock {
  private readonly transport: KubernetesTransport;

  constructor(private readonly target: LeaseTarget) {
    this.transport = new KubernetesTransport(target.connection);
  }

  /** Without a resourceVersion parameter the answer comes from etcd and not from a cache (A6). */
  async read(options: LockRequestOptions): Promise<ReadOutcome> {
    const context = await this.target.contextFor('get');
    if (context instanceof LockRequestError) return { kind: 'failed', error: context };
    const request = { method: 'GET', path: objectPath(context.address) } as const;
    return readOutcome(context, await this.transport.send(request, options));
  }

  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.write('create', options, ({ address }) =>
      this.transport.send(
        {
          method: 'POST',
          path: collectionPath(address),
          body: encodeNewLease(record, address),
        },
        options,
      ),
    );
  }

  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    return this.write('update', options, ({ address }) =>
      this.transport.send(
        {
          method: 'PUT',
          path: objectPath(address),
          body: encodeReplacement(record, expected, address),
        },
        options,
      ),
    );
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    return new KubernetesLeaseWatch(observer, {
      connection: this.target.connection,
      resolveAddress: () => this.target.address(),
      silenceLimitMs: options.silenceLimitMs,
    });
  }

  sibling(suffix: string): Store<JsonDocument, StoredDocument> {
    return new LeaseDocumentStore(this.target.sibling(suffix), this.transport);
  }

  describe(): string {
    return this.target.describe();
  }

  close(): Promise<void> {
    this.transport.close();
    return Promise.resolve();
  }

  private async write(
    verb: 'create' | 'update',
    { signal }: LockRequestOptions,
    send: (context: RequestContext) => Promise<ApiAnswer>,
  ): Promise<WriteOutcome> {
    const context = await this.target.contextFor(verb);
    if (context instanceof LockRequestError) return { kind: 'not-applied', error: context };
    return writeOutcome(context, await send(context), signal);
  }
}
