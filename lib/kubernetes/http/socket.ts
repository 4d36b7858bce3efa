import { createPrivateKey } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  connect as connectTls,
  type ConnectionOptions,
  createSecureContext,
  type SecureContextOptions,
} from 'node:tls';
import { onAbort } from '../../core/abort-signal.js';
import { LockRequestError } from '../../core/errors.js';
import { describeProxySetting, openTunnel } from './proxy.js';
import { type ClusterAccess, hostAndPort, outliveErrors } from './socket-basics.js';

const ENCODINGS = ['pkcs1', 'pkcs8', 'sec1'] as const;
const BLOCK = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----([\s\S]+?)-----END/;

/**
 * The key as OpenSSL reads it. OpenSSL goes by the label of a PEM block; Go, and so kubectl, tries every encoding
 * whatever the label, and some tools write PKCS#1 under `BEGIN PRIVATE KEY`. A key that cannot be read is returned as
 * it is, and TLS says why.
 */
export function readableKey(key: string | Buffer): string | Buffer {
  if (canRead(() => createPrivateKey(key))) return key;
  const encoded = BLOCK.exec(key.toString())?.[1];
  if (encoded === undefined) return key;
  const der = Buffer.from(encoded, 'base64');
  for (const type of ENCODINGS) {
    const read = () => createPrivateKey({ key: der, format: 'der', type });
    if (canRead(read)) return read().export({ type: 'pkcs8', format: 'pem' });
  }
  return key;
}

function canRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/**
 * A TCP socket as a plain stream, to run TLS over. TLS that is given the socket itself takes over its handle, and
 * whether the connection can then still be reset depends on the Node version. Where it cannot, the kernel still
 * delivers what was written. Over this stream the handle stays with the socket, and `resetAndDestroy()` sends RST
 * everywhere (R15).
 */
class RawSocketStream extends Duplex {
  constructor(private readonly raw: Socket) {
    super();
    raw.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) raw.pause();
    });
    raw.on('end', () => this.push(null));
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
  }

  override _read(): void {
    this.raw.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.raw.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.raw.destroyed) done();
    else this.raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.raw.destroy();
    done(error);
  }
}

/** The TCP socket under each socket that was opened here. */
const rawSockets = new WeakMap<Duplex, Socket>();

export interface OpenSocketOptions {
  readonly proxy: URL | undefined;
  readonly signal: AbortSignal;
}

/**
 * A socket over which HTTP to the API server can be spoken: TCP, then a proxy's tunnel, then TLS. Whatever fails on the
 * way, by an event or by throwing, leaves no connection open.
 */
export async function openClusterSocket(
  access: ClusterAccess,
  options: OpenSocketOptions,
): Promise<Duplex> {
  const { proxy, signal } = options;
  const { hostname, port } = hostAndPort(access.server);
  // First, because a key that cannot be read is no reason to connect.
  const tls = access.server.protocol === 'https:' ? tlsOptions(access, hostname) : undefined;
  const raw =
    proxy === undefined
      ? await openTcpSocket(hostname, port, signal)
      : await openTunnel(proxy, { hostname, port, signal, setting: describeProxySetting(access) });
  try {
    const socket = tls === undefined ? raw : await openTlsOver(raw, tls, signal);
    rawSockets.set(socket, raw);
    return socket;
  } catch (error) {
    raw.destroy();
    throw error;
  }
}

/**
 * Ends a connection so that our own kernel delivers nothing more of what was written to it: so an abandoned request
 * does not arrive seconds later (R15). Where the platform cannot reset, it closes.
 */
export function resetSocket(socket: Duplex): void {
  const raw = rawSockets.get(socket);
  // A socket whose other end is TLS to a proxy has no handle to reset and says so by an exception.
  if (raw !== undefined && !('encrypted' in raw)) raw.resetAndDestroy();
  socket.destroy();
}

/** An idle connection must not keep the process alive; one in use must. */
export function holdProcess(socket: Duplex, hold: boolean): void {
  const raw = rawSockets.get(socket);
  if (hold) raw?.ref();
  else raw?.unref();
}

/**
 * For the TCP handshake alone, with every address that is tried. However slowly a server answers, it connects faster.
 */
const TCP_LIMIT_MS = 1_000;
const LOOKUP_ALLOWANCE_MS = 5_000;

/** The kernel repeats a lost SYN after one second, so giving up then and trying again loses nothing. */
function openTcpSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
  });
  const limit = new Error(`no TCP connection to ${host}:${port} within ${TCP_LIMIT_MS} ms`);
  // Where the event loop was busy, the timer comes before the event of a connection that was made in time.
  const giveUp = () => setImmediate(() => socket.connecting && socket.destroy(limit));
  let timer = setTimeout(giveUp, TCP_LIMIT_MS + (isIP(host) === 0 ? LOOKUP_ALLOWANCE_MS : 0));
  socket.on('connectionAttempt', () => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, TCP_LIMIT_MS);
  });
  for (const over of ['connect', 'close']) socket.once(over, () => clearTimeout(timer));
  return untilEvent(socket, 'connect', signal);
}

function openTlsOver(raw: Socket, tls: ConnectionOptions, signal: AbortSignal): Promise<Duplex> {
  const socket = connectTls({ ...tls, socket: new RawSocketStream(raw) });
  socket.once('close', () => raw.destroy());
  return untilEvent(socket, 'secureConnect', signal);
}

function tlsOptions({ tls }: ClusterAccess, hostname: string): ConnectionOptions {
  const { servername, rejectUnauthorized = true, ca, key, ...rest } = tls;
  const context: SecureContextOptions = {
    ...rest,
    ...(ca !== undefined && { ca: ca as string | Buffer | (string | Buffer)[] }),
    ...(key !== undefined && { key: readableKey(key) }),
    // As in Go, any certificate of the CA bundle is trusted, also an intermediate without its root.
    allowPartialTrustChain: true,
  };
  const name = servername ?? hostname;
  try {
    return {
      secureContext: createSecureContext(context),
      // NODE_TLS_REJECT_UNAUTHORIZED has no say here: the token would go to whoever answers.
      rejectUnauthorized,
      host: name,
      ...(isIP(name) === 0 && { servername: name }),
      ALPNProtocols: ['http/1.1'],
    };
  } catch (cause) {
    throw new LockRequestError(
      `TLS cannot use the configured CA, client certificate and key: ${(cause as Error).message}.`,
      { reason: 'unreachable', cause },
    );
  }
}

/** Resolves with the socket at its event; an abort before it destroys the socket. */
function untilEvent<T extends Socket>(socket: T, event: string, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      ignoreAbort();
      socket.removeListener('error', fail);
      socket.removeListener('close', closed);
      socket.removeListener(event, done);
    };
    const fail = (error: Error) => {
      settle();
      reject(error);
    };
    const closed = () => fail(new Error('the connection was closed while it was being made'));
    const done = () => {
      settle();
      resolve(socket);
    };
    outliveErrors(socket);
    socket.once('error', fail);
    socket.once('close', closed);
    socket.once(event, done);
    const ignoreAbort = onAbort(signal, () => socket.destroy(signal.reason as Error));
  });
}
