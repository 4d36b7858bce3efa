import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { onAbort } from '../../core/abort-signal.js';
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

/** Longer than a request that is about to follow takes to come. Servers wait longer for the first request of a connection. */
const UNUSED_LIMIT_MS = 10_000;

/** A connection that was opened for a request that is yet to come. */
class ConnectionAhead {
  private readonly limit = new AbortController();
  private readonly opened: Promise<Duplex>;
  private readonly unused: NodeJS.Timeout;

  constructor(
    readonly key: string,
    open: (signal: AbortSignal) => Promise<Duplex>,
    ended: () => void,
  ) {
    this.opened = open(this.limit.signal);
    this.unused = setTimeout(() => this.close(), UNUSED_LIMIT_MS);
    this.unused.unref();
    this.opened.then((socket) => {
      holdProcess(socket, false);
      socket.once('close', ended);
    }, ended);
  }

  /** The connection, for the caller to keep; undefined if it could not be made or has been closed since. */
  async take(signal: AbortSignal): Promise<Duplex | undefined> {
    clearTimeout(this.unused);
    const ignoreAbort = onAbort(signal, () => this.limit.abort(signal.reason));
    try {
      const socket = await this.opened;
      if (socket.destroyed) return undefined;
      holdProcess(socket, true);
      return socket;
    } catch {
      // Why is for the connection that the request then makes to find out.
      return undefined;
    } finally {
      ignoreAbort();
    }
  }

  close(): void {
    clearTimeout(this.unused);
    this.limit.abort(new Error('no request has followed'));
    this.opened.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
  }
}

/**
 * The connections of one lock, shared with no one. Speaks HTTP/1.1 over whatever the access asks for. When server, CA
 * or client certificate change, the next request gets a new connection, and idle old ones are closed.
 */
export class ClusterAgent extends Agent {
  private settings: readonly unknown[] = [];
  private settingsUsed = 0;
  private ahead: ConnectionAhead | undefined;

  constructor(options: { readonly keepAlive: boolean }) {
    super({ keepAlive: options.keepAlive, maxFreeSockets: 2, scheduling: 'lifo' });
  }

  /** To be called before each request, with what it will use. */
  keyFor(access: ClusterAccess, proxy: URL | undefined): string {
    const settings = settingsOf(access, proxy);
    // Compared, as a hash of them would cost every request a tenth of a millisecond.
    if (!isSame(settings, this.settings)) {
      this.closeIdle();
      this.settings = settings;
      this.settingsUsed += 1;
    }
    return String(this.settingsUsed);
  }

  /** Opens a connection for the next request, unless there is one that it can have. */
  connectAhead(access: ClusterAccess, proxy: URL | undefined): void {
    const key = this.keyFor(access, proxy);
    const isThere = [this.freeSockets, this.sockets].some((all) => (all[key]?.length ?? 0) > 0);
    if (isThere || this.ahead !== undefined) return;
    const open = (signal: AbortSignal): Promise<Duplex> =>
      openClusterSocket(access, { proxy, signal });
    const ahead = new ConnectionAhead(key, open, () => {
      if (this.ahead === ahead) this.closeAhead();
    });
    this.ahead = ahead;
  }

  override destroy(): void {
    this.closeAhead();
    super.destroy();
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
    this.closeAhead();
  }

  private closeAhead(): void {
    const { ahead } = this;
    this.ahead = undefined;
    ahead?.close();
  }

  private takeAhead(key: string, signal: AbortSignal): Promise<Duplex | undefined> | undefined {
    const { ahead } = this;
    if (ahead?.key !== key) return undefined;
    this.ahead = undefined;
    return ahead.take(signal);
  }

  private async connect(
    { access, proxy, connectionKey: key, connectSignal }: ClusterRequestArgs,
    done: (error: Error | null, socket: Duplex) => void,
  ): Promise<void> {
    let socket: Duplex;
    try {
      const ahead = await this.takeAhead(key, connectSignal);
      connectSignal.throwIfAborted();
      socket = ahead ?? (await openClusterSocket(access, { proxy, signal: connectSignal }));
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

/** What a connection depends on, in one order. */
function settingsOf({ server, tls }: ClusterAccess, proxy: URL | undefined): readonly unknown[] {
  return [server.origin, proxy?.href, ...TLS_FIELDS.map((field) => tls[field])];
}

function isSame(one: unknown, other: unknown): boolean {
  if (Buffer.isBuffer(one)) return Buffer.isBuffer(other) && one.equals(other);
  if (!Array.isArray(one)) return one === other;
  const { length } = one;
  return (
    Array.isArray(other) &&
    other.length === length &&
    one.every((each, index) => isSame(each, other[index]))
  );
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
