import { setTimeout as delay } from 'node:timers/promises';
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
beforeEach(async () => {
  await cluster.deleteLease();
  server = await cluster.connect();
  ({ proxy } = server);
  fleet = new ProbeFleet({ ...settingsOn(cluster), options: OPTIONS });
  leader = fleet.add({ kubeConfigFile: server.kubeConfigFile });
  await leader.event('granted');
  await fleet.add().event('leader');
});

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
  it.each<[string, () => void]>([
    ['reset', () => proxy.reset()],
    ['closed', () => proxy.close()],
    ['half open', () => proxy.halfOpen('server')],
  ])('keeps its leader: %s', async (_how, break_) => {
    const at = monotonicMs();
    break_();
    await delay(2 * DEADLINE_MS);
    expect(leader.leads).toBe(true);
    expect(leader.events.filter(({ event, at: told }) => event === 'revoked' && told > at)).toEqual(
      [],
    );
  });
});

describe('when answers are late', () => {
  it('keeps its leader while they come within the request timeout', async () => {
    proxy.shape('to-client', { kind: 'delay', ms: 100 });
    await delay(2 * DEADLINE_MS);
    expect(leader.events.filter(({ event }) => event === 'revoked')).toEqual([]);
  });

  it('loses it when they never do', async () => {
    const at = monotonicMs();
    proxy.shape('to-client', { kind: 'delay', ms: DEADLINE_MS + 1_000 });
    const revoked = await leader.event('revoked', { since: at });
    expect(revoked.at - at).toBeLessThan(LEASE_MS);
    expect((await fleet.grantedSince(at)).replica).not.toBe(leader);
  });
});
