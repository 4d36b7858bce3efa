import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlPlane } from '../control-plane/control-plane.js';
import { FaultProxy } from '../fault-proxy/fault-proxy.js';
import type { TickGround } from './tick-fleet.js';

const NAMESPACE = 'ticks';
const RESOURCE = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
const TOKEN_SECONDS = 14_400;

/** A real API server, where each fleet has an account with exactly the rights that the docs name. */
export class TickCluster {
  private constructor(
    private readonly server: ControlPlane,
    private readonly directory: string,
  ) {}

  static async start(directory: string): Promise<TickCluster> {
    const server = await ControlPlane.start();
    try {
      await server.createNamespace(NAMESPACE);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return new TickCluster(server, directory);
  }

  /** The fleet's name is that of its lease and of its account. */
  async ground(fleet: string): Promise<TickGround> {
    await this.server.createServiceAccount(NAMESPACE, fleet);
    await this.server.applyRole(NAMESPACE, fleet, [
      { ...RESOURCE, verbs: ['create'] },
      { ...RESOURCE, resourceNames: [fleet], verbs: ['get', 'update', 'watch'] },
      { ...RESOURCE, resourceNames: [`${fleet}-schedule`], verbs: ['get', 'update'] },
    ]);
    const token = await this.server.createToken(NAMESPACE, fleet, TOKEN_SECONDS);
    const kubeConfig = this.server.kubeconfigFor(token, NAMESPACE);
    return { leaseName: fleet, connect: () => this.connect(kubeConfig) };
  }

  /** Requests of all replicas for their lease and for their schedule, from the server's own log. */
  async requests(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { user, verb, name } of await this.server.auditLog()) {
      if (!user.startsWith(`system:serviceaccount:${NAMESPACE}:`)) continue;
      const what = `${verb} ${name?.endsWith('-schedule') ? 'schedule' : 'lease'}`;
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
