import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { apiVersionOf } from './kind-names.js';
import type { Body, ObjectKind } from './object-kind.js';

/** One open watch, as the server sees it. */
export class WatchStream {
  constructor(
    private readonly response: ServerResponse,
    private readonly socket: Socket,
    readonly kind: ObjectKind,
    /** Whether the client asked for bookmarks. */
    readonly hasBookmarks: boolean,
  ) {}

  /** Bytes as they are. */
  write(raw: string | Buffer): void {
    this.response.write(raw);
  }

  event(type: string, object: unknown): void {
    this.write(`${JSON.stringify({ type, object })}\n`);
  }

  bookmark(resourceVersion: string, annotations?: Body): void {
    const { kind, emptyContent } = this.kind;
    const metadata = { resourceVersion, ...(annotations && { annotations }) };
    this.event('BOOKMARK', {
      kind,
      apiVersion: apiVersionOf(this.kind),
      metadata,
      ...emptyContent,
    });
  }

  end(): void {
    this.response.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}
