import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { AccessControl, type PolicyRule } from './access-control.js';
import {
  ApiClient,
  type ApiObject,
  type ApiRequestOptions,
  type ApiResponse,
} from './api-client.js';
import { type AuditEntry, parseAuditLog } from './audit-log.js';
import { findBinary } from './binaries.js';
import { ControlPlaneFiles } from './control-plane-files.js';
import { compactEtcd, etcdObstacle } from './etcd-health.js';
import { findFreePort } from './free-port.js';
import { demandedMinor } from './go-build.js';
import { kubeconfig, type KubeconfigContext } from './kubeconfig.js';
import { Lifeline } from './lifeline.js';
import { ServerProcess } from './server-process.js';

export interface ControlPlaneOptions {
  /** Flags of kube-apiserver, added after those that every control plane has. */
  apiServerArguments?: readonly string[];
  /** How many kube-apiservers on the one etcd; default 1. */
  apiServers?: number;
  /** The audit log has the bodies of all writes to leases. */
  auditsBodies?: boolean;
}

interface ApiServer {
  readonly name: string;
  readonly process: ServerProcess;
  port: number;
}

/** How long the first start on a machine may take, which builds the servers. */
export const FIRST_START_LIMIT_MS = 900_000;

const READY_LIMIT_MS = 60_000;
const PROBE_LIMIT_MS = 3_000;
const PORT_ATTEMPTS = 5;

/**
 * A real kube-apiserver and etcd of their own. There is no kubelet, and no controller that a test does not start: a Pod
 * runs when a test writes so to its `status` sub-resource, and a deleted namespace is never emptied.
 */
export class ControlPlane {
  readonly directory: string;
  readonly caFile: string;
  readonly adminToken: string;
  readonly adminKubeconfig: string;
  private readonly etcd: ServerProcess;
  private readonly apiServers: readonly ApiServer[];
  private readonly lifeline: Lifeline;
  private controllers: ServerProcess | undefined;
  private kubeconfigs = 0;

