import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { findBinary } from '../../proof/control-plane/binaries.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster } from '../../proof/fleet/election-cluster.js';
import { ClientGoElector, KubeScheduler, type Peer } from './support/peer.js';
import { ProbeFleet } from './support/probe-fleet.js';
import type { ProbeProcess } from './support/probe-process.js';

const OPTIONS = {
  leaseDurationMs: 5_000,
  renewDeadlineMs: 4_000,
  retryPeriodMs: 500,
  requestTimeoutMs: 1_000,
};
const TIMES = { leaseMs: 5_000, renewMs: 4_000, retryMs: 500 };

const PEERS = ['client-go-elector', 'kube-scheduler'] as const;

const FOREIGN = {
  labels: { team: 'planning' },
  annotations: { 'example.com/note': 'kept' },
  ownerReferences: [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      name: 'owner',
      uid: '9a1bd7f4-0000-4000-8000-000000000000',
    },
  ],
  finalizers: ['example.com/kept'],
};
const OURS = 'nestjs-leader-election/';

interface Lease {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseTransitions?: number;
    readonly acquireTime?: string;
    readonly strategy?: string;
    readonly preferredHolder?: string;
  };
}

let cluster: ElectionCluster;
let fleet: ProbeFleet | undefined;
let peers: Peer[] = [];

const lease = async () => (await cluster.lease()) as unknown as Lease;

/** As an operator would, with kubectl. */
async function edit(change: object, path = cluster.leasePath): Promise<void> {
  const { status, body } = await cluster.server.request('PATCH', path, change);
  if (status !== 200) throw new Error(`PATCH ${path}: ${status} ${JSON.stringify(body)}`);
}

async function joined(peer: Promise<Peer>): Promise<Peer> {
  peers.push(await peer);
  return peer;
}

/** How many times a replica has said that it leads while one of the others led. */
function overlaps(): number {
  const probes = fleet!.replicas.flatMap((replica) => fleet!.probesOf(replica));
  expect(probes.length).toBeGreaterThan(0);
  return probes.filter((at) =>
    peers.some(({ grantedAt, endedAt = Infinity }) => grantedAt! <= at && at < endedAt),
  ).length;
}

afterEach(async () => {
  await Promise.all(peers.map((peer) => peer.kill()));
  peers = [];
  await fleet?.stop();
  fleet = undefined;
  await edit({ metadata: { finalizers: null } }).catch(() => undefined);
});

describe('beside other clients of the same Lease', () => {
  beforeAll(async () => {
    for (const program of PEERS) await findBinary(program);
    cluster = await ElectionCluster.start();
  }, FIRST_START_LIMIT_MS);
  afterAll(() => cluster?.stop());

  it.each([
    ["client-go's elector", ClientGoElector],
    ["kube-scheduler's own elector", KubeScheduler],
  ])(
    'takes over from %s and hands over to it, by releases and after crashes, and never leads beside it',
    async (_title, Program) => {
      fleet = await ProbeFleet.on(cluster, 1, { options: OPTIONS });
      await edit({ metadata: FOREIGN });
      const before = await lease();

      // Its release, taken by the other.
      const first = await joined(Program.start(cluster, TIMES));
      await delay(1_500);
      fleet.replicas[0]!.signal('SIGTERM');
      await first.granted();
      const taken = await lease();
      expect(taken.metadata).toMatchObject(FOREIGN);
      expect(taken.spec.holderIdentity).toMatch(first.identity);
      expect(taken.spec.leaseTransitions).toBe(before.spec.leaseTransitions! + 1);
      // The other keeps what it does not know: the mark of a release that is over.
      const marks = taken.metadata.annotations!;
      expect(marks[`${OURS}released`]).toBe(String(before.spec.leaseTransitions));

      // As old marks of ours as there can be. The other renews; nobody may take the lease for them.
      const { holderIdentity, leaseTransitions, acquireTime } = before.spec;
      const container = `containerd://${'0'.repeat(64)}`;
      const stale = {
        crowd: '4000:1000',
        successor: `${leaseTransitions}:uid-of-a-pod`,
        member: `${leaseTransitions}:uid-of-a-pod`,
        container: `${holderIdentity}/${leaseTransitions}/${acquireTime}/uid-of-a-pod/app/${container}`,
      };
      const named = Object.entries(stale).map(([mark, value]) => [OURS + mark, value]);
      await edit({ metadata: { annotations: Object.fromEntries(named) } });
      const second = fleet.add();
      await second.event('leader');
      await delay(OPTIONS.leaseDurationMs + 1_000);
      expect(second.events.filter(({ event }) => event === 'granted')).toEqual([]);
      expect((await lease()).metadata.annotations).toMatchObject(Object.fromEntries(named));

      // The other's release.
      first.signal('SIGTERM');
      await second.event('granted');
      const back = await lease();
      expect(back.metadata).toMatchObject(FOREIGN);
      expect(back.spec.leaseTransitions).toBe(taken.spec.leaseTransitions! + 1);
      const left = Object.keys(back.metadata.annotations!);
      for (const mark of ['released', 'successor', 'member', 'container']) {
        expect(left).not.toContain(OURS + mark);
      }

      // A crash of ours, and then one of the other.
      const third = await joined(Program.start(cluster, TIMES));
      await delay(1_500);
      second.signal('SIGKILL');
      await third.granted();
      const fourth = fleet.add();
      await fourth.event('leader');
      third.signal('SIGKILL');
      await fourth.event('granted');

      const end = await lease();
      expect(end.metadata).toMatchObject(FOREIGN);
      expect(end.spec.leaseTransitions).toBe(before.spec.leaseTransitions! + 4);
      expect(overlaps()).toBe(0);
    },
    300_000,
  );

  it('meets no strategy where the API server coordinates none, as the server drops it', async () => {
    fleet = await ProbeFleet.on(cluster, 1, { options: OPTIONS });
    await edit({ spec: { strategy: 'OldestEmulationVersion', preferredHolder: 'chosen' } });
    const { spec } = await lease();
    expect([spec.strategy, spec.preferredHolder]).toEqual([undefined, undefined]);
  });
});

