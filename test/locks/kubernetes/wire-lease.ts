import type { ObservedLease } from '../../../lib/core/lease-record.js';
import { leaseAddress } from '../../../lib/kubernetes/object-request.js';
import { decodeLease } from '../../../lib/locks/kubernetes/lease-record.codec.js';

export const ADDRESS = leaseAddress('default', 'plan');

/** The Lease at {@link ADDRESS}, as an API server answers it. */
export function wire(
  spec: unknown,
  metadata: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: 'plan',
      namespace: 'default',
      uid: 'u-1',
      resourceVersion: '42',
      ...metadata,
    },
    ...(spec !== undefined && { spec }),
  };
}

export function decoded(json: unknown): ObservedLease {
  const result = decodeLease(json, ADDRESS);
  if (result.kind === 'unusable') throw new Error(result.problem);
  return result.lease;
}
