import { LockRequestError } from '../../core/errors.js';
import type { ClusterAccess } from '../http/socket-basics.js';
import { bareError } from '../redaction.js';
import { type NamespacedConnection, within } from './cluster-connection.js';
import {
  CredentialProgram,
  type ProgramCredentials,
  readProgramConfig,
} from './credential-program.js';
import {
  impersonation,
  type Kubeconfig,
  type KubeconfigCluster,
  type KubeconfigEntry,
  readCluster,
  readOwnCredentials,
} from './kubeconfig.js';
import {
  type ClientNode,
  describeSource,
  type KubeConfigLike,
  type KubeconfigSource,
  loadClientNode,
  readKubeconfig,
} from './kubeconfig.loader.js';

/** A token endpoint answers in a second or two; what takes this long hangs. */
export const LOGIN_LIMIT_MS = 15_000;

/** The `auth-provider` oidc of a kubeconfig, whose tokens client-node renews. */
export class OidcLogin {
  private asking: Promise<string> | undefined;

  private constructor(
    private readonly provider: KubeconfigEntry,
    private readonly text: string,
    private readonly kubeConfig: KubeConfigLike,
    private readonly secrets: readonly string[],
    private readonly limitMs: number,
  ) {}

  /** The known login as long as the entry is the same: it may hold a newer token than the file. */
  static of(
    provider: KubeconfigEntry,
    known: OidcLogin | undefined,
    { KubeConfig }: ClientNode,
    limitMs = LOGIN_LIMIT_MS,
  ): OidcLogin {
    const name = provider.text('name');
    if (name !== 'oidc') {
      throw provider.fault(
        'name',
        `is "${name}", which kubectl no longer supports either: use exec`,
      );
    }
    const config = Object.fromEntries(provider.entry('config')?.allTexts() ?? []);
    const text = JSON.stringify(config);
    if (known?.text === text) return known;
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromOptions({
      clusters: [{ name: 'any', server: 'https://any', skipTLSVerify: false }],
      users: [{ name: 'any', authProvider: { name, config } }],
      contexts: [{ name: 'any', cluster: 'any', user: 'any' }],
      currentContext: 'any',
    });
    const { 'id-token': idToken, 'refresh-token': refreshToken, 'client-secret': secret } = config;
    const secrets = [idToken, refreshToken, secret].filter((each) => each !== undefined);
    return new OidcLogin(provider, text, kubeConfig, secrets, limitMs);
  }

  token(): Promise<string> {
    this.asking ??= within(this.limitMs, this.ask(), () =>
      this.failure('gave no answer in time'),
    ).finally(() => (this.asking = undefined));
    return this.asking;
  }

  private async ask(): Promise<string> {
    const options: { headers?: Record<string, string> } = {};
    try {
      await this.kubeConfig.applyToHTTPSOptions(options);
    } catch (cause) {
      // Errors of the provider's client hold the whole exchange.
      const bare = bareError(cause, this.secrets);
      throw this.failure(bare.message, bare);
    }
    const token = options.headers?.['Authorization']?.replace(/^Bearer /, '');
    if (token) return token;
    throw this.failure(
      'its id-token is missing or has expired, and without client-id, refresh-token and idp-issuer-url ' +
        'there is no other',
    );
  }

  private failure(why: string, cause?: unknown): LockRequestError {
    return new LockRequestError(
      `the OIDC login of the kubeconfig (${this.provider.where}) gives no token: ${why}. Log in again.`,
      { reason: 'unreachable', cause },
    );
  }
}

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
        `the kubeconfig cannot be used: ${user.where}: there are no credentials (kubectl would ask for a user name and a password). ` +
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

  /** Asks a program or a login, but only for what the entry itself does not hold. */
  private async askOthers(
    user: KubeconfigEntry,
    own: ReturnType<typeof readOwnCredentials>,
    cluster: KubeconfigCluster,
    clusterEntry: KubeconfigEntry,
  ): Promise<ProgramCredentials> {
    const exec = user.entry('exec');
    const provider = user.entry('auth-provider');
    if (exec !== undefined && provider !== undefined) {
      throw user.fault('exec', 'cannot be combined with auth-provider');
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