  /** Builds the servers first where the machine has none, which takes minutes, once. */
  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const etcd = await findBinary('etcd');
    const apiServer = await findBinary('kube-apiserver');
    const controlPlane = new ControlPlane(
      new ControlPlaneFiles(options),
      { etcd, apiServer },
      options,
    );
    try {
      await controlPlane.startEtcd();
      for (const server of controlPlane.apiServers) await controlPlane.startOnFreePort(server);
      await controlPlane.tellVersion();
    } catch (error) {
      await controlPlane.stop();
      throw error;
    }
    controlPlane.writeKubeconfig('admin', { token: controlPlane.adminToken });
    return controlPlane;
  }

  private constructor(
    private readonly files: ControlPlaneFiles,
    binaries: { etcd: string; apiServer: string },
    private readonly options: ControlPlaneOptions,
  ) {
    this.directory = files.directory;
    this.caFile = files.caFile;
    this.adminToken = files.adminToken;
    this.adminKubeconfig = files.path('admin.kubeconfig');
    this.lifeline = new Lifeline(files.directory);
    const server = (name: string, binary: string): ServerProcess =>
      new ServerProcess(name, binary, files.path(`${name}.log`), this.lifeline);
    this.etcd = server('etcd', binaries.etcd);
    this.apiServers = Array.from({ length: options.apiServers ?? 1 }, (_, index) => {
      const name = index === 0 ? 'kube-apiserver' : `kube-apiserver-${index + 1}`;
      return { name, process: server(name, binaries.apiServer), port: 0 };
    });
  }

  get url(): string {
    return urlOf(this.apiServer());
  }

  /** Of each kube-apiserver, in the order in which the methods below number them. */
  get ports(): number[] {
    return this.apiServers.map(({ port }) => port);
  }

  request<Body = ApiObject>(
    method: string,
    path: string,
    body?: unknown,
    options?: ApiRequestOptions,
  ): Promise<ApiResponse<Body>> {
    return this.api.request<Body>(method, path, body, options);
  }

  createNamespace(name: string): Promise<void> {
    return new AccessControl(this.api).createNamespace(name);
  }

  createServiceAccount(namespace: string, name: string): Promise<void> {
    return new AccessControl(this.api).createServiceAccount(namespace, name);
  }

  /** The server refuses less than 600 seconds. */
  createToken(namespace: string, name: string, expirationSeconds = 600): Promise<string> {
    return new AccessControl(this.api).createToken(namespace, name, expirationSeconds);
  }

  /** Gives a service account exactly these rights in its namespace; returns when they are in force. */
  applyRole(
    namespace: string,
    serviceAccount: string,
    rules: readonly PolicyRule[],
  ): Promise<void> {
    return new AccessControl(this.api).applyRole(namespace, serviceAccount, rules);
  }

  kubeconfigFor(token: string, namespace?: string): string {
    return this.writeKubeconfig(`user-${++this.kubeconfigs}`, { token }, namespace);
  }

  kubeconfigForUser(user: object, namespace?: string): string {
    return this.writeKubeconfig(`user-${++this.kubeconfigs}`, user, namespace);
  }

  kubeconfigForTokenFile(tokenFile: string, namespace?: string): string {
    return this.writeKubeconfig(`user-${++this.kubeconfigs}`, { tokenFile }, namespace);
  }

  /** A request's line is written a moment after its answer, and a killed server never writes it. */
  async auditLog(): Promise<AuditEntry[]> {
    const logs = this.apiServers.map(({ name }) => this.files.auditLogFile(name));
    const texts = logs.map(async (file) => (existsSync(file) ? readFile(file, 'utf8') : ''));
    return (await Promise.all(texts)).flatMap(parseAuditLog);
  }

  killApiServer(signal?: NodeJS.Signals, index = 0): Promise<void> {
    return this.apiServer(index).process.kill(signal);
  }

  /** On the port, the data and the keys it had before, so that clients can reconnect. */
  async startApiServer(index = 0): Promise<void> {
    const { apiServerArguments = [] } = this.options;
    const { name, port, process } = this.apiServer(index);
    process.start([...this.files.apiServerArguments(name, port), ...apiServerArguments]);
    await this.waitUntilReady(index);
  }

  /** Useful after an outage of etcd as well, which the running kube-apiserver notices late. */
  waitUntilReady(index = 0): Promise<void> {
    const server = this.apiServer(index);
    return server.process.waitUntilReady(() => this.obstacleOf(server), READY_LIMIT_MS);
  }

  /** SIGSTOP: connections stay open and nothing is answered. */
  stopApiServer(index = 0): void {
    this.apiServer(index).process.signal('SIGSTOP');
  }

  contApiServer(index = 0): void {
    this.apiServer(index).process.signal('SIGCONT');
  }

  killEtcd(signal?: NodeJS.Signals): Promise<void> {
    return this.etcd.kill(signal);
  }

  async startEtcd(): Promise<void> {
    this.etcd.start(this.files.etcdArguments);
    await this.etcd.waitUntilReady(() => etcdObstacle(this.files.etcdSocket), READY_LIMIT_MS);
  }

  /** What was before now is forgotten: who continues from an older version is told 410. */
  compactEtcd(): Promise<void> {
    return compactEtcd(this.files.etcdSocket);
  }

  stopEtcd(): void {
    this.etcd.signal('SIGSTOP');
  }

  contEtcd(): void {
    this.etcd.signal('SIGCONT');
  }

  /** Those of kube-controller-manager with these names, for example `endpointslice-controller`. */
  async startControllers(...names: string[]): Promise<void> {
    const name = 'kube-controller-manager';
    const binary = await findBinary(name);
    this.controllers = new ServerProcess(
      name,
      binary,
      this.files.path(`${name}.log`),
      this.lifeline,
    );
    this.controllers.start([
      `--kubeconfig=${this.adminKubeconfig}`,
      `--controllers=${names.join(',')}`,
      '--leader-elect=false',
      '--secure-port=0',
    ]);
  }

  async stop(): Promise<void> {
    const servers = [...this.apiServers.map(({ process }) => process), this.etcd];
    if (this.controllers !== undefined) servers.unshift(this.controllers);
    const running = servers.filter((server) => server.isRunning);
    await Promise.all(running.map((server) => server.kill()));
    await this.lifeline.release();
  }

  private get api(): ApiClient {
    return this.clientOf(this.apiServer());
  }

  private clientOf(server: ApiServer): ApiClient {
    return new ApiClient(urlOf(server), this.files.ca, this.adminToken);
  }

  private apiServer(index = 0): ApiServer {
    const server = this.apiServers[index];
    if (server === undefined) throw new Error(`there is no kube-apiserver ${index}`);
    return server;
  }

  private writeKubeconfig(
    name: string,
    user: KubeconfigContext['user'],
    namespace?: string,
  ): string {
    const { caFile, url: server } = this;
    return this.files.write(`${name}.kubeconfig`, kubeconfig({ server, caFile, user, namespace }));
  }

  /** Binaries that were found may be of any version: what the server says of itself is what was tested. */
  private async tellVersion(): Promise<void> {
    const { gitVersion } = await this.api.demand('GET', '/version');
    const demanded = demandedMinor();
    if (demanded !== undefined && !String(gitVersion).startsWith(`v${demanded}.`)) {
      throw new Error(
        `KUBERNETES_MINOR asks for ${demanded} and the kube-apiserver that KUBEBUILDER_ASSETS names is ${String(gitVersion)}: unset one of the two`,
      );
    }
    process.stderr.write(`[control plane] kube-apiserver ${String(gitVersion)}\n`);
  }

  private async startOnFreePort(server: ApiServer): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      server.port = await findFreePort();
      try {
        return await this.startApiServer(this.apiServers.indexOf(server));
      } catch (error) {
        const isPortTaken = String(error).includes('address already in use');
        if (!isPortTaken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  private async obstacleOf(server: ApiServer): Promise<string | undefined> {
    try {
      const client = this.clientOf(server);
      const { status, body } = await client.request<unknown>('GET', '/readyz', undefined, {
        timeLimitMs: PROBE_LIMIT_MS,
      });
      return status === 200 ? undefined : `${status} ${JSON.stringify(body)}`;
    } catch (error) {
      return String(error);
    }
  }
}

function urlOf({ port }: ApiServer): string {
  return `https://127.0.0.1:${port}`;
}
