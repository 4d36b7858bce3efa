import { ElectionCluster } from '../../../proof/fleet/election-cluster.js';
import type { WebSettings } from './web-application.js';
import { WebReplica } from './web-replica.js';

/** A real API server, and the replicas of `web-application` that one test starts on it. */
export class WebCluster {
  static async start(): Promise<WebCluster> {
    return new WebCluster(await ElectionCluster.start());
  }

  private readonly replicas: WebReplica[] = [];

  private constructor(readonly cluster: ElectionCluster) {}

  /** One that listens. */
  async startReplica(name: string, change: Partial<WebSettings> = {}): Promise<WebReplica> {
    const { kubeConfigFile, leaseName } = this.cluster;
    const replica = await WebReplica.start(name, { kubeConfigFile, leaseName, ...change });
    this.replicas.push(replica);
    await replica.line(/^listens$/);
    return replica;
  }

  /** The next test begins without a lease. */
  async endReplicas(): Promise<void> {
    await Promise.all(this.replicas.splice(0).map((replica) => replica.kill()));
    await this.cluster.deleteLease();
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }
}
