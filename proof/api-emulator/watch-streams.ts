import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ClusterState, StoreEvent } from './cluster-state.js';
import { fieldSelector } from './field-selector.js';
import type { ObjectKind, StoredObject } from './object-kind.js';
import { WatchStream } from './watch-stream.js';

export type { WatchStream } from './watch-stream.js';

export interface WatchRequest {
  readonly kind: ObjectKind;
  readonly namespace: string;
  readonly query: URLSearchParams;
  readonly socket: Socket;
}

/** The watches of the state: what is there first, or what came after a version, then every change. */
export class WatchStreams {
  readonly open = new Set<WatchStream>();
  /** True: changes of the store are not told, as by a half-open connection. */
  isSilent = false;

  constructor(private readonly state: ClusterState) {}

  serve(request: IncomingMessage, response: ServerResponse, watch: WatchRequest): void {
    const { kind, namespace, query, socket } = watch;
    const hasBookmarks = query.get('allowWatchBookmarks') === 'true';
    const stream = new WatchStream(response, socket, kind, hasBookmarks);
    const { matches } = fieldSelector(kind, query.get('fieldSelector') ?? '');
    const isMeant = (object: StoredObject | undefined) =>
      object?.kind === kind.kind && object.metadata.namespace === namespace && matches(object);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    const since = Number(query.get('resourceVersion') ?? 0);
    const follow = (event: StoreEvent) => {
      if (Number(event.object.metadata.resourceVersion) > since) tell(stream, event, isMeant);
    };
    if (since === 0) this.begin(stream, namespace, isMeant);
    else this.state.history.forEach(follow);
    const unsubscribe = this.state.subscribe((event) => {
      if (!this.isSilent) follow(event);
    });
    this.open.add(stream);
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    const limit = seconds > 0 ? setTimeout(() => stream.end(), seconds * 1_000).unref() : undefined;
    const gone = () => {
      clearTimeout(limit);
      unsubscribe();
      this.open.delete(stream);
    };
    response.once('close', gone);
    request.once('close', gone);
  }

  /** Tells the version to every watch that asked for bookmarks, as the server does each minute. */
  bookmark(): void {
    for (const stream of this.open) {
      if (stream.hasBookmarks) stream.bookmark(String(this.state.revision));
    }
  }

  private begin(
    stream: WatchStream,
    namespace: string,
    isMeant: (object: StoredObject) => boolean,
  ): void {
    for (const object of this.state.list(stream.kind.kind, namespace)) {
      if (isMeant(object)) stream.event('ADDED', object);
    }
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    if (stream.hasBookmarks) stream.bookmark(String(this.state.revision), annotations);
  }
}

/** An object that comes to match is an ADDED one, and one that ceases to match a DELETED one, as it was before. */
function tell(
  stream: WatchStream,
  { type, object, before }: StoreEvent,
  isMeant: (object: StoredObject | undefined) => boolean,
): void {
  const [was, is] = [isMeant(before), type !== 'DELETED' && isMeant(object)];
  if (is) stream.event(was ? 'MODIFIED' : 'ADDED', object);
  if (is || !was || before === undefined) return;
  const { resourceVersion } = object.metadata;
  const last = type === 'DELETED' ? object : before;
  stream.event('DELETED', { ...last, metadata: { ...last.metadata, resourceVersion } });
}
