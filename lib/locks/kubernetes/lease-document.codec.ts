import type { ObservedLease } from '../../core/lease-record.js';
import { isJsonObject, type JsonObject, parseDocument } from '../../core/json-document.js';
import type { StoredDocument } from '../../core/resource-lock.js';
import { conditionalReplacement, metadataOf } from './lease-record.codec.js';
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
