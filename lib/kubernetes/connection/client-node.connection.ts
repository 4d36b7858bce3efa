import { LockRequestError } from '../../core/errors.js';
import { isJsonObject } from '../../core/json-document.js';
import type { ClusterAccess, ClusterTls } from '../http/socket-basics.js';
import { bareError } from '../redaction.js';
import { type NamespacedConnection, within } from './cluster-connection.js';
import {
  CredentialProgram,
  type ProgramCredentials,
  readProgramConfig,
} from './credential-program.js';
import { LOGIN_LIMIT_MS, UnknownContextError } from './kubeconfig.connection.js';
import { KubeconfigEntry, parseServer } from './kubeconfig.js';
import type { KubeConfigLike } from './kubeconfig.loader.js';

const WHERE = 'the given KubeConfig';
/** They run a program that blocks the whole process for as long as it takes; kubectl no longer supports them either. */
const BLOCKING_PROVIDERS = ['azure', 'gcp'];

/**
 * The API server of a `KubeConfig` of client-node that the application has made. Its own authenticators give the
 * credentials before every request, except for programs: those run here, where they are bounded. The object lacks what
 * client-node does not read from a file (groups, uid and extra of an impersonation, tokenFile).
 */
export class ClientNodeConnection implements NamespacedConnection {
  private view: KubeConfigLike | undefined;
  private program: CredentialProgram | undefined;

  constructor(
    private readonly kubeConfig: KubeConfigLike,
    private readonly contextName: string | undefined,
    private readonly limitMs: number = LOGIN_LIMIT_MS,
  ) {}

  async namespace(): Promise<string | undefined> {
    const view = this.select();
    return view.getContextObject(view.getCurrentContext())?.namespace || undefined;
  }

  async access(): Promise<ClusterAccess> {
    const view = this.select();
    const cluster = view.getCurrentCluster();
    const where = `${WHERE}, context "${view.getCurrentContext()}"`;
    const server = parseServer(cluster?.server ?? '', where);
    const proxy = cluster?.proxyUrl ? { proxyUrl: cluster.proxyUrl } : {};
    const user = fieldsOf(view.getCurrentUser?.());
    if (server.protocol === 'http:')
      return { server, headers: impersonation(user), tls: {}, ...proxy };
    const options = await this.applied(view, user, where);
    const given = await this.askProgram(user, where);
    return {
      server,
      headers: {
        ...headersOf(options),
        ...(given.token !== undefined && { Authorization: `Bearer ${given.token}` }),
      },
      tls: {
        ...tlsOf(options),
        ...(given.cert && { cert: given.cert }),
        ...(given.key && { key: given.key }),
      },
      ...proxy,
    };
  }

  /** The object is the application's to renew; its authenticators are asked again all the same. */
  refresh(): Promise<void> {
    this.program?.forget();
    return Promise.resolve();
  }

  close(): void {
    this.program?.close();
  }

  describeCredentials(): string {
    const context = this.view?.getCurrentContext();
    const user = context && this.view?.getContextObject(context)?.user;
    return `the credentials of ${user ? `user "${user}" of context "${context}"` : 'the current user'} in ${WHERE}`;
  }

  /** The application's own object keeps its current context: the choice is made on one that only inherits from it. */
  private select(): KubeConfigLike {
    if (this.view !== undefined) return this.view;
    const context = this.contextName ?? this.kubeConfig.getCurrentContext();
    if (!context || this.kubeConfig.getContextObject(context) === null) {
      const known = this.kubeConfig.getContexts().map(({ name }) => name);
      throw new UnknownContextError(context, known, WHERE);
    }
    const view = Object.create(this.kubeConfig) as KubeConfigLike;
    view.setCurrentContext(context);
    this.view = view;
    return view;
  }

  private async applied(
    view: KubeConfigLike,
    user: Record<string, unknown>,
    where: string,
  ): Promise<AppliedOptions> {
    const provider = fieldsOf(user['authProvider'])['name'];
    if (BLOCKING_PROVIDERS.includes(String(provider))) {
      throw noCredentials(
        where,
        `its auth-provider "${String(provider)}" is not supported: use exec`,
      );
    }
    const withoutProgram = Object.create(view) as KubeConfigLike;
    withoutProgram.getCurrentUser = () =>
      view.getCurrentUser?.() ? { ...user, exec: null } : null;
    const options: AppliedOptions = {};
    try {
      await within(
        this.limitMs,
        withoutProgram.applyToHTTPSOptions(options),
        () => new Error(`nothing came within ${this.limitMs} ms`),
      );
    } catch (cause) {
      const bare = bareError(cause, secretsOf(user));
      throw noCredentials(where, bare.message, bare);
    }
    return options;
  }

  private async askProgram(
    user: Record<string, unknown>,
    where: string,
  ): Promise<ProgramCredentials> {
    const exec = user['exec'] ?? fieldsOf(fieldsOf(user['authProvider'])['config'])['exec'];
    if (!isJsonObject(exec) || user['token']) return {};
    const entry = new KubeconfigEntry(`${where}, exec`, exec, process.cwd());
    const config = readProgramConfig(entry, () => {
      throw entry.fault(
        'provideClusterInfo',
        'is not supported for an object: pass kubeConfigFile instead',
      );
    });
    if (JSON.stringify(config) !== JSON.stringify(this.program?.config)) {
      this.program?.close();
      this.program = new CredentialProgram(config, this.limitMs);
    }
    return await this.program!.credentials();
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

function impersonation(user: Record<string, unknown>): Record<string, string> {
  const name = user['impersonateUser'];
  return typeof name === 'string' && name !== '' ? { 'Impersonate-User': name } : {};
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return isJsonObject(value) ? value : {};
}

/** All texts of the login and what the user itself holds: which of them are secret depends on the provider. */
function secretsOf({ token, password, keyData, authProvider }: Record<string, unknown>): string[] {
  const login = Object.entries(fieldsOf(fieldsOf(authProvider)['config']));
  const ofLogin = login.filter(([name]) => /token|secret|password/i.test(name));
  return [token, password, keyData, ...ofLogin.map(([, value]) => value)].filter(
    (value) => typeof value === 'string',
  );
}

function noCredentials(where: string, why: string, cause?: unknown): LockRequestError {
  return new LockRequestError(`${where} gives no credentials: ${why}.`, {
    reason: 'unreachable',
    cause,
  });
}
