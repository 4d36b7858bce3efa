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

/** Where an API server is and how to prove who is asking: the service account of a pod, or a kubeconfig. */
export interface ClusterConnection {
  /**
   * Asked for before every request, so that rotated tokens and certificates are used at once. Rejects with an
   * explanation for people; the next request asks again.
   */
  access(): Promise<ClusterAccess>;
  /** The server said 401: forget what was kept, so that the next `access()` looks again. */
  refresh(): Promise<void>;
  /** For messages: whose credentials these are and what can be told of them without telling them. */
  describeCredentials(): string;
  /** Ends what runs for the credentials (a program). Nothing is asked for afterwards. */
  close?(): void;
}

/** A connection that knows a namespace of its own, which may be none. */
export interface NamespacedConnection extends ClusterConnection {
  namespace(): Promise<string | undefined>;
}

/** Where the URL leads, the port of its scheme included; an IPv6 address without brackets. */
export function hostAndPort(url: URL): { hostname: string; port: number } {
  const fallback = url.protocol === 'https:' ? 443 : 80;
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? fallback : Number(url.port),
  };
}
