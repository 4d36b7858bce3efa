import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ProxiedConnection } from './proxied-connection.js';
import { type Direction, PASS, type StreamCondition } from './stream-condition.js';

const DIRECTIONS: readonly Direction[] = ['to-server', 'to-client'];

/**
 * A TCP proxy whose faults a test turns on and off while it runs. It knows nothing of what passes through it, so that
 * TLS stays what it is: give each client its own proxy, and give the proxy's port as the server's.
 */
export class FaultProxy {
  readonly port: number;
  private readonly server: Server;
  private readonly connections = new Set<ProxiedConnection>();
  private readonly conditions: Record<Direction, StreamCondition> = {
    'to-server': PASS,
    'to-client': PASS,
  };

  /** Between 127.0.0.1 and a port there; the server behind it need not run yet. */
  static async start(targetPort: number, port = 0): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, targetPort);
  }

  private constructor(
    server: Server,
    private targetPort: number,
  ) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client: Socket) => this.accept(client));
  }

  get openConnections(): number {
    return this.connections.size;
  }

  /** On how many connections the server is still to get a request; what opens a connection is none. */
  get heldRequests(): number {
    return [...this.connections].filter(({ holdsRequest }) => holdsRequest).length;
  }

  /** For the connections that are and those to come, until the next call. */
  shape(direction: Direction | 'both', condition: StreamCondition): void {
    for (const one of direction === 'both' ? DIRECTIONS : [direction]) {
      this.conditions[one] = condition;
      for (const connection of this.connections) connection.shape(one, condition);
    }
  }

  /** Everything passes again; what a blackhole kept and a delay holds back is delivered now. */
  heal(): void {
    this.shape('both', PASS);
  }

  /** New connections go to another server; those that are open stay where they are. */
  redirect(targetPort: number): void {
    this.targetPort = targetPort;
  }

  /** RST to both sides of every connection. */
  reset(): void {
    for (const connection of this.connections) connection.reset();
  }

  /** FIN to both sides of every connection. */
  close(): void {
    for (const connection of this.connections) connection.close();
  }

  /** Every connection loses its server, or its client, without the other being told. New ones are not affected. */
  halfOpen(lost: 'client' | 'server'): void {
    for (const connection of this.connections) connection.lose(lost);
  }

  /**
   * Sends all that the clients of the open connections have sent to the server once more, on connections of their own
   * whose answers nobody reads. Repeats requests of plain HTTP; a TLS server takes no notice of such a repetition.
   */
  async replay(): Promise<void> {
    await Promise.all([...this.connections].map(({ sent }) => this.send(sent)));
  }

  /** Refuses new connections, as a host without a listener does; open ones go on. */
  async refuse(): Promise<void> {
    if (!this.server.listening) return;
    // The callback would come after the last connection's end; the port is free at once.
    this.server.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async admit(): Promise<void> {
    if (this.server.listening) return;
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    await this.refuse();
    const closed = [...this.connections].map((connection) => connection.closed);
    this.reset();
    await Promise.all(closed);
  }

  private accept(client: Socket): void {
    const { targetPort: port } = this;
    const server = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const connection = new ProxiedConnection(client, server, this.conditions);
    this.connections.add(connection);
    void connection.closed.then(() => this.connections.delete(connection));
  }

  private async send(bytes: Buffer): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port: this.targetPort });
    socket.on('error', () => undefined).resume();
    socket.end(bytes);
    await once(socket, 'close');
  }
}
