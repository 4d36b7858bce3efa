import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { RULES_WITH_PODS } from '../../proof/fleet/readme-role.js';
import { WrittenPod } from '../../proof/fleet/written-pod.js';
import { ProbeFleet } from '../../test/e2e/support/probe-fleet.js';
import type { ProbeProcess } from '../../test/e2e/support/probe-process.js';
import { type TracedHandover, wallOffsetMs } from './handover-stages.js';

/** What is different about the candidates of one column. */
export interface Candidates {
  readonly name: string;
  /** As of a standby that has started long ago, see `hooks.ts`. */
  readonly areOld?: boolean;
  /** They know each other, and the release names who is to follow. */
  readonly areNamed?: boolean;
  /** A checkout in which `npm run build:tools` has run. */
  readonly checkout: string;
}

const HOOKS = new URL('./hooks.js', import.meta.url).href;
const PROGRAM = '.tools/test/e2e/support/probe-replica.js';
const SIZE = 3;
/** Longer than anything that an application does after its start. */
const CALM_MS = 500;

let fleets = 0;

/** Its watch has begun, with the present state of the lease. */
function hasHeard({ events }: ProbeProcess): boolean {
  return events.some(({ stage }) => stage === 'heard');
}

/** Three replicas as in a pod, whose leader is replaced by a new replica at each handover. */
export class TracedFleet {
  private readonly pods = new Map<string, WrittenPod>();
  private readonly fleet: ProbeFleet;

  private constructor(
    private readonly cluster: ElectionCluster,
    private readonly candidates: Candidates,
    private readonly serviceAccountDirectory: string,
    /** Of its lease, its account and its pods. */
    private readonly label: string,
  ) {
    const { hostname, port } = new URL(cluster.server.url);
    const { areNamed = false, areOld = false, checkout } = candidates;
    this.fleet = new ProbeFleet(
      {
        leaseName: this.label,
        namespace: NAMESPACE,
        serviceAccountDirectory,
        isUnprobed: true,
        ...(areNamed && { inCluster: { members: true, placement: 'newest' } }),
      },
      {
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        NODE_OPTIONS: `--import=${HOOKS}`,
        ...(areOld && { CLOSED_AFTER_MS: '100' }),
      },
      resolve(checkout, PROGRAM),
    );
  }

  static async start(cluster: ElectionCluster, candidates: Candidates): Promise<TracedFleet> {
    const label = `handover-trace-${++fleets}`;
    await cluster.addAccount(label, RULES_WITH_PODS);
    const directory = mkdtempSync(join(tmpdir(), 'handover-trace-'));
    copyFileSync(cluster.server.caFile, join(directory, 'ca.crt'));
    writeFileSync(join(directory, 'namespace'), NAMESPACE);
    const token = await cluster.server.createToken(NAMESPACE, label, 7_200);
    writeFileSync(join(directory, 'token'), token);
    const fleet = new TracedFleet(cluster, candidates, directory, label);
    for (let index = 0; index < SIZE; index += 1) await fleet.add();
    return fleet;
  }

  get leasePath(): string {
    return `/namespaces/${NAMESPACE}/leases/${this.label}?`;
  }

  /** Once nothing else is going on. */
  async handOver(): Promise<TracedHandover> {
    const { fleet } = this;
    await fleet.settled();
    // Otherwise it is a poll that tells of the release.
    const watches = fleet.standbys().map((each) => each.until('watch', () => hasHeard(each)));
    await Promise.all(watches);
    await delay(CALM_MS);
    const leader = await fleet.leader();
    const offset = wallOffsetMs();
    const askedAt = leader.signal('SIGTERM');
    const granted = await fleet.grantedSince(askedAt);
    await leader.exited;
    await this.pods.get(leader.name)?.delete(0);
    await this.add();
    return { askedAt, leader, follower: granted.replica, granted, wallOffsetMs: offset };
  }

  async stop(): Promise<void> {
    await this.fleet.stop();
    for (const pod of this.pods.values()) await pod.delete(0);
    await this.cluster.server.request('DELETE', this.leaseObject);
    rmSync(this.serviceAccountDirectory, { recursive: true });
  }

  private get leaseObject(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.label}`;
  }

  private async add(): Promise<void> {
    const pod = this.candidates.areNamed ? await this.pod() : undefined;
    const env = pod === undefined ? {} : { POD_NAME: pod.name, POD_UID: pod.uid };
    const replica = this.fleet.add({}, env);
    if (pod !== undefined) this.pods.set(replica.name, pod);
    await replica.event('ready');
  }

  private async pod(): Promise<WrittenPod> {
    const name = `${this.label}-${this.fleet.slots.length}`;
    const labels = { app: this.label };
    const pod = await WrittenPod.create(this.cluster.server, NAMESPACE, { name, labels });
    await pod.begin();
    return pod;
  }
}
