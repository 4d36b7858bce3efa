import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { AccessGrants, unauthorized } from './access-grants.js';
import { ApiAnswers } from './api-answers.js';
import { logOf, nameAsked, targetOf } from './api-routes.js';
import type { Certificate } from './certificate.js';
import type { ClusterState } from './cluster-state.js';
import { type Fault, FaultScript } from './fault.js';
import { fieldSelector } from './field-selector.js';
import { misbehave, send } from './misbehaviour.js';
import type { LeaseObject } from './object-kind.js';
import type { ObjectStore } from './object-store.js';
import type { LoggedRequest, LoggedVerb } from './request-log.js';
import { type Answer, forbidden, ok } from './status-body.js';
import { WatchStreams } from './watch-streams.js';

export interface ApiEmulatorOptions {
  /** Serves https with it; http without. */
  readonly certificate?: Certificate;
  /** A CA whose client certificates are demanded. */
  readonly clientCa?: string;
  readonly port?: number;
  /** Of an earlier one, as after a restart; the other kinds come with it. */
  readonly store?: ObjectStore<LeaseObject>;
}

/** An API server that knows Leases, ConfigMaps and Pods: real versions and watches, and faults on demand. */
export class ApiEmulator {
  readonly requests: LoggedRequest[] = [];
  readonly watches: WatchStreams;
  connections = 0;
  /** Tokens that are accepted; empty: everybody is. */
  readonly tokens = new Set<string>();
  /** Who may do what; nobody is refused anything until it grants something. */
  readonly access = new AccessGrants();
  /** Verbs that are refused to everybody. */
  readonly forbidden = new Set<LoggedVerb>();
  user = 'system:serviceaccount:default:planner';
  private readonly faults = new FaultScript();
  private readonly sockets = new Map<Socket, number>();

  private constructor(
    private readonly server: Server,
    private readonly answers: ApiAnswers,
    private readonly scheme: string,
  ) {
    this.watches = new WatchStreams(answers.state);
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
    const emulator = new ApiEmulator(server, new ApiAnswers(options.store?.state), scheme);
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

  get state(): ClusterState {
    return this.answers.state;
  }

  /** The Leases. */
  get store(): ObjectStore<LeaseObject> {
    return this.answers.storeOf('Lease') as ObjectStore<LeaseObject>;
  }

  get configMaps(): ObjectStore {
    return this.answers.storeOf('ConfigMap');
  }

  get pods(): ObjectStore {
    return this.answers.storeOf('Pod');
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
    const answer = fault.applies === true ? this.answers.answer(logged) : ok({ kind: 'Lease' });
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
    const target = targetOf(logged.path);
    if (refusal === undefined && logged.verb === 'watch' && target !== null) {
      const { fault } = fieldSelector(target.kind, logged.query.get('fieldSelector') ?? '');
      if (fault !== undefined) return send(response, fault);
      const socket = this.rawSocket(request.socket);
      return this.watches.serve(request, response, { ...target, query: logged.query, socket });
    }
    send(response, refusal ?? this.answers.answer(logged));
  }

  private refusal({ headers, verb, path, query }: LoggedRequest): Answer | undefined {
    const token = headers.authorization?.replace(/^Bearer /, '');
    if (this.tokens.size > 0 && !this.tokens.has(token ?? '')) return unauthorized();
    const target = targetOf(path);
    if (target === null) return undefined;
    const asked = { ...target, name: nameAsked(target, query) };
    if (this.forbidden.has(verb)) {
      return forbidden(verb, { ...asked, user: this.user }, target.kind);
    }
    return this.access.refusal({ ...asked, verb, token });
  }
}
