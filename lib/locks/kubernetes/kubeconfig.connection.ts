import { LockRequestError } from '../../core/errors/lock-request.error.js';
import { messageOf } from '../../core/thrown-value.js';
import type { ClusterAccess, ClusterConnection, ClusterTls } from './cluster-connection.js';
import {
  describeSource,
  loadKubeConfig,
  type KubeConfigLike,
  type KubeConfigSource,
} from './kubeconfig.loader.js';

/** The kubeconfig was read and has no such context. */
export class UnknownContextError extends LockRequestError {
  constructor(
    readonly context: string | undefined,
    readonly known: readonly string[],
    where: string,
  ) {
    super(
      (context
        ? `${where} has no context "${context}". `
        : `${where} has no current context. Name one in the option context. `) +
        `Its contexts are: ${known.join(', ') || 'none'}.`,
      { reason: 'unreachable' },
    );
  }
}

/**
 * The API server of one context of a kubeconfig, as its user. Credentials come from client-node before every request,
 * so that its exec, OIDC and token-file plug-ins decide when to renew them.
 */
export class KubeconfigConnection implements ClusterConnection {
  private loaded: KubeConfigLike | undefined;
  private pending: Promise<ClusterAccess> | undefined;

  constructor(
    private readonly source: KubeConfigSource,
    private readonly context: string | undefined,
    private readonly load: (source: KubeConfigSource) => Promise<KubeConfigLike> = loadKubeConfig,
  ) {}

  /** The namespace of the context, if it names one. */
  async namespace(): Promise<string | undefined> {
    const kubeConfig = await this.kubeConfig();
    return kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace || undefined;
  }

  /** Requests made while a plug-in still runs (an exec program may take seconds) wait for that one. */
  access(): Promise<ClusterAccess> {
    this.pending ??= this.ask().finally(() => (this.pending = undefined));
    return this.pending;
  }

  /**
   * Reads the file again, and with it makes new plug-ins that remember no token. An instance the application made is
   * its own to renew; its plug-ins are asked again all the same.
   */
  refresh(): Promise<void> {
    if (this.source.kind !== 'instance') this.loaded = undefined;
    return Promise.resolve();
  }

  describeCredentials(): string {
    const context = this.loaded?.getCurrentContext();
    const user = context && this.loaded?.getContextObject(context)?.user;
    const whose = user ? `user "${user}" of context "${context}"` : 'the current user';
    return `the credentials of ${whose} in ${describeSource(this.source)}`;
  }

  private async kubeConfig(): Promise<KubeConfigLike> {
    this.loaded ??= this.select(await this.load(this.source));
    return this.loaded;
  }

  private select(kubeConfig: KubeConfigLike): KubeConfigLike {
    const context = this.context ?? kubeConfig.getCurrentContext();
    if (!context || kubeConfig.getContextObject(context) === null) {
      const known = kubeConfig.getContexts().map(({ name }) => name);
      throw new UnknownContextError(context, known, describeSource(this.source));
    }
    // The application's own object keeps its current context: the choice is made on one that only inherits from it.
    const view = Object.create(kubeConfig) as KubeConfigLike;
    view.setCurrentContext(context);
    return view;
  }

  private async ask(): Promise<ClusterAccess> {
    const kubeConfig = await this.kubeConfig();
    const where = `context "${kubeConfig.getCurrentContext()}" of ${describeSource(this.source)}`;
    const cluster = kubeConfig.getCurrentCluster();
    if (!cluster || !URL.canParse(cluster.server)) {
      throw new LockRequestError(`${where} names no cluster with a usable server URL.`, {
        reason: 'unreachable',
      });
    }
    const options: AppliedOptions = {};
    try {
      await kubeConfig.applyToHTTPSOptions(options);
    } catch (cause) {
      throw new LockRequestError(
        `${where} gives no credentials: ${messageOf(cause)}.${httpHint(cluster.server)}`,
        { reason: 'unreachable', cause },
      );
    }
    return {
      server: new URL(cluster.server),
      headers: headersOf(options),
      tls: tlsOf(options),
      ...(cluster.proxyUrl && { proxyUrl: cluster.proxyUrl }),
    };
  }
}

/** What client-node sets on request options, as far as it is used here. */
interface AppliedOptions extends ClusterTls {
  headers?: Record<string, unknown>;
  auth?: string;
}

function headersOf({ headers = {}, auth }: AppliedOptions): Record<string, string> {
  const basic = auth && { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` };
  const texts = Object.entries(headers).map(([name, value]) => [name, String(value).trim()]);
  return { ...basic, ...(Object.fromEntries(texts) as Record<string, string>) };
}

function tlsOf(options: AppliedOptions): ClusterTls {
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const given = Object.entries({ ca, cert, key, pfx, passphrase, servername, rejectUnauthorized });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as ClusterTls;
}

function httpHint(server: string): string {
  if (!server.startsWith('http:')) return '';
  return (
    ' client-node speaks to an http:// server only with insecure-skip-tls-verify: true in its cluster entry;' +
    ' without any kubeconfig it falls back to http://localhost:8080.'
  );
}
