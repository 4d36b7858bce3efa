import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ElectionProfile } from '../../lib/core/election-options.js';
import { CONTAINER_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import { median } from '../../test/e2e/support/figures.js';
import { ElectionCluster, NAMESPACE } from '../fleet/election-cluster.js';
import { monotonicMs } from '../fleet/monotonic-clock.js';
import { NodeProgram } from '../fleet/node-program.js';
import { RULES_WITH_PODS } from '../fleet/readme-role.js';
import type { ReplicaServer } from '../fleet/replica-server.js';
import { WrittenPod } from '../fleet/written-pod.js';
import type { ProfileReplicaSettings } from './profile-replica.js';
import type { Row } from './report.js';
import { until } from './until.js';

/**
 * `npm run measure:profiles`: for each profile, how long no process leads after each kind of death, and what leader and standby
 * ask the API server for. Two processes for each profile, `members` and `podWatch`, a real API server; the profiles side by side.
 */
const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });

const PROFILES: readonly ElectionProfile[] = ['fast', 'default', 'quiet'];
const RENEW_DEADLINE_MS = { fast: 3_333, default: 10_000, quiet: 40_000 };
const ROUNDS = { sigterm: 5, container: 5, node: 2, outage: 2 };
const QUIET_MINUTES = 2;

/** A pod with its own account and its own way to the API server, in which one process runs after the other. */
class Pod {
  process!: NodeProgram;

  constructor(
    readonly account: string,
    readonly server: ReplicaServer,
    private readonly written: WrittenPod,
    private readonly settings: Pick<ProfileReplicaSettings, 'profile' | 'leaseName'>,
  ) {}

  /** A container begins, perhaps after another one. */
  async begin(lastState: object = {}): Promise<void> {
    await this.written.begin(lastState);
    const settings: ProfileReplicaSettings = {
      ...this.settings,
      kubeConfigFile: this.server.kubeConfigFile,
      podName: this.written.name,
      podUid: this.written.uid,
    };
    this.process = new NodeProgram({
      name: this.written.name,
      program: fileURLToPath(new URL('profile-replica.js', import.meta.url)),
      env: { PROFILE_REPLICA: JSON.stringify(settings) },
    });
    await this.process.line(/^started /);
  }

  /** The kubelet says that the container has ended. */
  reportEnd(): Promise<object> {
    return this.written.end();
  }

  get marks(): string {
    return this.written.marks;
  }

  get leads(): boolean {
    const last = this.process.lines.findLast(({ text }) => /^(granted|revoked) /.test(text));
    return !this.process.hasExited && last?.text.startsWith('granted') === true;
  }

  /** When it told so, at or after an instant. */
  toldAt(event: 'granted' | 'revoked', since: number): number | undefined {
    return this.process.lines
      .filter(({ text }) => text.startsWith(`${event} `))
      .map(({ text }) => Number(text.split(' ')[1]))
      .find((at) => at >= since);
  }
}

class Measurement {
  private readonly pods: Pod[] = [];
  private readonly leaseName: string;

  constructor(
    private readonly cluster: ElectionCluster,
    private readonly profile: ElectionProfile,
  ) {
    this.leaseName = `profile-${profile}`;
  }

  async run(): Promise<{ deaths: Row[]; cost: Row[] }> {
    try {
      for (const name of ['a', 'b']) await this.addPod(`${this.leaseName}-${name}`);
      const cost = await this.cost();
      const deaths = [
        await this.row('SIGTERM', ROUNDS.sigterm, () => this.shutDown()),
        await this.row('container, reported by the kubelet', ROUNDS.container, () =>
          this.endContainer(),
        ),
        await this.row('node, or a death that no one reports', ROUNDS.node, () => this.endNode()),
        await this.row('API server, from its return', ROUNDS.outage, () => this.cutOff()),
      ];
      return { deaths, cost };
    } finally {
      await Promise.all(this.pods.map(({ process }) => process.kill()));
    }
  }

  private async addPod(name: string): Promise<void> {
    const server = await this.cluster.connect(await this.cluster.addAccount(name, RULES_WITH_PODS));
    const labels = { app: this.leaseName };
    const written = await WrittenPod.create(this.cluster.server, NAMESPACE, { name, labels });
    const { profile, leaseName } = this;
    const pod = new Pod(name, server, written, { profile, leaseName });
    this.pods.push(pod);
    await pod.begin();
    await this.leader();
  }

  /** Waits for one. */
  private async leader(): Promise<{ readonly leader: Pod; readonly standby: Pod }> {
    await until('leader', () => this.pods.some(({ leads }) => leads));
    const leader = this.pods.find(({ leads }) => leads)!;
    return { leader, standby: this.pods.find((pod) => pod !== leader)! };
  }

