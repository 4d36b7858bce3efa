import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { faultOf, storedMetadata, storedSpec, type LeaseObject } from './lease-validation.js';
import {
  alreadyExists,
  badRequest,
  conflict,
  created,
  invalid,
  notFound,
  ok,
  type Answer,
} from './status-body.js';

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: LeaseObject;
}

type Body = Record<string, unknown>;

/** Leases with the write semantics of the API server (safety-rules A1 to A5). */
export class LeaseStore {
  readonly namespaces = new Set(['default']);
  private readonly events = new EventEmitter().setMaxListeners(0);
  private readonly leases = new Map<string, LeaseObject>();
  private revision = 100;

  get(namespace: string, name: string): LeaseObject | undefined {
    return this.leases.get(key(namespace, name));
  }

  list(namespace: string): LeaseObject[] {
    return [...this.leases.values()].filter(({ metadata }) => metadata.namespace === namespace);
  }

  get resourceVersion(): string {
    return String(this.revision);
  }

  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.events.on('event', listener);
    return () => this.events.off('event', listener);
  }

  read(namespace: string, name: string): Answer {
    const lease = this.get(namespace, name);
    return lease === undefined ? notFound('leases', name) : ok(lease);
  }

  create(namespace: string, body: Body, manager: string): Answer {
    const metadata = (body['metadata'] ?? {}) as Body;
    const name = typeof metadata['name'] === 'string' ? metadata['name'] : '';
    const fault = faultOf(body, name);
    if (fault !== undefined) return fault;
    if (name === '') return invalid(name, 'metadata.name: Required value');
    if (!this.namespaces.has(namespace)) return notFound('namespaces', namespace, '');
    if (this.get(namespace, name) !== undefined) return alreadyExists(name);
    return created(this.insert(namespace, name, body, manager));
  }

  /** The uid is compared before the version, and a missing object is created unless a uid is named (A3). */
  update(namespace: string, name: string, body: Body, manager: string): Answer {
    const metadata = (body['metadata'] ?? {}) as Body;
    if (metadata['name'] !== name) {
      return badRequest(
        `the name of the object (${String(metadata['name'])}) does not match the URL`,
      );
    }
    const fault = faultOf(body, name);
    if (fault !== undefined) return fault;
    const stored = this.get(namespace, name);
    const { uid, resourceVersion } = metadata;
    if (uid !== undefined && uid !== stored?.metadata.uid) {
      return conflict(
        name,
        `Precondition failed: UID in precondition: ${JSON.stringify(uid)}, UID in object meta: ${stored?.metadata.uid ?? ''}`,
      );
    }
    if (stored === undefined) return created(this.insert(namespace, name, body, manager));
    if (resourceVersion === undefined || resourceVersion === '') {
      return invalid(
        name,
        'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      );
    }
    if (resourceVersion !== stored.metadata.resourceVersion) return conflict(name, MODIFIED);
    return ok(this.store(stored, body, manager));
  }

  /** A merge PATCH; without a resourceVersion in it, unconditional (A2). */
  patch(namespace: string, name: string, patch: Body, manager: string): Answer {
    const stored = this.get(namespace, name);
    if (stored === undefined) return notFound('leases', name);
    const { resourceVersion } = (patch['metadata'] ?? {}) as Body;
    if (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion) {
      return conflict(name, MODIFIED);
    }
    const merged = merge(stored, patch) as Body;
    return faultOf(merged, name) ?? ok(this.store(stored, merged, manager));
  }

  delete(namespace: string, name: string): Answer {
    const stored = this.get(namespace, name);
    if (stored === undefined) return notFound('leases', name);
    this.leases.delete(key(namespace, name));
    const resourceVersion = String(++this.revision);
    const object = { ...stored, metadata: { ...stored.metadata, resourceVersion } };
    this.events.emit('event', { type: 'DELETED', object } satisfies StoreEvent);
    return ok({ kind: 'Status', apiVersion: 'v1', status: 'Success', details: { name } });
  }

  private insert(namespace: string, name: string, body: Body, manager: string): LeaseObject {
    const object: LeaseObject = {
      kind: 'Lease',
      apiVersion: 'coordination.k8s.io/v1',
      metadata: {
        name,
        namespace,
        uid: randomUUID(),
        resourceVersion: String(++this.revision),
        creationTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
        ...storedMetadata(body),
        managedFields: managedBy(manager),
      },
      spec: storedSpec(body),
    };
    return this.keep('ADDED', object);
  }

  private store(stored: LeaseObject, body: Body, manager: string): LeaseObject {
    const { name, namespace, uid, creationTimestamp } = stored.metadata;
    const next: LeaseObject = {
      ...stored,
      metadata: {
        name,
        namespace,
        uid,
        resourceVersion: String(this.revision + 1),
        creationTimestamp,
        ...storedMetadata(body),
        managedFields: managedBy(manager),
      },
      spec: storedSpec(body),
    };
    // Equal content is not written: same version, no event (A4).
    if (JSON.stringify(content(next)) === JSON.stringify(content(stored))) return stored;
    this.revision++;
    return this.keep('MODIFIED', next);
  }

  private keep(type: StoreEvent['type'], object: LeaseObject): LeaseObject {
    this.leases.set(key(object.metadata.namespace, object.metadata.name), object);
    this.events.emit('event', { type, object } satisfies StoreEvent);
    return object;
  }
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

function key(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function managedBy(manager: string): unknown {
  return [{ manager, operation: 'Update', apiVersion: 'coordination.k8s.io/v1' }];
}

function content({ metadata, spec }: LeaseObject): unknown {
  const { labels, annotations, ownerReferences, finalizers } = metadata;
  return [sorted(labels), sorted(annotations), ownerReferences, finalizers, sorted(spec)];
}

function sorted(object: unknown): unknown {
  return object === undefined
    ? null
    : Object.entries(object as Body).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Body = typeof target === 'object' && target !== null ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete result[field];
    else result[field] = merge(result[field], value);
  }
  return result;
}
