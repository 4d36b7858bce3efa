import { type JsonDocument, parseDocument, partOf } from '../../core/json-document.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import { podOf } from '../../core/member.js';
import type { ObjectAddress } from '../../kubernetes/object-request.js';
import {
  annotationsOf,
  conditionalReplacement,
  decodeObject,
  encodeFields,
  encodeMarks,
  type LeaseDecoder,
  metadataOf,
} from './lease-object.js';

/** Where client-go's lock kept its record before it was kept in a Lease. */
const CLIENT_GO_ANNOTATION = 'control-plane.alpha.kubernetes.io/leader';
/** One record for each lease, as a single name has room for one alone. */
const ANNOTATION_PREFIX = 'leader.nestjs-leader-election/';
/** Where the readers of Spring Cloud Kubernetes look for the name of the leader's pod. */
const SPRING_PREFIX = 'leader.id.';

/** The holder, where a record is not a JSON object: it may have been that of one. */
const UNREADABLE = 'unreadable record';

interface ConfigMapEntry {
  readonly leaseName: string;
  /** Undefined: no key of Spring's. */
  readonly role: string | undefined;
  readonly isClientGo: boolean;
  /** Undefined: what stands before the underscore of the holder identity. */
  readonly podName: string | undefined;
}

/** The record of one lease in a ConfigMap, whose other entries are kept as they are. */
export class ConfigMapRecordCodec {
  private readonly annotation: string;
  private readonly springKey: string | undefined;
  private readonly podName: string | undefined;

  constructor({ leaseName, role, isClientGo, podName }: ConfigMapEntry) {
    this.annotation = isClientGo ? CLIENT_GO_ANNOTATION : ANNOTATION_PREFIX + leaseName;
    this.springKey = role === undefined ? undefined : SPRING_PREFIX + role;
    this.podName = podName;
  }

  /** Of a ConfigMap that holds one record and is no role's: where client-go has it, as no name is too long there. */
  static alone(): ConfigMapRecordCodec {
    const entry = { leaseName: '', role: undefined, isClientGo: true, podName: undefined };
    return new ConfigMapRecordCodec(entry);
  }

  readonly decode: LeaseDecoder = (json, address) =>
    decodeObject(json, address, 'leaderTransitions', (_, metadata) => {
      const marks = this.recordIn(metadata);
      return { fields: { ...fabric8Duration(marks), ...marks }, marks };
    });

  /** A ConfigMap to POST. */
  created(record: LeaseRecord, address: ObjectAddress): JsonDocument {
    const { apiVersion, kind, namespace, name } = address;
    const metadata = { name, namespace, annotations: this.encoded(record, {}) };
    return { apiVersion, kind, metadata, ...this.data(record, {}, '') };
  }

  /** A ConfigMap to PUT over the expected representation. */
  replaced(record: LeaseRecord, expected: ObservedLease, address: ObjectAddress): JsonDocument {
    const metadata = metadataOf(expected);
    const { data: _data, ...object } = conditionalReplacement(expected, address, {
      ...annotationsOf(metadata),
      ...this.encoded(record, this.recordIn(metadata)),
    });
    return {
      ...object,
      ...this.data(record, partOf(expected.source, 'data'), expected.record.holderIdentity),
    };
  }

  /** Any other text counts as an unknown holder: if it counted as empty, the lease would be free at once. */
  private recordIn(metadata: JsonDocument): JsonDocument {
    const text = annotationsOf(metadata)[this.annotation];
    if (text === undefined) return {};
    const record = typeof text === 'string' ? parseDocument(text) : undefined;
    return record ?? { holderIdentity: `${UNREADABLE}: ${JSON.stringify(text)}` };
  }

  private encoded(record: LeaseRecord, old: JsonDocument): JsonDocument {
    const fields = encodeMarks(record, encodeFields(record, old, 'leaderTransitions'));
    return { [this.annotation]: JSON.stringify(fields) };
  }

  /** A release takes away the name of the pod that held the lease, and no other that Spring may have written since. */
  private data({ holderIdentity }: LeaseRecord, old: JsonDocument, former: string): JsonDocument {
    const { springKey } = this;
    if (springKey === undefined) return dataOf(old);
    const { [springKey]: named, ...others } = old;
    if (holderIdentity !== '')
      return dataOf({ ...others, [springKey]: this.podNamed(holderIdentity) });
    const isKept = named !== undefined && named !== this.podNamed(former);
    return dataOf({ ...others, ...(isKept && { [springKey]: named }) });
  }

  private podNamed(holderIdentity: string): string {
    return this.podName ?? podOf(holderIdentity);
  }
}

function dataOf(data: JsonDocument): JsonDocument {
  return Object.keys(data).length === 0 ? {} : { data };
}

/**
 * fabric8, and Spring Cloud Kubernetes with it, keep the duration under another name and with a fraction. It is the holder's
 * promise, and not to be shorter here than there.
 */
function fabric8Duration({ leaseDuration }: JsonDocument): JsonDocument {
  return typeof leaseDuration === 'number'
    ? { leaseDurationSeconds: Math.ceil(leaseDuration) }
    : {};
}
