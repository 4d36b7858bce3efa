import type { Socket } from 'node:net';
import { sendReset } from './send-reset.js';
import { ShapedStream } from './shaped-stream.js';
import type { Direction, StreamCondition } from './stream-condition.js';

/** So much of what a client has sent on one connection is remembered for a replay. */
const REMEMBERED_BYTES = 256 * 1024;

/** A client's connection and the one to the server that was made for it, with a shaped stream each way. */
export class ProxiedConnection {
  readonly closed: Promise<void>;
  private readonly remembered: Buffer[] = [];
  private readonly streams: Readonly<Record<Direction, ShapedStream>>;
  private sentBytes = 0;
  private severed = false;

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    conditions: Readonly<Record<Direction, StreamCondition>>,
  ) {
    this.streams = {
      'to-server': new ShapedStream(server, conditions['to-server']),
      'to-client': new ShapedStream(client, conditions['to-client']),
    };
    this.connect(client, this.streams['to-server']);
    this.connect(server, this.streams['to-client']);
    client.on('data', (bytes: Buffer) => this.remember(bytes));
    this.closed = Promise.all([client, server].map(untilClosed)).then(() => undefined);
  }

  /** What the client has sent so far. */
  get sent(): Buffer {
    return Buffer.concat(this.remembered);
  }

  get holdsRequest(): boolean {
    return this.streams['to-server'].isHeldUp;
  }

  shape(direction: Direction, condition: StreamCondition): void {
    this.streams[direction].shape(condition);
  }

  reset(): void {
    this.sever();
    sendReset(this.client);
    sendReset(this.server);
  }

  /** Ends both sides in an orderly way, in the middle of whatever was under way. */
  close(): void {
    this.sever();
    this.client.destroySoon();
    this.server.destroySoon();
  }

  /** One side is gone and the other is not told: what that sends goes nowhere, and nothing ever comes back. */
  lose(side: 'client' | 'server'): void {
    this.sever();
    sendReset(side === 'server' ? this.server : this.client);
  }

  private connect(source: Socket, stream: ShapedStream): void {
    source.on('error', () => undefined);
    source.on('data', (bytes: Buffer) => {
      if (!this.severed) stream.bytes(bytes);
    });
    source.once('end', () => {
      if (this.severed) source.destroy();
      else stream.end();
    });
    source.once('close', (hadError) => {
      if (hadError && !this.severed) stream.reset();
    });
  }

  private sever(): void {
    this.severed = true;
    for (const stream of Object.values(this.streams)) stream.close();
  }

  private remember(bytes: Buffer): void {
    this.sentBytes += bytes.length;
    if (this.sentBytes <= REMEMBERED_BYTES) this.remembered.push(bytes);
  }
}

function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
