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

/** What one request needs to reach the API server, with its credentials. */
export interface ClusterAccess {
  /** May carry a path prefix. */
  readonly server: URL;
  /**
   * Headers that say who is asking; several values are several lines. They are secrets and never appear in a message.
   */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly tls: ClusterTls;
  /** The proxy of the kubeconfig; it takes precedence over those of the environment. */
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
 * A socket can fail at moments when nothing listens: between its event and its first request, which takes some turns of
 * the promise queue, and after its last. Requests report their own failures; an error without a listener would end the
 * whole process.
 */
export function outliveErrors(socket: Duplex): void {
  socket.on('error', () => undefined);
}
