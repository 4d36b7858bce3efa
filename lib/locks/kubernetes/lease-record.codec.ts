import { type JsonDocument, partOf } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type { ObjectAddress } from '../../kubernetes/object-request.js';
import {
  annotationsOf,
  conditionalReplacement,
  type DecodedLease,
  decodeObject,
  encodeFields,
  encodeMarks,
  metadataOf,
} from './lease-object.js';

/** Reads one Lease as the API returned it. */
export function decodeLease(json: unknown, address: ObjectAddress): DecodedLease {
  return decodeObject(json, address, 'leaseTransitions', (lease, metadata) => ({
    fields: partOf(lease, 'spec'),
    marks: annotationsOf(metadata),
  }));
}

/** A Lease to POST. */
export function encodeNewLease(record: LeaseRecord, address: ObjectAddress): JsonDocument {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = encodeMarks(record, {});
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, ...unlessEmpty(annotations) },
    spec: encodeFields(record, {}, 'leaseTransitions'),
  };
}

/** A Lease to PUT over the expected representation: the object as it was read, with our fields set. */
export function encodeReplacement(
  record: LeaseRecord,
  expected: ObservedLease,
  address: ObjectAddress,
): JsonDocument {
  const { annotations } = unlessEmpty(encodeMarks(record, annotationsOf(metadataOf(expected))));
  return {
    ...conditionalReplacement(expected, address, annotations),
    spec: encodeFields(record, partOf(expected.source, 'spec'), 'leaseTransitions'),
  };
}

function unlessEmpty(annotations: JsonDocument): { annotations?: JsonDocument } {
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}
