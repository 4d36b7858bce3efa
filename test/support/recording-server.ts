import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** What one request told of whoever sent it. */
export interface Asked {
  readonly scheme: string;
  readonly path: string;
  /** Those that say who is asking, every line of them, by lower-case name. */
  readonly identity: Readonly<Record<string, readonly string[]>>;
  readonly clientCertificate: string | undefined;
  readonly serverName: string | undefined;
  readonly throughProxy: boolean;
}

/** A server that speaks http and https on one port, answers everything with an empty object and writes down who asked. */
export class RecordingServer {
  readonly asked: Asked[] = [];
  private readonly servers: Server[];
  private readonly front = createServer((socket) => this.accepted(socket));
  private readonly proxy = createHttpServer();
  private readonly sockets = new Set<Socket>();
  private readonly proxied = new Set<number>();

  private constructor(certificate: { cert: string; key: string }) {
    const answer =
      (scheme: string) =>
      (request: IncomingMessage, response: import('node:http').ServerResponse) => {
        this.record(scheme, request);
        response.setHeader('Content-Type', 'application/json').end('{}');
      };
    this.servers = [
      createHttpServer(answer('http')),
      createHttpsServer(
        { ...certificate, requestCert: true, rejectUnauthorized: false },
        answer('https'),
      ),
    ];
    this.proxy.on('connect', (_: IncomingMessage, client: Socket) => {
      const upstream = connect(this.port, '127.0.0.1', () => {
        this.proxied.add(upstream.localPort ?? 0);
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      for (const socket of [client, upstream]) this.keep(socket);
    });
  }

  static async start(certificate: { cert: string; key: string }): Promise<RecordingServer> {
    const server = new RecordingServer(certificate);
    for (const each of [server.front, server.proxy]) {
      await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
    }
    return server;
  }

  get port(): number {
    return (this.front.address() as AddressInfo).port;
  }

  get proxyUrl(): string {
    return `http://127.0.0.1:${(this.proxy.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.front.close();
    this.proxy.close();
  }

  /** The first byte of a TLS connection is 22, the content type of a handshake. */
  private accepted(socket: Socket): void {
    this.keep(socket);
    socket.once('readable', () => {
      const first = socket.read(1) as Buffer | null;
      if (first === null) return;
      socket.unshift(first);
      this.servers[first[0] === 22 ? 1 : 0]!.emit('connection', socket);
    });
  }

  private record(scheme: string, request: IncomingMessage): void {
    const socket = request.socket as TLSSocket;
    const names = Object.entries(request.headersDistinct).filter(([name]) =>
      /^(authorization$|impersonate-|proxy-)/.test(name),
    );
    this.asked.push({
      scheme,
      path: new URL(request.url ?? '', 'http://any').pathname,
      identity: Object.fromEntries(names) as Asked['identity'],
      clientCertificate:
        scheme === 'https' ? socket.getPeerCertificate().fingerprint256 : undefined,
      serverName: scheme === 'https' && socket.servername ? socket.servername : undefined,
      throughProxy: this.proxied.has(socket.remotePort ?? 0),
    });
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => this.sockets.delete(socket));
  }
}
