import { join } from 'node:path';
import { ChaosCluster } from './chaos-cluster.js';
import { Fleet } from '../fleet/fleet.js';
import type { ReplicaServer } from '../fleet/replica-server.js';
import { fileLock } from '../../lib/locks/file/file.lock.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import { NAMESPACE } from '../fleet/election-cluster.js';
import type { ChaosOptions } from './chaos-options.js';
import { FencedRegister } from './fenced-register.js';
import { Operator } from './operator.js';
import { ReplicaProcess } from './replica-process.js';
import type { RunDirectory } from './run-directory.js';
import { SmallDisk } from './small-disk.js';
import { WallClockSteps } from './wall-clock-steps.js';

export const LEASE_DURATION_MS = 3_000;
const LEASE_NAME = 'chaos';
const ELECTION = { leaseDurationMs: LEASE_DURATION_MS, renewDeadlineMs: 2_000, retryPeriodMs: 400 };

/** Replicas, each behind its proxy, the servers that they share, and the register that they write to. */
export class ChaosWorld {
  readonly fleet = new Fleet<ReplicaProcess>();
  readonly clockSteps: WallClockSteps;

  private constructor(
    private readonly options: ChaosOptions,
    private readonly directory: RunDirectory,
    readonly register: FencedRegister,
    readonly cluster: ChaosCluster | undefined,
    /** Of the file lock's leases; undefined where none can be mounted. */
    readonly disk: SmallDisk | undefined,
    readonly operator: Operator,
  ) {
    this.clockSteps = new WallClockSteps(directory.path);
  }

  static async start(options: ChaosOptions, directory: RunDirectory): Promise<ChaosWorld> {
    const { lock, minutes, replicas } = options;
    const cluster = lock === 'lease' ? await ChaosCluster.start(minutes) : undefined;
    const disk = lock === 'file' ? SmallDisk.mount() : undefined;
    const lockDirectory = join(disk?.path ?? directory.path, 'leases');
    const operator = await operatorOf(cluster, lockDirectory, directory);
    const register = await FencedRegister.start();
    const world = new ChaosWorld(options, directory, register, cluster, disk, operator);
    for (let number = 1; number <= replicas; number += 1) await world.addReplica(number);
    return world;
  }

  /** False also while the leader has a fault already: there is nobody that another could meet. */
  get hasLeaderAtPeace(): boolean {
    return this.fleet.slots.some(({ process, isBusy }) => process.leads && !isBusy);
  }

  async stop(): Promise<void> {
    await this.register.stop();
    await this.operator.close();
    await this.cluster?.stop();
    await this.disk?.unmount();
  }

  private async addReplica(number: number): Promise<void> {
    const slot = `replica-${number}`;
    this.fleet.addSlot({
      name: slot,
      server: await this.cluster?.connect(number),
      launch: (name, server) => this.launch(slot, name, server),
      restarts: true,
    });
  }

  private launch(slot: string, name: string, server: ReplicaServer | undefined): ReplicaProcess {
    const { directory, options, register, cluster, disk } = this;
    return new ReplicaProcess({
      settings: {
        name,
        historyFile: directory.historyFile(name),
        registerPort: register.port,
        leaseName: cluster?.leaseName ?? LEASE_NAME,
        options: {
          ...ELECTION,
          identity: name,
          strict: options.strict && options.sabotage !== 'not-strict',
        },
        sabotage: options.sabotage,
        ...(server === undefined
          ? { lockDirectory: join(disk?.path ?? directory.path, 'leases') }
          : { kubeConfigFile: server.kubeConfigFile }),
      },
      logFile: directory.logFile(name),
      env: this.clockSteps.env(slot),
      lifeline: directory.lifeline,
      events: directory.events,
    });
  }
}

/** People have credentials of their own, and a way to the first API server that no fault of a replica meets. */
async function operatorOf(
  cluster: ChaosCluster | undefined,
  lockDirectory: string,
  { events }: RunDirectory,
): Promise<Operator> {
  const leaseName = cluster?.leaseName ?? LEASE_NAME;
  const requester = { role: 'chaos', leaseName, identity: 'operator', createLease: false };
  const lock =
    cluster === undefined
      ? fileLock({ directory: lockDirectory })
      : leaseLock({ kubeConfigFile: await cluster.operatorsKubeConfigFile() });
  return new Operator(await lock({ ...requester, namespace: cluster && NAMESPACE }), events);
}
