import { join } from 'node:path';
import { ChaosCluster } from './chaos-cluster.js';
import type { ChaosOptions } from './chaos-options.js';
import { FencedRegister } from './fenced-register.js';
import { ReplicaProcess } from './replica-process.js';
import type { ReplicaSettings } from './replica-settings.js';
import { ReplicaSlot } from './replica-slot.js';
import type { RunDirectory } from './run-directory.js';
import { SmallDisk } from './small-disk.js';
import { WallClockSteps } from './wall-clock-steps.js';

export const LEASE_DURATION_MS = 3_000;
const ELECTION = { leaseDurationMs: LEASE_DURATION_MS, renewDeadlineMs: 2_000, retryPeriodMs: 400 };

type Access = Pick<ReplicaSettings, 'kubeConfigFile' | 'lockDirectory'>;

/** Replicas, each behind its proxy, the servers that they share, and the register that they write to. */
export class ChaosWorld {
  readonly slots: ReplicaSlot[] = [];
  readonly clockSteps: WallClockSteps;

  private constructor(
    private readonly options: ChaosOptions,
    private readonly directory: RunDirectory,
    readonly register: FencedRegister,
    readonly cluster: ChaosCluster | undefined,
    /** Of the file lock's leases; undefined where none can be mounted. */
    readonly disk: SmallDisk | undefined,
  ) {
    this.clockSteps = new WallClockSteps(directory.path);
  }

  static async start(options: ChaosOptions, directory: RunDirectory): Promise<ChaosWorld> {
    const { lock, minutes, replicas } = options;
    const cluster =
      lock === 'lease' ? await ChaosCluster.start(directory.path, minutes) : undefined;
    const disk = lock === 'file' ? SmallDisk.mount() : undefined;
    const world = new ChaosWorld(options, directory, await FencedRegister.start(), cluster, disk);
    for (let number = 1; number <= replicas; number += 1) await world.addReplica(number);
    return world;
  }

  /** Whoever has told that it leads. */
  get leader(): ReplicaProcess | undefined {
    return this.slots.find(({ process }) => process.leads)?.process;
  }

  /** False also while the leader has a fault already: there is nobody that another could meet. */
  get hasLeaderAtPeace(): boolean {
    return this.slots.some(({ process, isBusy }) => process.leads && !isBusy);
  }

  /** Whatever was wrong with processes beside what their histories tell. */
  get complaints(): string[] {
    return this.slots.flatMap(({ complaints }) => complaints);
  }

  async endReplicas(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()));
  }

  async stop(): Promise<void> {
    await this.register.stop();
    await this.cluster?.stop();
    await this.disk?.unmount();
  }

  private async addReplica(number: number): Promise<void> {
    const name = `replica-${number}`;
    const proxied = await this.cluster?.addReplica(number);
    const access: Access =
      proxied === undefined
        ? { lockDirectory: join(this.disk?.path ?? this.directory.path, 'leases') }
        : { kubeConfigFile: proxied.kubeConfigFile };
    const launch = (process: string): ReplicaProcess => this.launch(name, process, access);
    this.slots.push(new ReplicaSlot(name, launch, proxied?.server));
  }

  private launch(slot: string, name: string, access: Access): ReplicaProcess {
    const { directory, options, register, cluster } = this;
    return new ReplicaProcess({
      settings: {
        name,
        historyFile: directory.historyFile(name),
        registerPort: register.port,
        leaseName: cluster?.leaseName ?? 'chaos',
        options: { ...ELECTION, strict: options.strict && options.sabotage !== 'not-strict' },
        sabotage: options.sabotage,
        ...access,
      },
      logFile: directory.logFile(name),
      env: this.clockSteps.env(slot),
      lifeline: directory.lifeline,
      events: directory.events,
    });
  }
}