describe('where the API server coordinates leader election', () => {
  const STRATEGY = { strategy: 'OldestEmulationVersion' };
  const warnings = ({ log }: ProbeProcess) =>
    log.filter((line) => line.includes('although spec.strategy is "OldestEmulationVersion"'));

  beforeAll(async () => {
    cluster = await ElectionCluster.start(3_600, {
      apiServerArguments: [
        '--feature-gates=CoordinatedLeaderElection=true',
        '--runtime-config=coordination.k8s.io/v1beta1=true',
      ],
    });
  }, FIRST_START_LIMIT_MS);
  afterAll(() => cluster?.stop());

  it('leaves a lease with a strategy alone for a lease duration, takes it with a warning, and keeps what was set', async () => {
    const set = { ...STRATEGY, preferredHolder: 'chosen' };
    fleet = await ProbeFleet.on(cluster, 2, { options: OPTIONS });
    await fleet.settled();
    await edit({ spec: set });
    const leader = await fleet.leader();
    await delay(OPTIONS.leaseDurationMs + 1_000);
    expect(leader.leads).toBe(true);
    expect((await lease()).spec).toMatchObject(set);

    const at = leader.signal('SIGTERM');
    const { at: grantedAt, replica } = await fleet.grantedSince(at);
    expect(grantedAt - at).toBeGreaterThanOrEqual(OPTIONS.leaseDurationMs);
    await replica.until('warning', () => warnings(replica).length > 0);
    expect((await lease()).spec).toMatchObject(set);

    await edit({ spec: { strategy: null, preferredHolder: null } });
    fleet.add();
    await fleet.settled();
    await delay(2 * OPTIONS.retryPeriodMs);
    expect((await lease()).spec.strategy).toBeUndefined();
    expect(fleet.replicas.flatMap(warnings)).toHaveLength(1);
  });

  it('follows whom the coordinator chooses, and leads again when that one is gone', async () => {
    const candidates = cluster.leasePath
      .replace('/v1/', '/v1beta1/')
      .replace(/leases\/.*/, 'leasecandidates');
    const now = () => new Date().toISOString().replace('Z', '000Z');
    fleet = await ProbeFleet.on(cluster, 2, { options: OPTIONS });
    await fleet.settled();
    const spec = {
      leaseName: cluster.leaseName,
      binaryVersion: '1.0.0',
      emulationVersion: '1.0.0',
    };
    const { status } = await cluster.server.request('POST', candidates, {
      metadata: { name: 'chosen' },
      spec: { ...spec, ...STRATEGY, renewTime: now() },
    });
    expect(status).toBe(201);
    const chosen = `${candidates}/chosen`;
    for (;;) {
      await edit({ spec: { renewTime: now() } }, chosen);
      if ((await lease()).spec.preferredHolder === 'chosen') break;
      await delay(500);
    }

    const leader = await fleet.leader();
    const [standby] = fleet.standbys();
    const at = leader.signal('SIGTERM');
    await edit({ spec: { renewTime: now() } }, chosen);
    const followed = () => standby!.events.some(({ leader: name }) => name === 'chosen');
    await standby!.until('chosen leader', followed);
    await cluster.server.request('DELETE', chosen);
    const granted = await standby!.event('granted', { since: at });
    expect(granted.at - at).toBeGreaterThanOrEqual(2 * OPTIONS.leaseDurationMs);
    expect((await lease()).spec).toMatchObject(STRATEGY);
  });
});
