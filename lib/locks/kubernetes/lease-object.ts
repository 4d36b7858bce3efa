import { isJsonObject, type JsonDocument, partOf } from '../../core/json-document.js';
import {
  type Coordination,
  type LeaseRecord,
  MAX_INT32,
  type ObservedLease,
} from '../../core/lease-record.js';
import type { ObjectAddress } from '../../kubernetes/object-request.js';
import {
  formatAddress,
  formatAnswer,
  formatContainer,
  formatCrowd,
  formatGaveUp,
  formatHolderName,
  formatMicroTime,
  formatRequest,
  formatSuccessor,
  parseAddress,
  parseAnswer,
  parseContainer,
  parseCrowd,
  parseGaveUp,
  parseHolderName,
  parseMicroTime,
  parseRequest,
  parseSuccessor,
} from '../record-text.js';

/** Marks a record that its last holder released on purpose; the value is the transitions of that term (R13). */
export const RELEASED_ANNOTATION = 'nestjs-leader-election/released';

/** Which application the holder belongs to, and in which term it held the lease. */
export const APPLICATION_ANNOTATION = 'nestjs-leader-election/application';

/** Which member the holder is, by the uid of its pod, and in which term (R23). */
export const MEMBER_ANNOTATION = 'nestjs-leader-election/member';

/** How many compete, and how many milliseconds a step takes: `3.5:12` (R22). */
export const CROWD_ANNOTATION = 'nestjs-leader-election/crowd';

/** Whom a release names to follow: the transitions of the released term and the uid of a pod (R23). */
export const SUCCESSOR_ANNOTATION = 'nestjs-leader-election/successor';

/**
 * Who has given up as unfit to lead, or as a handler failed: the transitions of that term, how often by then, and the uid of
 * a pod. Counts in that term and in the next (R25).
 */
export const GAVE_UP_ANNOTATION = 'nestjs-leader-election/gave-up';

/**
 * In which container the holder runs: its identity, its transitions, its acquire time, the uid of the pod, and the name and
 * id of the container, with slashes in between (R24).
 */
export const CONTAINER_ANNOTATION = 'nestjs-leader-election/container';

/**
 * Where the holder answers requests: its identity, its transitions, its acquire time, and scheme, host and port, with slashes in
 * between.
 */
const ADDRESS_ANNOTATION = 'nestjs-leader-election/address';

/** What a person asks the leader for, as JSON (R27). */
const REQUEST_ANNOTATION = 'nestjs-leader-election/request';

/** What the leader did about the last request, as JSON; stays until the end of the next term (R27). */
const ANSWER_ANNOTATION = 'nestjs-leader-election/answer';

export type DecodedLease =
  | { readonly kind: 'lease'; readonly lease: ObservedLease }
  /** `problem` is the second half of a sentence that begins with "the answer". */
  | { readonly kind: 'unusable'; readonly problem: string };

/** Finds the record in an object as the API returned it. */
export type LeaseDecoder = (json: unknown, address: ObjectAddress) => DecodedLease;

/** Where an object keeps a record. Fields may be absent, null or nonsense (R17). */
export interface RecordFields {
  /** Holder, duration and times, as every client spells them, and the transitions. */
  readonly fields: JsonDocument;
  /** What this library adds, by the names above. */
  readonly marks: JsonDocument;
}

/** How the transitions are called: in a Lease, and in the record that client-go keeps in an annotation. */
export type TransitionsField = 'leaseTransitions' | 'leaderTransitions';

/**
 * Reads one object as the API returned it. Only what makes the answer usable is required: kind, name, uid and a
 * resourceVersion that orders.
 */
