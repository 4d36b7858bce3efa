import type { ClusterState, StoreEvent } from './cluster-state.js';
import { type DeleteOptions, unmetPrecondition } from './delete-options.js';
import { apiVersionOf } from './kind-names.js';
import { mergePatch } from './merge-patch.js';
import type { Body, ObjectKind, StoredObject, WrittenPart } from './object-kind.js';
import {
  changedMetadata,
  isSameContent,
  markedDeleted,
  misnamed,
  newMetadata,
} from './object-metadata.js';
import {
  alreadyExists,
  type Answer,
  conflict,
  created,
  invalid,
  notFound,
  ok,
  statusAnswer,
  withoutVersion,
} from './status-body.js';

/** The objects of one kind, with the write semantics of the API server (A1 to A5). */
export class ObjectStore<Stored extends StoredObject = StoredObject> {
  constructor(
    readonly kind: ObjectKind,
    readonly state: ClusterState,
  ) {}

  get namespaces(): Set<string> {
    return this.state.namespaces;
  }

  get resourceVersion(): string {
    return String(this.state.revision);
  }

  get(namespace: string, name: string): Stored | undefined {
    return this.state.get(this.kind.kind, namespace, name) as Stored | undefined;
  }

  list(namespace: string): StoredObject[] {
    return this.state.list(this.kind.kind, namespace);
  }

  subscribe(listener: (event: StoreEvent) => void): () => void {
    return this.state.subscribe(listener);
  }

  read(namespace: string, name: string): Answer {
    const stored = this.get(namespace, name);
    return stored === undefined ? this.missing(name) : ok(stored);
  }

  create(namespace: string, body: Body, manager: string): Answer {
    const { name, resourceVersion } = (body['metadata'] ?? {}) as Body;
    if (resourceVersion !== undefined && resourceVersion !== '') {
      const why = 'resourceVersion should not be set on objects to be created';
      return statusAnswer(500, undefined, why);
    }
    if (typeof name !== 'string' || name === '') {
      const why = 'metadata.name: Required value: name or generateName is required';
      return invalid('', why, this.kind);
    }
    const fault = this.kind.faultOf(body, name);
    if (fault !== undefined) return fault;
    if (!this.namespaces.has(namespace)) return notFound('namespaces', namespace, '');
    if (this.get(namespace, name) !== undefined) return alreadyExists(name, this.kind);
    return created(this.insert(namespace, body, manager));
  }

  /** The uid is compared before the version, and only some kinds are created by it (A3). */
  update(
    namespace: string,
    name: string,
    body: Body,
    manager: string,
    part: WrittenPart = 'object',
  ): Answer {
    const fault = misnamed(body, name);
    if (fault !== undefined) return fault;
    const stored = this.get(namespace, name);
    if (stored === undefined && !this.kind.isCreatedByPut) return this.missing(name);
    const { uid, resourceVersion } = (body['metadata'] ?? {}) as Body;
    if (uid !== undefined && uid !== stored?.metadata.uid) {
      return conflict(name, this.foreignUid(namespace, name, uid), this.kind);
    }
    if (stored === undefined) return this.createByPut(namespace, name, body, manager);
    const isUnconditional = [undefined, '', '0'].includes(resourceVersion as string);
    if (isUnconditional && !this.kind.isReplacedUnconditionally) {
      return this.kind.faultOf(body, name) ?? withoutVersion(name, this.kind);
    }
    if (!isUnconditional && resourceVersion !== stored.metadata.resourceVersion) {
      return conflict(name, MODIFIED, this.kind);
    }
    return this.store(stored, body, manager, part);
  }

  /** A merge PATCH; without a resourceVersion in it, unconditional (A2). */
  patch(
    namespace: string,
    name: string,
    patch: Body,
    manager: string,
    part: WrittenPart = 'object',
  ): Answer {
    const stored = this.get(namespace, name);
    if (stored === undefined) return this.missing(name);
    const { resourceVersion, uid } = (patch['metadata'] ?? {}) as Body;
    if (uid !== undefined && uid !== stored.metadata.uid) {
      const why = `metadata.uid: Invalid value: ${JSON.stringify(uid)}: field is immutable`;
      return invalid(name, why, this.kind);
    }
    if (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion) {
      return conflict(name, MODIFIED, this.kind);
    }
    const merged = mergePatch(stored, patch) as Body;
    return misnamed(merged, name) ?? this.store(stored, merged, manager, part);
  }

  delete(namespace: string, name: string, options: DeleteOptions = {}): Answer {
    const stored = this.get(namespace, name);
    if (stored === undefined) return this.missing(name);
    const refusal = unmetPrecondition(stored, options, this.kind);
    if (refusal !== undefined) return refusal;
    const { resource, group } = this.kind;
    if (this.kind.graceOf === undefined) {
      this.state.write('DELETED', stored);
      const { uid } = stored.metadata;
      const details = { name, ...(group !== '' && { group }), kind: resource, uid };
      return ok({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
    }
    const grace = options.gracePeriodSeconds ?? this.kind.graceOf(stored);
    const isDeleting = stored.metadata['deletionTimestamp'] !== undefined;
    if (isDeleting && grace > 0) return ok(stored);
    const marked = isDeleting ? stored : this.state.write('MODIFIED', markedDeleted(stored, grace));
    return ok(grace > 0 ? marked : this.state.write('DELETED', marked));
  }

  private createByPut(namespace: string, name: string, body: Body, manager: string): Answer {
    const fault = this.kind.faultOf(body, name);
    if (fault !== undefined) return fault;
    if (!this.namespaces.has(namespace)) return notFound('namespaces', namespace, '');
    return created(this.insert(namespace, body, manager));
  }

  private insert(namespace: string, body: Body, manager: string): StoredObject {
    return this.state.write('ADDED', {
      kind: this.kind.kind,
      apiVersion: apiVersionOf(this.kind),
      metadata: newMetadata(this.kind, namespace, body, manager),
      ...this.kind.contentOf(body),
    });
  }

  private store(stored: StoredObject, body: Body, manager: string, part: WrittenPart): Answer {
    const change = { stored, part };
    const fault = this.kind.faultOf(body, stored.metadata.name, change);
    if (fault !== undefined) return fault;
    const next: StoredObject = {
      kind: stored.kind,
      apiVersion: stored.apiVersion,
      metadata: changedMetadata(this.kind, stored, body, manager),
      ...this.kind.contentOf(body, change),
    };
    // Equal content is not written: same version, no event (A4).
    return ok(isSameContent(next, stored) ? stored : this.state.write('MODIFIED', next));
  }

  private missing(name: string): Answer {
    return notFound(this.kind.resource, name, this.kind.group);
  }

  private foreignUid(namespace: string, name: string, uid: unknown): string {
    const key = `/registry/${this.kind.resource}/${namespace}/${name}`;
    const stored = this.get(namespace, name)?.metadata.uid ?? '';
    return (
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
      `Precondition failed: UID in precondition: ${String(uid)}, UID in object meta: ${stored}`
    );
  }
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';
