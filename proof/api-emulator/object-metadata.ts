import { randomUUID } from 'node:crypto';
import { apiVersionOf } from './kind-names.js';
import type { Body, ObjectKind, StoredObject } from './object-kind.js';
import { type Answer, badRequest } from './status-body.js';

const CLIENTS_OWN = ['labels', 'annotations', 'ownerReferences', 'finalizers'];
const SERVERS_OWN = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

export function misnamed(body: Body, name: string): Answer | undefined {
  const { name: sent } = (body['metadata'] ?? {}) as { name?: string };
  if (sent === name) return undefined;
  return badRequest(
    sent === undefined || sent === ''
      ? `the name of the object (${name} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${sent}) does not match the name on the URL (${name})`,
  );
}

/** Two objects with equal content are one version to the server. */
export function isSameContent(one: StoredObject, other: StoredObject): boolean {
  return JSON.stringify(contentOf(one)) === JSON.stringify(contentOf(other));
}

function contentOf({ metadata, ...rest }: StoredObject): unknown {
  return sorted([CLIENTS_OWN.map((field) => metadata[field] ?? null), rest]);
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, inner]) => [field, sorted(inner)]);
}

export function newMetadata(kind: ObjectKind, namespace: string, body: Body, manager: string) {
  const { name } = (body['metadata'] ?? {}) as { name: string };
  return {
    name,
    namespace,
    uid: randomUUID(),
    resourceVersion: '',
    ...(kind.hasGeneration && { generation: 1 }),
    creationTimestamp: timestamp(0),
    ...sentMetadata(body),
    managedFields: managedBy(kind, manager),
  };
}

export function changedMetadata(
  kind: ObjectKind,
  { metadata }: StoredObject,
  body: Body,
  manager: string,
): StoredObject['metadata'] {
  const kept = SERVERS_OWN.filter((field) => metadata[field] !== undefined);
  return {
    ...(Object.fromEntries(kept.map((field) => [field, metadata[field]])) as typeof metadata),
    ...sentMetadata(body),
    managedFields: managedBy(kind, manager),
  };
}

export function markedDeleted(stored: StoredObject, graceSeconds: number): StoredObject {
  const { generation } = stored.metadata as { generation?: number };
  return {
    ...stored,
    metadata: {
      ...stored.metadata,
      ...(generation !== undefined && { generation: generation + 1 }),
      deletionTimestamp: timestamp(graceSeconds),
      deletionGracePeriodSeconds: graceSeconds,
    },
  };
}

/** The metadata a client may set, without those fields the server owns. */
function sentMetadata(body: Body): Body {
  const metadata = (body['metadata'] ?? {}) as Body;
  const isSet = (field: string) => Object.keys((metadata[field] ?? {}) as object).length > 0;
  return Object.fromEntries(CLIENTS_OWN.filter(isSet).map((field) => [field, metadata[field]]));
}

function managedBy(kind: ObjectKind, manager: string): unknown {
  return [{ manager, operation: 'Update', apiVersion: apiVersionOf(kind) }];
}

function timestamp(inSeconds: number): string {
  return new Date(Date.now() + inSeconds * 1_000).toISOString().replace(/\.\d+/, '');
}
