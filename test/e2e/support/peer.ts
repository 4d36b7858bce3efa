import {
  type Contender,
  type LeasePlace,
  type LeaseTimes,
  startContender,
} from '../../../bench/contenders/contender.js';
import { findBinary } from '../../../proof/control-plane/binaries.js';
import { type ElectionCluster, NAMESPACE } from '../../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../../proof/fleet/node-program.js';

/** Another program that competes for the Lease of a cluster by an elector of its own. */
export interface Peer extends NodeProgram {
  /** When it began to lead, on the monotonic clock; undefined if it never did. */
  readonly grantedAt: number | undefined;

  /** When its work ended: as it was told to end, or was killed. */
  readonly endedAt: number | undefined;

  granted(): Promise<number>;

  /** What it wrote into the Lease as the holder. */
  readonly identity: string | RegExp;
}

/** A leader elector of client-go and nothing else. */
export const ClientGoElector = {
  start: (place: LeasePlace, times: LeaseTimes): Promise<Contender> =>
    startContender('client-go', place, times),
};

/** The scheduler of Kubernetes, with the Lease of the cluster in place of its own. */
export class KubeScheduler extends NodeProgram implements Peer {
  readonly identity = /_[0-9a-f-]{36}$/;
  endedAt: number | undefined;

  static async start(cluster: ElectionCluster, times: LeaseTimes): Promise<KubeScheduler> {
    const { leaseName, server } = cluster;
    const settings = {
      kubeconfig: server.adminKubeconfig,
      'authentication-kubeconfig': server.adminKubeconfig,
      'authorization-kubeconfig': server.adminKubeconfig,
      'secure-port': '0',
      'leader-elect': 'true',
      'leader-elect-resource-name': leaseName,
      'leader-elect-resource-namespace': NAMESPACE,
      'leader-elect-lease-duration': `${times.leaseMs}ms`,
      'leader-elect-renew-deadline': `${times.renewMs}ms`,
      'leader-elect-retry-period': `${times.retryMs}ms`,
    };
    const args = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`);
    return new KubeScheduler(await findBinary('kube-scheduler'), args);
  }

  private constructor(program: string, args: readonly string[]) {
    super({ name: 'kube-scheduler', program, isNative: true, args });
  }

  override signal(signal: NodeJS.Signals): number {
    this.endedAt = super.signal(signal);
    return this.endedAt;
  }

  /** It says so only in its log, which is read a moment later. */
  get grantedAt(): number | undefined {
    return this.lines.find(({ text }) => text.includes('uccessfully acquired lease'))?.at;
  }

  async granted(): Promise<number> {
    await this.until('leadership', () => this.grantedAt !== undefined);
    return this.grantedAt!;
  }
}
