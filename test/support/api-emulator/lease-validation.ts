import { badRequest, invalid, type Answer } from './status-body.js';

const SPEC_FIELDS = [
  'holderIdentity',
  'leaseDurationSeconds',
  'acquireTime',
  'renewTime',
  'leaseTransitions',
  'strategy',
  'preferredHolder',
];

const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;

export interface LeaseObject {
  apiVersion: string;
  kind: string;
  metadata: Record<string, unknown> & {
    name: string;
    namespace: string;
    uid: string;
    resourceVersion: string;
  };
  spec: Record<string, unknown>;
}

/** What decoding refuses (400) and validation refuses (422); undefined if the server would take it. */
export function faultOf(body: Record<string, unknown>, name: string): Answer | undefined {
  const spec = specOf(body);
  for (const field of ['acquireTime', 'renewTime']) {
    const time = spec[field];
    if (time === undefined || time === null) continue;
    if (typeof time !== 'string' || !MICRO_TIME.test(time)) {
      return badRequest(
        `Lease in version "v1" cannot be handled as a Lease: parsing time ${JSON.stringify(time)} as ` +
          `"2006-01-02T15:04:05.000000Z07:00": cannot parse`,
      );
    }
  }
  const { leaseDurationSeconds: duration, leaseTransitions: transitions } = spec;
  if (typeof duration === 'number' && duration <= 0) {
    return invalid(
      name,
      `spec.leaseDurationSeconds: Invalid value: ${duration}: must be greater than 0`,
    );
  }
  if (typeof transitions === 'number' && transitions < 0) {
    return invalid(
      name,
      `spec.leaseTransitions: Invalid value: ${transitions}: must be greater than or equal to 0`,
    );
  }
  return undefined;
}

/** The spec as the server stores it: unknown fields dropped, nulls absent. */
export function storedSpec(body: Record<string, unknown>): Record<string, unknown> {
  const spec = specOf(body);
  return Object.fromEntries(
    SPEC_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== null).map(
      (field) => [field, spec[field]],
    ),
  );
}

/** The metadata a client may set, without those fields the server owns. */
export function storedMetadata(body: Record<string, unknown>): Record<string, unknown> {
  const metadata = (body['metadata'] ?? {}) as Record<string, unknown>;
  const kept = ['labels', 'annotations', 'ownerReferences', 'finalizers'];
  return Object.fromEntries(
    kept
      .filter((field) => metadata[field] && Object.keys(metadata[field] as object).length > 0)
      .map((field) => [field, metadata[field]]),
  );
}

function specOf(body: Record<string, unknown>): Record<string, unknown> {
  return (body['spec'] ?? {}) as Record<string, unknown>;
}
