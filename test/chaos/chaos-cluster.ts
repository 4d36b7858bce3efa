import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../e2e/support/election-cluster.js';
import { readmeRole } from '../e2e/support/readme-role.js';
import { FaultProxy } from '../support/fault-proxy/fault-proxy.js';
import type { LeaseFault, ServerFault } from './fault.js';

/** The real API server with a proxy before it for each replica. */
export class ChaosCluster {
  private readonly proxies: FaultProxy[] = [];

  private constructor(
    private readonly cluster: ElectionCluster,
    private readonly directory: string,
  ) {}

  static async start(directory: string, minutes: number): Promise<ChaosCluster> {
    const anHourMore = 3_600;
    const cluster = await ElectionCluster.start(Math.ceil(minutes * 60) + anHourMore);
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
    return new ChaosCluster(cluster, directory);
  }

  get leaseName(): string {
    return this.cluster.leaseName;
  }

  async addProxy(): Promise<{ proxy: FaultProxy; kubeConfigFile: string }> {
    const proxy = await FaultProxy.start(Number(new URL(this.cluster.server.url).port));
    this.proxies.push(proxy);
    const config = JSON.parse(readFileSync(this.cluster.kubeConfigFile, 'utf8')) as {
      clusters: { cluster: { server: string } }[];
    };
    config.clusters[0]!.cluster.server = `https://127.0.0.1:${proxy.port}`;
    const kubeConfigFile = join(this.directory, `${proxy.port}.kubeconfig`);
    writeFileSync(kubeConfigFile, JSON.stringify(config), { mode: 0o600 });
    return { proxy, kubeConfigFile };
  }

  /** Puts the fault in place, waits, and takes it away. */
  async suffer({ kind }: ServerFault, wait: () => Promise<void>): Promise<void> {
    const { server } = this.cluster;
    switch (kind) {
      case 'api-server-kill':
        await server.killApiServer();
        await wait();
        return server.startApiServer();
      case 'etcd-kill':
        await server.killEtcd();
        await wait();
        return server.startEtcd();
      case 'api-server-stop':
        server.stopApiServer();
        await wait();
        return server.contApiServer();
      case 'etcd-stop':
        server.stopEtcd();
        await wait();
        return server.contEtcd();
      default:
        return kind satisfies never;
    }
  }

  /** Fails while the server is away. */
  async touchLease(fault: LeaseFault, standby: string | undefined): Promise<void> {
    if (fault.kind === 'lease-delete') return this.cluster.deleteLease();
    return this.cluster.editLease(editOf(fault.edit, standby));
  }

  async stop(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    await this.cluster.stop();
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
