/** Which object of the API a lock lives in. */
export interface ObjectAddress {
  readonly apiVersion: string;
  readonly apiGroup: string;
  /** Plural, as paths and RBAC rules spell it. */
  readonly resource: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export function leaseAddress(namespace: string, name: string): ObjectAddress {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    apiGroup: 'coordination.k8s.io',
    resource: 'leases',
    kind: 'Lease',
    namespace,
    name,
  };
}

/** Path of the collection; creates and watches go here. */
export function collectionPath(address: ObjectAddress): string {
  const root = address.apiGroup === '' ? '/api' : '/apis';
  const namespace = encodeURIComponent(address.namespace);
  return `${root}/${address.apiVersion}/namespaces/${namespace}/${address.resource}`;
}

export function objectPath(address: ObjectAddress): string {
  return `${collectionPath(address)}/${encodeURIComponent(address.name)}`;
}

/** `Lease default/plan-scheduler` */
export function describeAddress(address: ObjectAddress): string {
  return `${address.kind} ${address.namespace}/${address.name}`;
}
