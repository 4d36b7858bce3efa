import { LockRequestError } from '../../core/errors.js';
import { formatDocument, type JsonDocument, unreadableDocument } from '../../core/json-document.js';
import type {
  DocumentReadOutcome,
  DocumentStore,
  DocumentWriteOutcome,
  LockRequestOptions,
  StoredDocument,
} from '../../core/resource-lock.js';
import type { ObservedLease } from '../../core/lease-record.js';
import { readOutcome, writeOutcome } from './api-outcome.js';
import type { Asked } from './kubernetes-error.js';
import type { ApiRequest, KubernetesTransport } from './kubernetes-transport.js';
import {
  decodeDocument,
  DOCUMENT_ANNOTATION,
  encodeDocumentReplacement,
  encodeNewDocument,
} from './lease-document.codec.js';
import type { LeaseTarget } from './lease-target.js';
import { collectionPath, objectPath } from './object-address.js';

/**
 * A document in an annotation of a Lease that nobody holds, over the transport of the lock it belongs to. Needs the
 * verbs get, create and update on it; nobody watches it.
 */
export class LeaseDocumentStore implements DocumentStore {
  constructor(
    private readonly target: LeaseTarget,
    private readonly transport: KubernetesTransport,
  ) {}

  async read(options: LockRequestOptions): Promise<DocumentReadOutcome> {
    const asked = await this.target.ask('get');
    if (asked instanceof LockRequestError) return { kind: 'failed', error: asked };
    const request = { method: 'GET', path: objectPath(asked.address) } as const;
    const outcome = readOutcome(asked, await this.transport.send(request, options));
    if (outcome.kind !== 'found') return outcome;
    const stored = decodeDocument(outcome.lease);
    if (stored !== undefined) return { kind: 'found', stored };
    const what = `the annotation ${DOCUMENT_ANNOTATION}`;
    return { kind: 'failed', error: unreadableDocument(this.describe(), what) };
  }

  create(document: JsonDocument, options: LockRequestOptions): Promise<DocumentWriteOutcome> {
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
  ): Promise<DocumentWriteOutcome> {
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
    requestOf: (asked: Asked, text: string) => ApiRequest,
  ): Promise<DocumentWriteOutcome> {
    const text = formatDocument(document, this.describe());
    if (text instanceof LockRequestError) return { kind: 'not-applied', error: text };
    const asked = await this.target.ask(verb);
    if (asked instanceof LockRequestError) return { kind: 'not-applied', error: asked };
    const answer = await this.transport.send(requestOf(asked, text), options);
    const outcome = writeOutcome(asked, answer, options.signal);
    if (outcome.kind !== 'applied') return outcome;
    // What is stored counts: something may have changed it on the way.
    const stored = decodeDocument(outcome.lease);
    if (stored !== undefined) return { kind: 'applied', stored };
    const what = `the annotation ${DOCUMENT_ANNOTATION}`;
    return { kind: 'unknown', error: unreadableDocument(this.describe(), what) };
  }
}
