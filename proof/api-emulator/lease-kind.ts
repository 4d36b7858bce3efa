import type { Body, ObjectKind } from './object-kind.js';
import { type Answer, badRequest, invalid } from './status-body.js';

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

export const LEASE: ObjectKind = {
  kind: 'Lease',
  resource: 'leases',
  group: 'coordination.k8s.io',
  isReplacedUnconditionally: false,
  isCreatedByPut: true,
  hasStatus: false,
  hasGeneration: false,
  emptyContent: { spec: {} },
  faultOf,
  contentOf: (body) => ({ spec: storedSpec(specOf(body)) }),
  selectable: {
    'metadata.name': ({ metadata }) => metadata.name,
    'metadata.namespace': ({ metadata }) => metadata.namespace,
  },
  unknownSelector: (field) =>
    `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
};

function faultOf(body: Body, name: string): Answer | undefined {
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

/** Unknown fields dropped, nulls absent. */
function storedSpec(spec: Body): Body {
  const kept = SPEC_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== null);
  return Object.fromEntries(kept.map((field) => [field, spec[field]]));
}

function specOf(body: Body): Body {
  return (body['spec'] ?? {}) as Body;
}
