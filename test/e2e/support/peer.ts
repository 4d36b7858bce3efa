import { findBinary } from '../../../proof/control-plane/binaries.js';
import { type ElectionCluster, NAMESPACE } from '../../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../../proof/fleet/node-program.js';

/** In Go's spelling. */
export interface PeerTimes {
  readonly leaseDuration: string;
  readonly renewDeadline: string;
  readonly retryPeriod: string;
}

/** Another program that competes for the Lease of a cluster by an elector of its own. */
export abstract class Peer extends NodeProgram {
  /** When it began to lead, on the monotonic clock; undefined if it never did. */
  abstract get grantedAt(): number | undefined;

  /** When its work ended: as it was told to end, or was killed. */
  endedAt: number | undefined;

  override signal(signal: NodeJS.Signals): number {
    this.endedAt = super.signal(signal);
    return this.endedAt;
  }

  async granted(): Promise<number> {
    await this.until('leadership', () => this.grantedAt !== undefined);
    return this.grantedAt!;
  }

  /** What it wrote into the Lease as the holder. */
  abstract readonly identity: string | RegExp;
}

/** A leader elector of client-go and nothing else. */
export class ClientGoElector extends Peer {
  private static count = 0;

  static async start(
    { leaseName, kubeConfigFile }: Pick<ElectionCluster, 'leaseName' | 'kubeConfigFile'>,
    times: PeerTimes,
  ): Promise<ClientGoElector> {
    const identity = `client-go-${++ClientGoElector.count}`;
    const { leaseDuration, renewDeadline, retryPeriod } = times;
    const args = [kubeConfigFile, NAMESPACE, leaseName, identity];
    const program = await findBinary('client-go-elector');
    const durations = [leaseDuration, renewDeadline, retryPeriod];
    return new ClientGoElector(program, identity, [...args, ...durations]);
  }

  private constructor(
    program: string,
    readonly identity: string,
    args: readonly string[],
  ) {
    super({ name: identity, program, isNative: true, args });
  }

  get grantedAt(): number | undefined {
    const line = this.lines.find(({ text }) => text.includes('"event":"granted"'));
    return line === undefined ? undefined : (JSON.parse(line.text) as { at: number }).at;
  }
}

/** The scheduler of Kubernetes, with the Lease of the cluster in place of its own. */
export class KubeScheduler extends Peer {
  readonly identity = /_[0-9a-f-]{36}$/;

  static async start(cluster: ElectionCluster, times: PeerTimes): Promise<KubeScheduler> {
    const { leaseName, server } = cluster;
    const settings = {
      kubeconfig: server.adminKubeconfig,
      'authentication-kubeconfig': server.adminKubeconfig,
      'authorization-kubeconfig': server.adminKubeconfig,
      'secure-port': '0',
      'leader-elect': 'true',
      'leader-elect-resource-name': leaseName,
      'leader-elect-resource-namespace': NAMESPACE,
      'leader-elect-lease-duration': times.leaseDuration,
      'leader-elect-renew-deadline': times.renewDeadline,
      'leader-elect-retry-period': times.retryPeriod,
    };
    const args = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`);
    return new KubeScheduler(await findBinary('kube-scheduler'), args);
  }

  private constructor(program: string, args: readonly string[]) {
    super({ name: 'kube-scheduler', program, isNative: true, args });
  }

  /** It says so only in its log, which is read a moment later. */
  get grantedAt(): number | undefined {
    return this.lines.find(({ text }) => text.includes('uccessfully acquired lease'))?.at;
  }
}