  private async cost(): Promise<Row[]> {
    const { leader } = await this.leader();
    await delay(5_000);
    const from = new Date();
    await delay(QUIET_MINUTES * 60_000);
    const to = new Date();
    await delay(1_000);
    const entries = (await this.cluster.server.auditLog()).filter((entry) => {
      const at = new Date(entry.requestReceivedTimestamp);
      return at >= from && at < to;
    });
    return this.pods.map((pod) => {
      const own = entries.filter(({ user }) => user.endsWith(`:${pod.account}`));
      const writes = own.filter(({ verb, resource }) => resource === 'leases' && verb === 'update');
      return {
        profile: this.profile,
        process: pod === leader ? 'leader' : 'standby',
        requestsPerMinute: own.length / QUIET_MINUTES,
        leaseWritesPerMinute: writes.length / QUIET_MINUTES,
      };
    });
  }

  private async row(death: string, rounds: number, once: () => Promise<number>): Promise<Row> {
    const took: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { leader } = await this.leader();
      // As in an application that has been up for a while: its container is known.
      await until('name of the container', async () => (await this.named()).includes(leader.marks));
      took.push(await once());
    }
    const { profile } = this;
    const [medianMs, mostMs] = [median(took), Math.max(...took)].map(Math.round);
    process.stderr.write(
      `[profiles] ${profile}: ${death}: ${took.map(Math.round).join(', ')} ms\n`,
    );
    return { profile, death, rounds, medianMs: medianMs!, mostMs: mostMs! };
  }

  private async named(): Promise<string> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.leaseName}`;
    const annotations = (await this.cluster.server.request('GET', path)).body.metadata?.[
      'annotations'
    ];
    return (annotations as Record<string, string> | undefined)?.[CONTAINER_ANNOTATION] ?? '';
  }

  private async grantSince(pods: readonly Pod[], since: number): Promise<number> {
    const found = () =>
      pods.map((pod) => pod.toldAt('granted', since)).find((at) => at !== undefined);
    await until('grant', () => found() !== undefined);
    return found()!;
  }

  /** From the signal: leadership ends a moment after it. */
  private async shutDown(): Promise<number> {
    const { leader, standby } = await this.leader();
    const at = leader.process.signal('SIGTERM');
    const granted = await this.grantSince([standby], at);
    await leader.process.exited;
    await leader.begin(await leader.reportEnd());
    return granted - at;
  }

  /** From the kill. The report that a kubelet would write follows at once. */
  private async endContainer(): Promise<number> {
    const { leader, standby } = await this.leader();
    const at = leader.process.signal('SIGKILL');
    await leader.process.exited;
    const lastState = await leader.reportEnd();
    const granted = await this.grantSince([standby], at);
    await leader.begin(lastState);
    return granted - at;
  }

  private async endNode(): Promise<number> {
    const { leader, standby } = await this.leader();
    // At any moment between two renewals.
    await delay(Math.random() * RENEW_DEADLINE_MS[this.profile] * 0.5);
    const at = leader.process.signal('SIGKILL');
    const granted = await this.grantSince([standby], at);
    await leader.begin(await leader.reportEnd());
    return granted - at;
  }

  /** Until the leader has given up. */
  private async cutOff(): Promise<number> {
    const { leader } = await this.leader();
    const proxies = this.pods.map(({ server }) => server.proxy);
    const cut = monotonicMs();
    await Promise.all(proxies.map((proxy) => proxy.refuse()));
    for (const proxy of proxies) proxy.reset();
    await until('end of the term', () => leader.toldAt('revoked', cut) !== undefined);
    const ledFor = Math.round(leader.toldAt('revoked', cut)! - cut);
    process.stderr.write(
      `[profiles] ${this.profile}: led for ${ledFor} ms without the API server\n`,
    );
    await delay(5_000);
    const returned = monotonicMs();
    await Promise.all(proxies.map((proxy) => proxy.admit()));
    return (await this.grantSince(this.pods, returned)) - returned;
  }
}

const cluster = await ElectionCluster.start();
try {
  const all = await Promise.all(PROFILES.map((profile) => new Measurement(cluster, profile).run()));
  const results = {
    deaths: all.flatMap(({ deaths }) => deaths),
    cost: all.flatMap(({ cost }) => cost),
  };
  if (values.json) console.log(JSON.stringify(results));
  else for (const rows of Object.values(results)) console.table(rows);
} finally {
  await cluster.stop();
}
