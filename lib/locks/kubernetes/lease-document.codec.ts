import type { ObservedLease } from '../../core/lease-record.js';
import type { StoredDocument } from '../document-store.js';
import { parseDocument } from '../document-text.js';
import { isObject, type JsonObject } from './lease-record.codec.js';
import type { ObjectAddress } from './object-address.js';

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
export function encodeNewDocument(text: string, address: ObjectAddress): JsonObject {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = { [DOCUMENT_ANNOTATION]: text };
  return { apiVersion, kind, metadata: { name, namespace, annotations }, spec: {} };
}

/** The whole object as it was read, with the document exchanged; names version (A1) and uid (A3). */
export function encodeDocumentReplacement(
  text: string,
  expected: ObservedLease,
  address: ObjectAddress,
): JsonObject {
  const metadata = metadataOf(expected);
  return {
    ...(isObject(expected.source) ? expected.source : {}),
    apiVersion: address.apiVersion,
    kind: address.kind,
    metadata: {
      ...metadata,
      name: address.name,
      namespace: address.namespace,
      uid: expected.uid,
      resourceVersion: String(expected.revision),
      annotations: { ...annotationsOf(metadata), [DOCUMENT_ANNOTATION]: text },
    },
  };
}

function metadataOf({ source }: ObservedLease): JsonObject {
  return isObject(source) && isObject(source['metadata']) ? source['metadata'] : {};
}

function annotationsOf(metadata: JsonObject): JsonObject {
  return isObject(metadata['annotations']) ? metadata['annotations'] : {};
}
