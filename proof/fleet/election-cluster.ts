import type { PolicyRule } from '../control-plane/access-control.js';
import type { ApiObject } from '../control-plane/api-client.js';
import type { AuditEntry } from '../control-plane/audit-log.js';
import { ControlPlane, type ControlPlaneOptions } from '../control-plane/control-plane.js';
import { readmeRole } from './readme-role.js';
import { ReplicaServer } from './replica-server.js';

export const NAMESPACE = 'election';
export const SERVICE_ACCOUNT = 'replica';

/** A real API server with one namespace, in which a service account has exactly the README's Role. */
export class ElectionCluster {
  readonly leaseName = readmeRole().leaseName;
  readonly servers: ReplicaServer[] = [];

  private constructor(
    readonly server: ControlPlane,
    private readonly tokenSeconds: number,
    /** Of that service account. */
    readonly kubeConfigFile: string,
  ) {}

  /** Replicas are known to the server for so long. */
  static async start(
    tokenSeconds = 3_600,
    options: ControlPlaneOptions = {},
  ): Promise<ElectionCluster> {
    const server = await ControlPlane.start(options);
    try {
      await server.createNamespace(NAMESPACE);
      const { rules } = readmeRole();
      const file = await addAccount(server, SERVICE_ACCOUNT, rules, tokenSeconds);
      return new ElectionCluster(server, tokenSeconds, file);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get leasePath(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.leaseName}`;
  }

  /** Another service account; answers its kubeconfig file. */
  addAccount(name: string, rules: readonly PolicyRule[]): Promise<string> {
    return addAccount(this.server, name, rules, this.tokenSeconds);
  }

  /** A way of one's own to the API servers, of which `first` numbers the one that it begins at. */
  async connect(kubeConfigFile = this.kubeConfigFile, first = 0): Promise<ReplicaServer> {
    const server = await ReplicaServer.start(this.server, kubeConfigFile, first);
    this.servers.push(server);
    return server;
  }

  async lease(): Promise<ApiObject> {
    return (await this.server.request('GET', this.leasePath)).body;
  }

  async deleteLease(): Promise<void> {
    await this.server.request('DELETE', this.leasePath);
  }

  async editLease(spec: Record<string, unknown>): Promise<void> {
    const { status, body } = await this.server.request('PATCH', this.leasePath, { spec });
    if (status !== 200) throw new Error(`edit of the lease: ${status} ${JSON.stringify(body)}`);
  }

  /** Requests for the lease by user agents of replicas, within an interval of the wall clock. */
  async requests(from: Date, to: Date): Promise<AuditEntry[]> {
    const entries = await this.server.auditLog();
    return entries.filter(({ resource, user, requestReceivedTimestamp }) => {
      const at = new Date(requestReceivedTimestamp);
      const ours = user === `system:serviceaccount:${NAMESPACE}:${SERVICE_ACCOUNT}`;
      return resource === 'leases' && ours && at >= from && at <= to;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    await this.server.stop();
  }
}

async function addAccount(
  server: ControlPlane,
  name: string,
  rules: readonly PolicyRule[],
  tokenSeconds: number,
): Promise<string> {
  await server.createServiceAccount(NAMESPACE, name);
  await server.applyRole(NAMESPACE, name, rules);
  return server.kubeconfigFor(await server.createToken(NAMESPACE, name, tokenSeconds), NAMESPACE);
}
