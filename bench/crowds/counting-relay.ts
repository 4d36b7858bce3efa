import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Traffic {
  /** Accepted so far. */
  readonly connections: number;
  /** Of these, how many are open. */
  readonly open: number;
  /** In both directions, as they are on the wire without the headers of TCP. */
  readonly bytes: number;
}

/** Between clients and a server of this machine. It changes nothing and counts what passes. */
export class CountingRelay {
  readonly port: number;
  private readonly sockets = new Set<Socket>();
  private connections = 0;
  private open = 0;
  private bytes = 0;

  static async start(targetPort: number): Promise<CountingRelay> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingRelay(server, targetPort);
  }

  private constructor(
    private readonly server: Server,
    targetPort: number,
  ) {
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client) => this.join(client, targetPort));
  }

  get traffic(): Traffic {
    const { connections, open, bytes } = this;
    return { connections, open, bytes };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(client: Socket, port: number): void {
    this.connections += 1;
    this.open += 1;
    client.once('close', () => (this.open -= 1));
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (chunk: Buffer) => (this.bytes += chunk.length));
      // The end of one side is the end of the other, however it came about.
      from.once('error', () => to.destroy());
      from.once('close', () => {
        this.sockets.delete(from);
        to.destroySoon();
      });
      from.pipe(to);
    }
  }
}
