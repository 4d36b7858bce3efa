import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import type { AuditEntry } from '../../proof/control-plane/audit-log.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import type { FaultProxy } from '../../proof/fault-proxy/fault-proxy.js';
import { ElectionCluster } from '../../proof/fleet/election-cluster.js';
import type { ReplicaServer } from '../../proof/fleet/replica-server.js';
import { Figures } from './support/figures.js';
import { ProbeFleet, settingsOn } from './support/probe-fleet.js';
import type { ProbeProcess } from './support/probe-process.js';

const LEASE_MS = 3_000;
const DEADLINE_MS = 2_000;
const REQUEST_TIMEOUT_MS = 500;
const OPTIONS = {
  leaseDurationMs: LEASE_MS,
  renewDeadlineMs: DEADLINE_MS,
  retryPeriodMs: 400,
  requestTimeoutMs: REQUEST_TIMEOUT_MS,
};
/** For what a leader is to survive: a busy machine needs some of the time. */
const PATIENT = { ...OPTIONS, leaseDurationMs: 15_000, renewDeadlineMs: 10_000 };

let cluster: ElectionCluster;
let fleet: ProbeFleet;
let server: ReplicaServer;
let proxy: FaultProxy;
let leader: ProbeProcess;
const figures = new Figures();

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

/** A leader behind a proxy, and a standby with a connection of its own. */
async function startFleet(options: object): Promise<void> {
  await cluster.deleteLease();
  server = await cluster.connect();
  ({ proxy } = server);
  fleet = new ProbeFleet({ ...settingsOn(cluster), options });
  leader = fleet.add({ kubeConfigFile: server.kubeConfigFile });
  await leader.event('granted');
  await fleet.add().event('leader');
}

/** The leader renews twice from now on: the first may have been on its way. */
async function renewals(): Promise<void> {
  const from = new Date();
  await eventually(async () => {
    const requests = await cluster.requests(from, new Date());
    const renewed = requests.filter(({ verb, code }) => verb === 'update' && code === 200);
    expect(renewed.length).toBeGreaterThanOrEqual(2);
  }, 30_000);
}

afterEach(async () => {
  const { overlapping } = fleet.overlaps();
  await fleet.stop();
  await server.stop();
  if (overlapping > 0) throw new Error('two replicas believed to lead at once');
});

afterAll(async () => {
  figures.print();
  await cluster?.stop();
});

describe('when the leader is cut off', () => {
  beforeEach(() => startFleet(OPTIONS));

  it.each([
    ['both ways', 'both'],
    ['on the way to the server', 'to-server'],
    ['on the way back', 'to-client'],
  ] as const)('stops believing in time and is replaced: %s', async (_way, direction) => {
    const cutAt = monotonicMs();
    proxy.shape(direction, { kind: 'blackhole', bytes: 'keep' });
    const revoked = await leader.event('revoked', { since: cutAt });
    const granted = await fleet.grantedSince(cutAt);
    expect(revoked.at - cutAt).toBeLessThan(LEASE_MS);
    expect(granted.replica).not.toBe(leader);
    expect(granted.at).toBeGreaterThan(revoked.at);
    figures.note(
      `cut off ${direction}: revoked after ${(revoked.at - cutAt).toFixed(0)} ms, ` +
        `next leader after ${(granted.at - cutAt).toFixed(0)} ms`,
    );
  });

  it('leaves a ghost that the server refuses after the heal', async () => {
    const from = new Date();
    const refused = async (): Promise<AuditEntry[]> => {
      const requests = await cluster.requests(from, new Date());
      return requests.filter(({ verb, code }) => verb === 'update' && code === 409);
    };
    const cutAt = monotonicMs();
    // A renewal whose answer alone were lost would leave no ghost: those after it fail to connect.
    proxy.shape('to-server', { kind: 'blackhole', bytes: 'keep' });
    await eventually(() => expect(proxy.heldRequests).toBe(1), DEADLINE_MS);
    proxy.shape('to-client', { kind: 'blackhole', bytes: 'keep' });
    const { replica: next, token } = await fleet.grantedSince(cutAt);
    expect(next).not.toBe(leader);
    expect(await refused()).toEqual([]);
    proxy.heal();
    await eventually(async () => expect(await refused()).toHaveLength(1), 30_000);
    await leader.event('leader', { since: cutAt });
    expect(next.leads).toBe(true);
    const granted = fleet.replicas
      .flatMap(({ events }) => events)
      .filter(({ event, at }) => event === 'granted' && at >= cutAt);
    expect(granted.map((grant) => grant.token)).toEqual([token]);
    figures.note('1 ghost delivered over TLS after the heal, answered 409');
  });
});

describe('when connections break and new ones can be made', () => {
  beforeEach(() => startFleet(PATIENT));

  it.each<[string, () => void]>([
    ['reset', () => proxy.reset()],
    ['closed', () => proxy.close()],
    ['half open', () => proxy.halfOpen('server')],
  ])('keeps its leader: %s', async (_how, break_) => {
    break_();
    await renewals();
    expect(leader.leads).toBe(true);
    expect(leader.events.filter(({ event }) => event === 'revoked')).toEqual([]);
  });
});

describe('when answers are late', () => {
  it('keeps its leader while they come within the request timeout', async () => {
    await startFleet(PATIENT);
    proxy.shape('to-client', { kind: 'delay', ms: 100 });
    await renewals();
    expect(leader.events.filter(({ event }) => event === 'revoked')).toEqual([]);
  });

  it('loses it when they never do', async () => {
    await startFleet(OPTIONS);
    const at = monotonicMs();
    proxy.shape('to-client', { kind: 'delay', ms: DEADLINE_MS + 1_000 });
    const revoked = await leader.event('revoked', { since: at });
    expect(revoked.at - at).toBeLessThan(LEASE_MS);
    expect((await fleet.grantedSince(at)).replica).not.toBe(leader);
  });
});
