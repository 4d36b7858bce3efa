import { createHash } from 'node:crypto';
import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClusterAccess, ClusterTls } from './socket-basics.js';
import { holdProcess, openClusterSocket } from './socket.js';

/** What a request hands to its agent in addition to Node's own arguments. */
export interface ClusterRequestArgs extends ClientRequestArgs {
  readonly access: ClusterAccess;
  readonly proxy: URL | undefined;
  /** Equal for requests that may share a connection. */
  readonly connectionKey: string;
  /** Ends the making of a connection. */
  readonly connectSignal: AbortSignal;
}

/**
 * The connections of one lock, shared with no one. Speaks HTTP/1.1 over whatever the access asks for. When server, CA
 * or client certificate change, the next request gets a new connection, and idle old ones are closed.
 */
export class ClusterAgent extends Agent {
  private currentKey = '';

  constructor(options: { readonly keepAlive: boolean }) {
    super({ keepAlive: options.keepAlive, maxFreeSockets: 2, scheduling: 'lifo' });
  }

  /** To be called before each request, with what it will use. */
  keyFor(access: ClusterAccess, proxy: URL | undefined): string {
    const key = connectionKey(access, proxy);
    if (key !== this.currentKey) this.closeIdle();
    this.currentKey = key;
    return key;
  }

  override getName(options?: ClientRequestArgs): string {
    return (options as ClusterRequestArgs).connectionKey;
  }

  override createConnection(
    options: ClientRequestArgs,
    done: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    void this.connect(options as ClusterRequestArgs, done);
    return undefined;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    holdProcess(socket, false);
    // The documentation types this as void, but Node drops the socket if it returns false.
    return (super.keepSocketAlive(socket) as unknown as boolean | undefined) ?? true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    holdProcess(socket, true);
    super.reuseSocket(socket, request);
  }

  closeIdle(): void {
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  private async connect(
    { access, proxy, connectSignal }: ClusterRequestArgs,
    done: (error: Error | null, socket: Duplex) => void,
  ): Promise<void> {
    let socket: Duplex;
    try {
      socket = await openClusterSocket(access, { proxy, signal: connectSignal });
    } catch (error) {
      // Node's type demands a socket, which Node ignores beside an error.
      done(error as Error, undefined as unknown as Duplex);
      return;
    }
    // It may have died since it was opened, and Node would wait for an event that has passed.
    if (socket.destroyed)
      done(new Error('the connection was closed as soon as it was made'), socket);
    else done(null, socket);
  }
}

function connectionKey({ server, tls }: ClusterAccess, proxy: URL | undefined): string {
  const hash = createHash('sha256').update(`${server.origin}\n${proxy?.href ?? ''}\n`);
  for (const field of TLS_FIELDS) {
    const values = [tls[field]].flat() as (string | Buffer | boolean | undefined)[];
    for (const value of values) {
      hash.update(Buffer.isBuffer(value) ? value : String(value)).update(`\n${field}\n`);
    }
  }
  return hash.digest('hex');
}

const TLS_FIELDS: readonly (keyof ClusterTls)[] = [
  'ca',
  'cert',
  'key',
  'pfx',
  'passphrase',
  'servername',
  'rejectUnauthorized',
];
