import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import type { ObjectAddress } from '../../kubernetes/object-request.js';
import {
  formatContainer,
  formatCrowd,
  formatHolderName,
  formatMicroTime,
  formatSuccessor,
  parseContainer,
  parseCrowd,
  parseHolderName,
  parseMicroTime,
  parseSuccessor,
} from '../record-text.js';

/** Marks a record that its last holder released on purpose; the value is the transitions of that term (R13). */
export const RELEASED_ANNOTATION = 'nestjs-leader-election/released';

const MAX_INT32 = 2_147_483_647;

/** Which application the holder belongs to, and in which term it held the lease. */
export const APPLICATION_ANNOTATION = 'nestjs-leader-election/application';

/** Which member the holder is, by the uid of its pod, and in which term (R23). */
export const MEMBER_ANNOTATION = 'nestjs-leader-election/member';

/** How many compete, and how many milliseconds a step takes: `3.5:12` (R22). */
export const CROWD_ANNOTATION = 'nestjs-leader-election/crowd';

/** Whom a release names to follow: the transitions of the released term and the uid of a pod (R23). */
export const SUCCESSOR_ANNOTATION = 'nestjs-leader-election/successor';

/**
 * In which container the holder runs: its identity, its transitions, its acquire time, the uid of the pod, and the name and
 * id of the container, with slashes in between (R24).
 */
export const CONTAINER_ANNOTATION = 'nestjs-leader-election/container';

export type DecodedLease =
  | { readonly kind: 'lease'; readonly lease: ObservedLease }
  /** `problem` is the second half of a sentence that begins with "the answer". */
  | { readonly kind: 'unusable'; readonly problem: string };

/**
 * Reads one Lease as the API returned it. Fields of the spec may be absent, null or nonsense (R17); only what makes the
 * answer usable is required: kind, name, uid and a resourceVersion that orders.
 */
export function decodeLease(json: unknown, address: ObjectAddress): DecodedLease {
  if (!isJsonObject(json)) return notALease('is not a JSON object');
  if (json['kind'] !== address.kind) {
    return notALease(`is of kind ${shown(json['kind'])}, not ${address.kind}`);
  }
  const metadata = isJsonObject(json['metadata']) ? json['metadata'] : {};
  const { name, uid, resourceVersion } = metadata;
  if (name !== address.name) return notALease(`names ${shown(name)}, not "${address.name}"`);
  if (typeof uid !== 'string' || uid === '') return notALease('has no metadata.uid');
  if (typeof resourceVersion !== 'string' || !/^\d{1,30}$/.test(resourceVersion)) {
    return notALease(
      `has metadata.resourceVersion ${shown(resourceVersion)}, which is not a whole number`,
    );
  }
  const spec = isJsonObject(json['spec']) ? json['spec'] : {};
  return {
    kind: 'lease',
    lease: {
      record: decodeRecord(spec, metadata),
      uid,
      revision: BigInt(resourceVersion),
      timingKey: timingKeyOf(uid, spec),
      source: json,
    },
  };
}

/** A Lease to POST. */
export function encodeNewLease(record: LeaseRecord, address: ObjectAddress): JsonDocument {
  const { apiVersion, kind, namespace, name } = address;
  const annotations = encodeAnnotations(record, undefined);
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, ...(annotations && { annotations }) },
    spec: encodeSpec(record, {}),
  };
}

/** A Lease to PUT over the expected representation: the object as it was read, with our fields set. */
export function encodeReplacement(
  record: LeaseRecord,
  expected: ObservedLease,
  address: ObjectAddress,
): JsonDocument {
  const source = isJsonObject(expected.source) ? expected.source : {};
  const spec = isJsonObject(source['spec']) ? source['spec'] : {};
  const annotations = encodeAnnotations(record, metadataOf(expected)['annotations']);
  return {
    ...conditionalReplacement(expected, address, annotations),
    spec: encodeSpec(record, spec),
  };
}

/**
 * The object as it was read with other annotations, to PUT over the expected representation. It names the version (A1)
 * and the uid: with a uid the server answers 409 where it would otherwise re-create a deleted Lease (A3).
 */
export function conditionalReplacement(
  expected: ObservedLease,
  address: ObjectAddress,
  annotations: JsonDocument | undefined,
): JsonDocument {
  const { annotations: _former, ...metadata } = metadataOf(expected);
  return {
    ...(isJsonObject(expected.source) ? expected.source : {}),
    apiVersion: address.apiVersion,
    kind: address.kind,
    metadata: {
      ...metadata,
      name: address.name,
      namespace: address.namespace,
      uid: expected.uid,
      resourceVersion: String(expected.revision),
      ...(annotations && { annotations }),
    },
  };
}

