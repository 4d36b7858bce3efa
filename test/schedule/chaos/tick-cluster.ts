import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlPlane } from '../../support/control-plane/control-plane.js';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import type { TickGround } from './tick-fleet.js';

const NAMESPACE = 'ticks';
const ACCOUNT = 'replica';
const LEASE = 'ticks';
const RESOURCE = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };

/** A real API server, with exactly the rights that the docs name. */
export class TickCluster {
  private constructor(
    private readonly server: ControlPlane,
    private readonly directory: string,
  ) {}

  static async start(directory: string): Promise<TickCluster> {
    const server = await ControlPlane.start();
    await server.createNamespace(NAMESPACE);
    await server.createServiceAccount(NAMESPACE, ACCOUNT);
    await server.applyRole(NAMESPACE, ACCOUNT, [
      { ...RESOURCE, verbs: ['create'] },
      { ...RESOURCE, resourceNames: [LEASE], verbs: ['get', 'update', 'watch'] },
      { ...RESOURCE, resourceNames: [`${LEASE}-schedule`], verbs: ['get', 'update'] },
    ]);
    return new TickCluster(server, directory);
  }

  async ground(): Promise<TickGround> {
    const token = await this.server.createToken(NAMESPACE, ACCOUNT, 14_400);
    const kubeConfig = this.server.kubeconfigFor(token, NAMESPACE);
    return { leaseName: LEASE, connect: () => this.connect(kubeConfig) };
  }

  /** Requests of replicas for the schedule and for the lease, from the server's own log. */
  async requests(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const entry of await this.server.auditLog()) {
      if (entry.user !== `system:serviceaccount:${NAMESPACE}:${ACCOUNT}`) continue;
      const what = `${entry.verb} ${entry.name ?? '(by collection)'}`;
      counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  private async connect(
    kubeConfig: string,
  ): Promise<{ proxy: FaultProxy; kubeConfigFile: string }> {
    const proxy = await FaultProxy.start(Number(new URL(this.server.url).port));
    const config = JSON.parse(readFileSync(kubeConfig, 'utf8')) as {
      clusters: { cluster: { server: string } }[];
    };
    config.clusters[0]!.cluster.server = `https://127.0.0.1:${proxy.port}`;
    const kubeConfigFile = join(this.directory, `${proxy.port}.kubeconfig`);
    writeFileSync(kubeConfigFile, JSON.stringify(config), { mode: 0o600 });
    return { proxy, kubeConfigFile };
  }
}
