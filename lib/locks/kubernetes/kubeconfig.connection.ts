import { LockRequestError } from '../../core/errors.js';
import type { ClusterAccess, NamespacedConnection } from './cluster-connection.js';
import {
  CredentialProgram,
  readProgramConfig,
  type ProgramCredentials,
} from './credential-program.js';
import { readCluster, type KubeconfigCluster } from './kubeconfig-cluster.js';
import { impersonation, readOwnCredentials } from './kubeconfig-user.js';
import {
  describeSource,
  loadClientNode,
  readKubeconfig,
  type ClientNode,
  type KubeconfigSource,
} from './kubeconfig.loader.js';
import type { Kubeconfig, KubeconfigEntry } from './kubeconfig.js';
import { OidcLogin } from './oidc-login.js';

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

/** One context of a kubeconfig. */
interface Selected {
  readonly context: KubeconfigEntry;
  readonly cluster: KubeconfigEntry;
  /** Empty where the context names none. */
  readonly user: KubeconfigEntry;
}

/**
 * The API server of one context of kubeconfig files, as its user, by kubectl's rules (docs/kubeconfig.md has them field
 * by field). Files that the entries name are read before every request; the kubeconfig itself is read again after a 401.
 */
export class KubeconfigConnection implements NamespacedConnection {
  private selected: Selected | undefined;
  private program: CredentialProgram | undefined;
  private login: OidcLogin | undefined;

  constructor(
    private readonly source: KubeconfigSource,
    private readonly contextName: string | undefined,
    private readonly load: () => Promise<ClientNode> = loadClientNode,
    /** How long a program or a login may take. */
    private readonly limitMs?: number,
  ) {}

  async namespace(): Promise<string | undefined> {
    const { context } = await this.select();
    return context.text('namespace') || undefined;
  }

  async access(): Promise<ClusterAccess> {
    const { cluster: clusterEntry, user } = await this.select();
    const cluster = readCluster(clusterEntry);
    const headers = impersonation(user);
    if (cluster.server.protocol === 'http:') return { ...cluster, headers };
    const own = readOwnCredentials(user);
    const given = await this.askOthers(user, own, cluster, clusterEntry);
    const authorization = {
      ...own.headers,
      ...(given.token !== undefined && { Authorization: `Bearer ${given.token}` }),
    };
    const { cert = own.tls.cert, key = own.tls.key } = given;
    if (cert === undefined && Object.keys(authorization).length === 0) {
      throw new LockRequestError(
        `the kubeconfig cannot be used: ${user.where}: there are no credentials, for which kubectl would ask. ` +
          'Add a token, a client certificate or an exec program to the user of the context.',
        { reason: 'unreachable' },
      );
    }
    return {
      ...cluster,
      headers: { ...headers, ...authorization },
      tls: { ...cluster.tls, ...(cert !== undefined && key !== undefined && { cert, key }) },
    };
  }

  refresh(): Promise<void> {
    this.selected = undefined;
    this.program?.forget();
    return Promise.resolve();
  }

  close(): void {
    this.program?.close();
  }

  describeCredentials(): string {
    const name = this.selected?.context.text('user');
    const whose = name ? `user "${name}"` : 'the current user';
    return `the credentials of ${whose} in ${describeSource(this.source)}`;
  }

  private async select(): Promise<Selected> {
    this.selected ??= this.selectFrom(await readKubeconfig(this.source, this.load));
    return this.selected;
  }

  private selectFrom({ contexts, clusters, users, currentContext }: Kubeconfig): Selected {
    const name = this.contextName ?? currentContext;
    const context = contexts.get(name);
    if (context === undefined) {
      throw new UnknownContextError(name, [...contexts.keys()], describeSource(this.source));
    }
    const cluster = clusters.get(context.text('cluster'));
    if (cluster === undefined) {
      throw context.fault('cluster', `"${context.text('cluster')}" is not among the clusters`);
    }
    const userName = context.text('user');
    const user = userName === '' ? context.empty() : users.get(userName);
    if (user === undefined) throw context.fault('user', `"${userName}" is not among the users`);
    return { context, cluster, user };
  }

  /** Asks a program or a login, each only where the entry itself does not hold what they would give. */
  private async askOthers(
    user: KubeconfigEntry,
    own: ReturnType<typeof readOwnCredentials>,
    cluster: KubeconfigCluster,
    clusterEntry: KubeconfigEntry,
  ): Promise<ProgramCredentials> {
    const exec = user.entry('exec');
    const provider = user.entry('auth-provider');
    if (exec !== undefined && provider !== undefined) {
      throw user.fault('exec', 'excludes auth-provider');
    }
    const hasAuthorization = Object.keys(own.headers).length > 0;
    if (exec !== undefined) {
      const config = readProgramConfig(exec, () => describeForProgram(cluster, clusterEntry));
      if (hasAuthorization || own.tls.cert !== undefined) return {};
      if (JSON.stringify(config) !== JSON.stringify(this.program?.config)) {
        this.program?.close();
        this.program = new CredentialProgram(config, this.limitMs);
      }
      return await this.program!.credentials();
    }
    if (provider === undefined || hasAuthorization) return {};
    this.login = OidcLogin.of(provider, this.login, await this.load(), this.limitMs);
    return { token: await this.login.token() };
  }
}

/** The `cluster` of an ExecCredential. */
function describeForProgram({ tls, proxyUrl }: KubeconfigCluster, entry: KubeconfigEntry): object {
  const config = entry
    .entries('extensions')
    .find((extension) => extension.text('name') === 'client.authentication.k8s.io/exec')
    ?.raw('extension');
  return {
    server: entry.text('server'),
    ...(tls.servername !== undefined && { 'tls-server-name': tls.servername }),
    ...(tls.rejectUnauthorized === false && { 'insecure-skip-tls-verify': true }),
    ...(Buffer.isBuffer(tls.ca) && { 'certificate-authority-data': tls.ca.toString('base64') }),
    ...(proxyUrl !== undefined && { 'proxy-url': proxyUrl }),
    ...(entry.flag('disable-compression') && { 'disable-compression': true }),
    config: config ?? null,
  };
}