export function metadataOf({ source }: ObservedLease): JsonDocument {
  return isJsonObject(source) && isJsonObject(source['metadata']) ? source['metadata'] : {};
}

function decodeRecord(spec: JsonDocument, metadata: JsonDocument): LeaseRecord {
  const annotations = isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
  const released = annotations[RELEASED_ANNOTATION];
  const leaseTransitions = int32(spec['leaseTransitions'], 0) ?? 0;
  const holderIdentity = decodeHolder(spec['holderIdentity']);
  const acquireTimeMicros = parseMicroTime(spec['acquireTime']);
  return {
    holderIdentity,
    leaseDurationSeconds: int32(spec['leaseDurationSeconds'], 1),
    acquireTimeMicros,
    renewTimeMicros: parseMicroTime(spec['renewTime']),
    leaseTransitions,
    releasedTransitions:
      typeof released === 'string' && /^\d+$/.test(released) ? int32(Number(released), 0) : null,
    application: parseHolderName(annotations[APPLICATION_ANNOTATION], leaseTransitions),
    memberUid: parseHolderName(annotations[MEMBER_ANNOTATION], leaseTransitions),
    crowd: parseCrowd(annotations[CROWD_ANNOTATION]),
    successor: parseSuccessor(annotations[SUCCESSOR_ANNOTATION]),
    container: parseContainer(annotations[CONTAINER_ANNOTATION], {
      holderIdentity,
      leaseTransitions,
      acquireTimeMicros,
    }),
  };
}

/** A holder of an impossible type is still a holder: if it counted as empty, the lease would be free at once. */
function decodeHolder(holder: unknown): string {
  if (holder === undefined || holder === null) return '';
  return typeof holder === 'string' ? holder : JSON.stringify(holder);
}

function int32(value: unknown, least: number): number | null {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= MAX_INT32
    ? (value as number)
    : null;
}

/** From the text on the wire, so that a renewal with an unreadable time still counts as one. */
function timingKeyOf(uid: string, spec: JsonDocument): string {
  return JSON.stringify([
    uid,
    spec['holderIdentity'] ?? null,
    spec['renewTime'] ?? null,
    spec['acquireTime'] ?? null,
    spec['leaseDurationSeconds'] ?? null,
    spec['leaseTransitions'] ?? null,
  ]);
}

function encodeSpec(record: LeaseRecord, oldSpec: JsonDocument): JsonDocument {
  const spec: Record<string, unknown> = {
    ...oldSpec,
    holderIdentity: record.holderIdentity,
    leaseTransitions: record.leaseTransitions,
  };
  setOrOmit(spec, 'leaseDurationSeconds', record.leaseDurationSeconds);
  setOrOmit(spec, 'acquireTime', microTime(record.acquireTimeMicros));
  setOrOmit(spec, 'renewTime', microTime(record.renewTimeMicros));
  return spec;
}

function microTime(micros: number | null): string | null {
  return micros === null ? null : formatMicroTime(micros);
}

function setOrOmit(target: Record<string, unknown>, field: string, value: unknown): void {
  if (value === null) delete target[field];
  else target[field] = value;
}

function encodeAnnotations(record: LeaseRecord, old: unknown): JsonDocument | undefined {
  const annotations: Record<string, unknown> = isJsonObject(old) ? { ...old } : {};
  const { releasedTransitions } = record;
  const marker = releasedTransitions === null ? null : String(releasedTransitions);
  setOrOmit(annotations, RELEASED_ANNOTATION, marker);
  setOrOmit(annotations, APPLICATION_ANNOTATION, formatHolderName(record, 'application'));
  setOrOmit(annotations, MEMBER_ANNOTATION, formatHolderName(record, 'memberUid'));
  setOrOmit(annotations, CROWD_ANNOTATION, formatCrowd(record));
  setOrOmit(annotations, SUCCESSOR_ANNOTATION, formatSuccessor(record));
  setOrOmit(annotations, CONTAINER_ANNOTATION, formatContainer(record));
  return Object.keys(annotations).length === 0 ? undefined : annotations;
}

function notALease(problem: string): DecodedLease {
  return { kind: 'unusable', problem };
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 100);
}
