import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import type { Certificate } from './certificate.js';
import { FaultScript, type Fault } from './fault.js';
import { answerOf, leaseTarget, logOf } from './lease-routes.js';
import { LeaseStore } from './lease-store.js';
import { misbehave, send } from './misbehaviour.js';
import type { LoggedRequest, LoggedVerb } from './request-log.js';
import { forbidden, ok, statusAnswer, type Answer } from './status-body.js';
import { WatchStreams } from './watch-streams.js';

export interface ApiEmulatorOptions {
  /** Serves https with it; http without. */
  readonly certificate?: Certificate;
  /** A CA whose client certificates are demanded. */
  readonly clientCa?: string;
  readonly port?: number;
  readonly store?: LeaseStore;
}

/** An API server that knows Leases: real versions and watches, and faults on demand. */
export class ApiEmulator {
  readonly requests: LoggedRequest[] = [];
  readonly watches: WatchStreams;
  connections = 0;
  /** Tokens that are accepted; empty: everybody is. */
  readonly tokens = new Set<string>();
  /** Verbs that RBAC refuses. */
  readonly forbidden = new Set<LoggedVerb>();
  user = 'system:serviceaccount:default:planner';
  private readonly faults = new FaultScript();
  private readonly sockets = new Map<Socket, number>();

  private constructor(
    private readonly server: Server,
    readonly store: LeaseStore,
    private readonly scheme: string,
  ) {
    this.watches = new WatchStreams(store);
  }

  static async start(options: ApiEmulatorOptions = {}): Promise<ApiEmulator> {
    const { certificate, clientCa } = options;
    const server =
      certificate === undefined
        ? createServer()
        : createTlsServer({
            ...certificate,
            ...(clientCa && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
          });
    const scheme = certificate === undefined ? 'http' : 'https';
    const emulator = new ApiEmulator(server, options.store ?? new LeaseStore(), scheme);
    server.on('connection', (socket: Socket) => emulator.connected(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void emulator.handle(request, response);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return emulator;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  fail(fault: Fault): void {
    this.faults.add(fault);
  }

  clearFaults(): void {
    this.faults.clear();
  }

  requestsOf(...verbs: LoggedVerb[]): LoggedRequest[] {
    return this.requests.filter(({ verb }) => verbs.includes(verb));
  }

  /** Ends all connections: by FIN, or as a crash would. */
  disconnect(how: 'close' | 'reset' = 'close'): void {
    for (const socket of this.sockets.keys()) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.disconnect();
    await closed;
  }

  private connected(socket: Socket): void {
    this.sockets.set(socket, ++this.connections);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    try {
      for await (const chunk of request.setEncoding('utf8')) text += chunk as string;
    } catch {
      // The client went away in its request: a server sees nothing of it.
      return;
    }
    const raw = this.rawSocket(request.socket);
    const logged = logOf(request, text, this.sockets.get(raw) ?? 0);
    this.requests.push(logged);
    const fault = this.faults.take(logged);
    if (fault === undefined) return this.respond(logged, request, response);
    if (fault.fault.kind === 'delay') {
      const { ms } = fault.fault;
      await new Promise((resolve) => setTimeout(resolve, ms));
      return this.respond(logged, request, response);
    }
    const answer = fault.applies === true ? answerOf(this.store, logged) : ok({ kind: 'Lease' });
    return misbehave(fault.fault, answer, response, raw);
  }

  /** A TLS socket is not the one that can be reset; the peer's port finds the one below. */
  private rawSocket(socket: Socket): Socket {
    const raw = [...this.sockets.keys()].find(
      ({ remotePort, localPort }) =>
        remotePort === socket.remotePort && localPort === socket.localPort,
    );
    return raw ?? socket;
  }

  private respond(logged: LoggedRequest, request: IncomingMessage, response: ServerResponse): void {
    const refusal = this.refusal(logged);
    const target = leaseTarget(logged);
    if (refusal === undefined && logged.verb === 'watch' && target !== null) {
      this.watches.serve(request, response, {
        ...target,
        socket: this.rawSocket(request.socket),
      });
      return;
    }
    send(response, refusal ?? answerOf(this.store, logged));
  }

  private refusal(logged: LoggedRequest): Answer | undefined {
    const { headers, verb } = logged;
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (this.tokens.size > 0 && !this.tokens.has(token)) {
      return statusAnswer(401, 'Unauthorized', 'Unauthorized');
    }
    if (!this.forbidden.has(verb)) return undefined;
    const { namespace, name = '' } = leaseTarget(logged) ?? { namespace: '' };
    return forbidden(verb, { namespace, name, user: this.user });
  }
}
