import type { Duplex } from 'node:stream';

/** What TLS needs to know, in the terms of `tls.connect`. */
export interface ClusterTls {
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly pfx?: string | Buffer;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Everything one request needs to reach the API server as somebody. */
export interface ClusterAccess {
  /** May carry a path prefix. */
  readonly server: URL;
  /** Those that say who is asking, several values being several lines. They are secrets and never go into a message. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly tls: ClusterTls;
  /** The proxy of the kubeconfig; it goes before those of the environment. */
  readonly proxyUrl?: string;
}

/** Where the URL leads, the port of its scheme included; an IPv6 address without brackets. */
export function hostAndPort(url: URL): { hostname: string; port: number } {
  const fallback = url.protocol === 'https:' ? 443 : 80;
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? fallback : Number(url.port),
  };
}

/**
 * A socket can fail at moments when nobody listens: between its event and its first request, which takes some turns of
 * the promise queue, and after its last. Requests tell what becomes of them; an error that no listener takes would end
 * the whole process.
 */
export function outliveErrors(socket: Duplex): void {
  socket.on('error', () => undefined);
}