export function decodeObject(
  json: unknown,
  address: ObjectAddress,
  transitions: TransitionsField,
  fieldsOf: (object: JsonDocument, metadata: JsonDocument) => RecordFields,
): DecodedLease {
  if (!isJsonObject(json)) return notALease('is not a JSON object');
  if (json['kind'] !== address.kind) {
    return notALease(`is of kind ${shown(json['kind'])}, not ${address.kind}`);
  }
  const metadata = partOf(json, 'metadata');
  const { name, uid, resourceVersion } = metadata;
  if (name !== address.name) return notALease(`names ${shown(name)}, not "${address.name}"`);
  if (typeof uid !== 'string' || uid === '') return notALease('has no metadata.uid');
  if (typeof resourceVersion !== 'string' || !/^\d{1,30}$/.test(resourceVersion)) {
    return notALease(
      `has metadata.resourceVersion ${shown(resourceVersion)}, which is not a whole number`,
    );
  }
  const kept = fieldsOf(json, metadata);
  return {
    kind: 'lease',
    lease: {
      record: decodeRecord(kept, transitions),
      uid,
      revision: BigInt(resourceVersion),
      timingKey: timingKeyOf(uid, kept.fields, transitions),
      source: json,
    },
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
  return partOf(source, 'metadata');
}

export function annotationsOf(metadata: JsonDocument): JsonDocument {
  return partOf(metadata, 'annotations');
}

function decodeRecord({ fields, marks }: RecordFields, transitions: TransitionsField): LeaseRecord {
  const released = marks[RELEASED_ANNOTATION];
  const leaseTransitions = int32(fields[transitions], 0) ?? 0;
  const holderIdentity = decodeHolder(fields['holderIdentity']);
  const acquireTimeMicros = parseMicroTime(fields['acquireTime']);
  return {
    holderIdentity,
    leaseDurationSeconds: int32(fields['leaseDurationSeconds'], 1),
    acquireTimeMicros,
    renewTimeMicros: parseMicroTime(fields['renewTime']),
    leaseTransitions,
    releasedTransitions:
      typeof released === 'string' && /^\d+$/.test(released) ? int32(Number(released), 0) : null,
    application: parseHolderName(marks[APPLICATION_ANNOTATION], leaseTransitions),
    memberUid: parseHolderName(marks[MEMBER_ANNOTATION], leaseTransitions),
    crowd: parseCrowd(marks[CROWD_ANNOTATION]),
    successor: parseSuccessor(marks[SUCCESSOR_ANNOTATION]),
    gaveUp: parseGaveUp(marks[GAVE_UP_ANNOTATION]),
    container: parseContainer(marks[CONTAINER_ANNOTATION]),
    address: parseAddress(marks[ADDRESS_ANNOTATION]),
    request: parseRequest(marks[REQUEST_ANNOTATION]),
    answer: parseAnswer(marks[ANSWER_ANNOTATION]),
    coordination: coordinationIn(fields),
  };
}

/** client-go spells an absent strategy as an empty one. */
function coordinationIn({ strategy, preferredHolder }: JsonDocument): Coordination | undefined {
  if (typeof strategy !== 'string' || strategy === '') return undefined;
  const isPreferred = typeof preferredHolder === 'string' && preferredHolder !== '';
  return isPreferred ? { strategy, preferredHolder } : { strategy };
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
function timingKeyOf(uid: string, fields: JsonDocument, transitions: TransitionsField): string {
  return JSON.stringify([
    uid,
    fields['holderIdentity'] ?? null,
    fields['renewTime'] ?? null,
    fields['acquireTime'] ?? null,
    fields['leaseDurationSeconds'] ?? null,
    fields[transitions] ?? null,
  ]);
}

/** The old fields with those of the record set. */
export function encodeFields(
  record: LeaseRecord,
  old: JsonDocument,
  transitions: TransitionsField,
): JsonDocument {
  const fields: Record<string, unknown> = {
    ...old,
    holderIdentity: record.holderIdentity,
    [transitions]: record.leaseTransitions,
  };
  setOrOmit(fields, 'leaseDurationSeconds', record.leaseDurationSeconds);
  setOrOmit(fields, 'acquireTime', microTime(record.acquireTimeMicros));
  setOrOmit(fields, 'renewTime', microTime(record.renewTimeMicros));
  return fields;
}

function microTime(micros: number | null): string | null {
  return micros === null ? null : formatMicroTime(micros);
}

function setOrOmit(target: Record<string, unknown>, field: string, value: unknown): void {
  if (value === null) delete target[field];
  else target[field] = value;
}

/** The old marks with those of the record set. */
export function encodeMarks(record: LeaseRecord, old: JsonDocument): JsonDocument {
  const marks: Record<string, unknown> = { ...old };
  const { releasedTransitions } = record;
  const released = releasedTransitions === null ? null : String(releasedTransitions);
  setOrOmit(marks, RELEASED_ANNOTATION, released);
  setOrOmit(marks, APPLICATION_ANNOTATION, formatHolderName(record, 'application'));
  setOrOmit(marks, MEMBER_ANNOTATION, formatHolderName(record, 'memberUid'));
  setOrOmit(marks, CROWD_ANNOTATION, formatCrowd(record));
  setOrOmit(marks, SUCCESSOR_ANNOTATION, formatSuccessor(record));
  setOrOmit(marks, GAVE_UP_ANNOTATION, formatGaveUp(record));
  setOrOmit(marks, CONTAINER_ANNOTATION, formatContainer(record));
  setOrOmit(marks, ADDRESS_ANNOTATION, formatAddress(record));
  setOrOmit(marks, REQUEST_ANNOTATION, formatRequest(record));
  setOrOmit(marks, ANSWER_ANNOTATION, formatAnswer(record));
  return marks;
}

function notALease(problem: string): DecodedLease {
  return { kind: 'unusable', problem };
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 100);
}
