import { EventEmitter } from 'node:events';
import type { StoredObject } from './object-kind.js';

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
  /** What was there before, where something was. */
  readonly before?: StoredObject | undefined;
}

/** Everything at one moment, to return to. */
export interface Snapshot {
  readonly revision: number;
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly namespaces: ReadonlySet<string>;
  readonly history: readonly StoreEvent[];
}

/** The objects of all kinds under one revision, as in etcd. */
export class ClusterState {
  readonly namespaces = new Set(['default']);
  history: StoreEvent[] = [];
  revision = 100;
  private readonly events = new EventEmitter().setMaxListeners(0);
  private objects = new Map<string, StoredObject>();

  get(kind: string, namespace: string, name: string): StoredObject | undefined {
    return this.objects.get(`${kind}/${namespace}/${name}`);
  }

  /** In the order of their names. */
  list(kind: string, namespace: string): StoredObject[] {
    return [...this.objects.values()]
      .filter((object) => object.kind === kind && object.metadata.namespace === namespace)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** Gives the object the next resourceVersion. */
  write(type: StoreEvent['type'], unversioned: StoredObject): StoredObject {
    const { kind, metadata } = unversioned;
    const key = `${kind}/${metadata.namespace}/${metadata.name}`;
    const resourceVersion = String(++this.revision);
    const object = { ...unversioned, metadata: { ...metadata, resourceVersion } };
    const event: StoreEvent = { type, object, before: this.objects.get(key) };
    if (type === 'DELETED') this.objects.delete(key);
    else this.objects.set(key, object);
    this.history.push(event);
    this.events.emit('event', event);
    return object;
  }

  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.events.on('event', listener);
    return () => this.events.off('event', listener);
  }

  snapshot(): Snapshot {
    const { revision, objects, namespaces, history } = this;
    return {
      revision,
      objects: new Map(objects),
      namespaces: new Set(namespaces),
      history: [...history],
    };
  }

  /** As from a backup of etcd: the revision goes back too, and no watch is told. */
  restore({ revision, objects, namespaces, history }: Snapshot): void {
    this.revision = revision;
    this.objects = new Map(objects);
    this.history = [...history];
    this.namespaces.clear();
    for (const namespace of namespaces) this.namespaces.add(namespace);
  }
}
