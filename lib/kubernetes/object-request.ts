import type { IncomingHttpHeaders } from 'node:http';

/** An object of the API, or with an empty name all of its kind in the namespace. */
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

export function configMapAddress(namespace: string, name: string): ObjectAddress {
  return {
    apiVersion: 'v1',
    apiGroup: '',
    resource: 'configmaps',
    kind: 'ConfigMap',
    namespace,
    name,
  };
}

/** A pod; with an empty name all of the namespace. */
export function podAddress(namespace: string, name = ''): ObjectAddress {
  return { apiVersion: 'v1', apiGroup: '', resource: 'pods', kind: 'Pod', namespace, name };
}

/** An Event; with an empty name all of the namespace. */
export function eventAddress(namespace: string, name = ''): ObjectAddress {
  return { apiVersion: 'v1', apiGroup: '', resource: 'events', kind: 'Event', namespace, name };
}

/** Path of the collection; creates, lists and watches go here. */
export function collectionPath(address: ObjectAddress): string {
  const root = address.apiGroup === '' ? '/api' : '/apis';
  const namespace = encodeURIComponent(address.namespace);
  return `${root}/${address.apiVersion}/namespaces/${namespace}/${address.resource}`;
}

export function objectPath(address: ObjectAddress): string {
  return `${collectionPath(address)}/${encodeURIComponent(address.name)}`;
}

/** `Lease default/plan-scheduler`, `pods of namespace default` */
export function describeAddress({ kind, resource, namespace, name }: ObjectAddress): string {
  return name === '' ? `${resource} of namespace ${namespace}` : `${kind} ${namespace}/${name}`;
}

/** `leases.coordination.k8s.io`, `pods` */
export function describeResource({ resource, apiGroup }: ObjectAddress): string {
  return apiGroup === '' ? resource : `${resource}.${apiGroup}`;
}

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'watch';

/** What it takes to know which pods there are: a Role that lacks one of them mostly lacks all. */
const VERBS_TO_KNOW_PODS: readonly Verb[] = ['get', 'list', 'watch'];

/**
 * The rule to add to a Role so that one verb on one object is allowed, as YAML. An API server that has just started
 * refuses what its Roles grant, until it has loaded them.
 */
export function describeMissingRule(verb: Verb, address: ObjectAddress, subject: string): string {
  const isToKnowPods = address.resource === 'pods' && VERBS_TO_KNOW_PODS.includes(verb);
  const verbs = isToKnowPods ? VERBS_TO_KNOW_PODS : [verb];
  // The names of a Deployment's pods are not known when its Role is written.
  const isNamed = verb !== 'create' && address.resource !== 'pods';
  const rule = [
    `  - apiGroups: ["${address.apiGroup}"]`,
    `    resources: ["${address.resource}"]`,
    ...(isNamed ? [`    resourceNames: ["${address.name}"]`] : []),
    `    verbs: [${verbs.map((each) => `"${each}"`).join(', ')}]`,
  ].join('\n');
  const note =
    verb === 'create'
      ? ' ("create" cannot be limited by resourceNames: the name is not known when it is authorised)'
      : '';
  const whole =
    address.resource === 'leases'
      ? 'the README has the whole Role, under Permissions'
      : 'docs/kubernetes.md has the whole Role';
  return (
    `If the API server has just started, wait for it to load its Roles. Otherwise add this rule${note} to a Role in ` +
    `namespace ${address.namespace}, and bind that Role to the ${subject} (${whole}):\n` +
    `rules:\n${rule}`
  );
}

/** The request that an answer belongs to; messages about the answer are made from it. */
export interface RequestContext {
  readonly verb: Verb;
  readonly address: ObjectAddress;
  /** Called only if the server does not know who is asking. */
  readonly describeCredentials: () => string;
}

/** A whole answer, with whatever status. */
export interface ApiResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The outcome of a request. `cause` is an Error that says why. */
export type ApiAnswer =
  | ApiResponse
  /** Nothing left this process: no credentials, no connection. */
  | { readonly kind: 'not-sent'; readonly cause: unknown }
  /** Sent, but no complete answer came back. */
  | { readonly kind: 'unanswered'; readonly cause: unknown };

/** The request ran out of time, sent or not. */
export class RequestTimedOut extends Error {
  constructor(readonly timeoutMs: number) {
    super(`no answer within ${Math.round(timeoutMs)} ms`);
    this.name = 'RequestTimedOut';
  }
}
