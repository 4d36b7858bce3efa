import type { ApiObject } from '../../../proof/control-plane/api-client.js';
import type { AuditEntry } from '../../../proof/control-plane/audit-log.js';
import {
  ControlPlane,
  type ControlPlaneOptions,
} from '../../../proof/control-plane/control-plane.js';
import { ProbeFleet } from './probe-fleet.js';
import type { ProbeSettings } from './probe-settings.js';
import { readmeRole } from './readme-role.js';

export const NAMESPACE = 'election';
export const SERVICE_ACCOUNT = 'replica';

/** A real API server with one namespace, in which a service account has exactly the README's Role. */
export class ElectionCluster {
  readonly leaseName = readmeRole().leaseName;

  private constructor(
    readonly server: ControlPlane,
    readonly kubeConfigFile: string,
  ) {}

  /** Replicas are known to the server for so long. */
  static async start(
    tokenSeconds = 3_600,
    options: ControlPlaneOptions = {},
  ): Promise<ElectionCluster> {
    const server = await ControlPlane.start(options);
    await server.createNamespace(NAMESPACE);
    await server.createServiceAccount(NAMESPACE, SERVICE_ACCOUNT);
    await server.applyRole(NAMESPACE, SERVICE_ACCOUNT, readmeRole().rules);
    const token = await server.createToken(NAMESPACE, SERVICE_ACCOUNT, tokenSeconds);
    return new ElectionCluster(server, server.kubeconfigFor(token, NAMESPACE));
  }

  get leasePath(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.leaseName}`;
  }

  settings(change: Partial<ProbeSettings> = {}): ProbeSettings {
    return { leaseName: this.leaseName, kubeConfigFile: this.kubeConfigFile, ...change };
  }

  /** Replicas on a lease that does not exist yet. */
  async fleet(size: number, change: Partial<ProbeSettings> = {}): Promise<ProbeFleet> {
    await this.deleteLease();
    return ProbeFleet.start(size, this.settings(change));
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

  stop(): Promise<void> {
    return this.server.stop();
  }
}
