import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { LeaseStore } from './lease-store.js';

/** One open watch, as the server sees it. */
export class WatchStream {
  constructor(
    private readonly response: ServerResponse,
    private readonly socket: Socket,
  ) {}

  /** Bytes as they are. */
  write(raw: string | Buffer): void {
    this.response.write(raw);
  }

  event(type: string, object: unknown): void {
    this.write(`${JSON.stringify({ type, object })}\n`);
  }

  end(): void {
    this.response.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** The watches of a store: the present state first, then every change. */
export class WatchStreams {
  readonly open = new Set<WatchStream>();
  /** True: changes of the store are not told, as by a half-open connection. */
  isSilent = false;

  constructor(private readonly store: LeaseStore) {}

  serve(
    request: IncomingMessage,
    response: ServerResponse,
    options: { namespace: string; name: string | undefined; socket: Socket },
  ): void {
    const { namespace, name, socket } = options;
    const stream = new WatchStream(response, socket);
    const isMeant = (metadata: { namespace: string; name: string }) =>
      metadata.namespace === namespace && (name === undefined || metadata.name === name);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    for (const lease of this.store.list(namespace)) {
      if (isMeant(lease.metadata)) stream.event('ADDED', lease);
    }
    const unsubscribe = this.store.subscribe(({ type, object }) => {
      if (!this.isSilent && isMeant(object.metadata)) stream.event(type, object);
    });
    this.open.add(stream);
    const gone = () => {
      unsubscribe();
      this.open.delete(stream);
    };
    response.once('close', gone);
    request.once('close', gone);
  }
}
