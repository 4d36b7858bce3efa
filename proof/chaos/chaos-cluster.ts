import type { AuditEntry } from '../control-plane/audit-log.js';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../fleet/election-cluster.js';
import { readmeRole } from '../fleet/readme-role.js';
import type { ReplicaServer } from '../fleet/replica-server.js';
import type { LeaseFault, ServerFault } from './fault.js';

/** Two real API servers on one etcd, and a way to them for each replica. */
export class ChaosCluster {
  private constructor(
    private readonly cluster: ElectionCluster,
    private readonly tokenSeconds: number,
  ) {}

  static async start(minutes: number): Promise<ChaosCluster> {
    const anHourMore = 3_600;
    const tokenSeconds = Math.ceil(minutes * 60) + anHourMore;
    const cluster = await ElectionCluster.start(tokenSeconds, {
      apiServers: 2,
      auditsBodies: true,
    });
    await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [
      ...readmeRole().rules,
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: [`${cluster.leaseName}-schedule`],
        verbs: ['get', 'update'],
      },
    ]);
    await cluster.deleteLease();
    return new ChaosCluster(cluster, tokenSeconds);
  }

  get leaseName(): string {
    return this.cluster.leaseName;
  }

  /** Replicas begin at different servers. */
  connect(number: number): Promise<ReplicaServer> {
    return this.cluster.connect(this.cluster.kubeConfigFile, number);
  }

  /** Of those who may ask the leader, as docs/cli.md says. */
  operatorsKubeConfigFile(): Promise<string> {
    const resourceNames = [this.leaseName];
    const verbs = ['get', 'update'];
    const apiGroups = ['coordination.k8s.io'];
    return this.cluster.addAccount('operator', [
      { apiGroups, resources: ['leases'], resourceNames, verbs },
    ]);
  }

  /** A line is written a moment after its answer, and a killed server never writes it. */
  auditLog(): Promise<AuditEntry[]> {
    return this.cluster.server.auditLog();
  }

  /** Puts the fault in place, waits, and takes it away. */
  async suffer(
    fault: Exclude<ServerFault, { kind: 'disk-full' }>,
    wait: () => Promise<void>,
  ): Promise<void> {
    const { server } = this.cluster;
    switch (fault.kind) {
      case 'api-server-kill':
        await server.killApiServer('SIGKILL', fault.server);
        await wait();
        return server.startApiServer(fault.server);
      case 'etcd-kill':
        await server.killEtcd();
        await wait();
        return server.startEtcd();
      case 'api-server-stop':
        server.stopApiServer(fault.server);
        await wait();
        return server.contApiServer(fault.server);
      case 'token-rotation':
        return this.rotateTokens(wait);
      case 'etcd-stop':
        server.stopEtcd();
        await wait();
        return server.contEtcd();
      default:
        return fault satisfies never;
    }
  }

  /** Fails while the server is away. */
  async touchLease(fault: LeaseFault, standby: string | undefined): Promise<void> {
    if (fault.kind === 'lease-delete') return this.cluster.deleteLease();
    return this.cluster.editLease(editOf(fault.edit, standby));
  }

  /** Tokens are bound to the service account as it was made: another of that name makes them void. */
  private async rotateTokens(wait: () => Promise<void>): Promise<void> {
    const { server } = this.cluster;
    const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${SERVICE_ACCOUNT}`;
    await server.request('DELETE', account);
    await server.createServiceAccount(NAMESPACE, SERVICE_ACCOUNT);
    const token = await server.createToken(NAMESPACE, SERVICE_ACCOUNT, this.tokenSeconds);
    await wait();
    for (const replicaServer of this.cluster.servers) replicaServer.changeToken(token);
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }
}

function editOf(
  edit: Extract<LeaseFault, { kind: 'lease-edit' }>['edit'],
  standby = 'nobody-in-particular',
): Record<string, unknown> {
  switch (edit) {
    case 'empty-holder':
      return { holderIdentity: '' };
    case 'stranger':
      return { holderIdentity: 'stranger', renewTime: '2026-01-01T00:00:00.000000Z' };
    case 'standby':
      return { holderIdentity: standby };
    case 'transitions':
      return { leaseTransitions: 77 };
    case 'duration':
      return { leaseDurationSeconds: 1 };
    case 'times':
      return { renewTime: null, acquireTime: null };
    default:
      return edit satisfies never;
  }
}
