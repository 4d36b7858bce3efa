import { LockRequestError } from '../../core/errors.js';
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
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import { type ApiRequest, KubernetesTransport } from '../../kubernetes/kubernetes-transport.js';
import { collectionPath, type ObjectAddress, objectPath } from '../../kubernetes/object-request.js';
import { DocumentStore } from '../document-store.js';
import {
  conditionalReplacement,
  encodeNewLease,
  encodeReplacement,
  metadataOf,
} from './lease-record.codec.js';
import { type ClusterChoice, LeaseTarget, readOutcome, writeOutcome } from './lease-target.js';
import { KubernetesLeaseWatch } from './lease-watch.js';

/** The annotation that holds the document, as JSON text. */
export const DOCUMENT_ANNOTATION = 'nestjs-leader-election/schedule';

/** A Lease without the annotation holds an empty document. Undefined if the annotation is not that of a JSON object. */
export function documentIn(lease: ObservedLease): JsonDocument | undefined {
  const text = annotationsOf(metadataOf(lease))[DOCUMENT_ANNOTATION];
  return text === undefined ? {} : parseDocument(text);
}

/** A Lease without a holder, to POST. */
function encodeNewDocument(text: string, address: ObjectAddress): JsonDocument {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = { [DOCUMENT_ANNOTATION]: text };
  return { apiVersion, kind, metadata: { name, namespace, annotations }, spec: {} };
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

function annotationsOf(metadata: JsonDocument): JsonDocument {
  return isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
}

/** How something is written into a Lease: the body of a POST, and that of a PUT over the expected representation. */
interface LeaseEncoding<Content> {
  created(content: Content, address: ObjectAddress): JsonDocument;
  replaced(content: Content, expected: ObservedLease, address: ObjectAddress): JsonDocument;
}

/** GET, POST and PUT of one Lease. No PATCH, no DELETE, no write without a version (R6). */
class LeaseStore<Content> implements Store<Content, ObservedLease> {
  constructor(
    protected readonly target: LeaseTarget,
    protected readonly transport: KubernetesTransport,
    private readonly encoding: LeaseEncoding<Content>,
  ) {}

  /** Without a resourceVersion parameter the answer comes from etcd and not from a cache (A6). */
  async read(options: LockRequestOptions): Promise<ReadOutcome> {
    const context = await this.target.contextFor('get');
    if (context instanceof LockRequestError) return { kind: 'failed', error: context };
    const request = { method: 'GET', path: objectPath(context.address) } as const;
    return readOutcome(context, await this.transport.send(request, options));
  }

  create(content: Content, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.write('create', options, (address) => ({
      method: 'POST',
      path: collectionPath(address),
      body: this.encoding.created(content, address),
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
      body: this.encoding.replaced(content, expected, address),
    }));
  }

  describe(): string {
    return this.target.describe();
  }

  private async write(
    verb: 'create' | 'update',
    options: LockRequestOptions,
    requestTo: (address: ObjectAddress) => ApiRequest,
  ): Promise<WriteOutcome> {
    const context = await this.target.contextFor(verb);
    if (context instanceof LockRequestError) return { kind: 'not-applied', error: context };
    const answer = await this.transport.send(requestTo(context.address), options);
    return writeOutcome(context, answer, options.signal);
  }
}

const DOCUMENT_PLACE = { name: `the annotation ${DOCUMENT_ANNOTATION}`, documentIn };

/** The lock of one Lease. The namespace may be that of a kubeconfig, and so has to be looked up first. */
export async function openLeaseLock(
  choice: ClusterChoice,
  requester: LockRequester,
  pod: PodEnvironment,
): Promise<ResourceLock> {
  return new LeaseLock(await LeaseTarget.find(choice, requester, pod));
}

class LeaseLock extends LeaseStore<LeaseRecord> implements ResourceLock {
  constructor(target: LeaseTarget) {
    const encoding = { created: encodeNewLease, replaced: encodeReplacement };
    super(target, new KubernetesTransport(target.connection), encoding);
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    return new KubernetesLeaseWatch(observer, {
      connection: this.target.connection,
      resolveAddress: () => this.target.address(),
      silenceLimitMs: options.silenceLimitMs,
    });
  }

  /**
   * A document in an annotation of a Lease without a holder, over the transport of this lock. Needs the verbs get, create
   * and update on it; no process watches it.
   */
  sibling(suffix: string): DocumentStore<ObservedLease> {
    const encoding = { created: encodeNewDocument, replaced: encodeDocumentReplacement };
    const texts = new LeaseStore(this.target.sibling(suffix), this.transport, encoding);
    return new DocumentStore(texts, DOCUMENT_PLACE);
  }

  close(): Promise<void> {
    this.transport.close();
    return Promise.resolve();
  }
}
