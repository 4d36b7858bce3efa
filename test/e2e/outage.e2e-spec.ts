import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { Figures } from './support/figures.js';
import { ProbeFleet, settingsOn } from './support/probe-fleet.js';

const OUTAGE_MS = 40_000;
const LEASE_DURATION_MS = 15_000;
/** Longer than a start of the API server may take. */
const PATIENT = { leaseDurationMs: 120_000, renewDeadlineMs: 90_000, retryPeriodMs: 2_000 };

let cluster: ElectionCluster;
let fleet: ProbeFleet | undefined;
const figures = new Figures();

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  const { overlapping } = fleet?.overlaps() ?? { overlapping: 0 };
  if (overlapping > 0) throw new Error(`${overlapping} belief intervals overlap`);
  await fleet?.stop();
  fleet = undefined;
});

afterAll(async () => {
  figures.print();
  await cluster?.stop();
});

describe('when the API server is gone for 40 s', () => {
  it('has no leader in between, and one soon after its return, without waiting for a lease duration', async () => {
    fleet = await ProbeFleet.on(cluster, 3);
    const leader = await fleet.leader();
    const from = monotonicMs();
    await cluster.server.killApiServer();
    const revoked = await leader.event('revoked', { since: from });
    expect(revoked.reason).toBe('renew-deadline');
    await delay(OUTAGE_MS - (monotonicMs() - from));
    expect(fleet.replicas.filter(({ leads }) => leads)).toEqual([]);
    await cluster.server.startApiServer();
    const returned = monotonicMs();
    const granted = await fleet.grantedSince(from);
    const gap = granted.at - returned;
    figures.note(
      `API server outage of 40 s: leader back ${gap.toFixed(0)} ms after /readyz said ok`,
    );
    expect(gap).toBeLessThan(LEASE_DURATION_MS);
    expect(fleet.replicas.every(({ hasExited }) => !hasExited)).toBe(true);
  }, 120_000);

  it('explains itself a few times, not once per attempt', async () => {
    fleet = await ProbeFleet.on(cluster, 1);
    const [replica] = fleet.replicas;
    await cluster.server.killApiServer();
    await delay(8_000);
    const lines = replica!.log.filter((line) => line.includes('ECONNREFUSED'));
    await cluster.server.startApiServer();
    expect(lines.length).toBeGreaterThanOrEqual(1);
    expect(lines.length).toBeLessThanOrEqual(4);
  }, 60_000);
});

describe('when the API server restarts within the renew deadline', () => {
  it('keeps its leader', async () => {
    fleet = await ProbeFleet.on(cluster, 3, { options: PATIENT });
    const leader = await fleet.leader();
    await cluster.server.killApiServer();
    await cluster.server.startApiServer();
    const { resourceVersion } = (await cluster.lease()).metadata!;
    await eventually(async () =>
      expect((await cluster.lease()).metadata!.resourceVersion).not.toBe(resourceVersion),
    );
    expect(leader.leads).toBe(true);
    expect(
      fleet.replicas.flatMap(({ events }) => events).filter(({ event }) => event === 'granted'),
    ).toHaveLength(1);
  }, 120_000);
});

describe('when people touch the lease', () => {
  it.each<[string, string, () => Promise<void>]>([
    ['delete it', 'lease-deleted', () => cluster.deleteLease()],
    ['empty its holder', 'superseded', () => cluster.editLease({ holderIdentity: '' })],
    [
      'put another holder in',
      'superseded',
      () =>
        cluster.editLease({ holderIdentity: 'somebody', renewTime: '2026-01-01T00:00:00.000000Z' }),
    ],
    ['change its transitions', 'superseded', () => cluster.editLease({ leaseTransitions: 77 })],
    ['change its duration', 'superseded', () => cluster.editLease({ leaseDurationSeconds: 1 })],
    [
      'null its times',
      'superseded',
      () => cluster.editLease({ renewTime: null, acquireTime: null }),
    ],
  ])(
    'revokes the leader at once when they %s',
    async (what, reason, touch) => {
      // One replica: with no rival the only event is its own revocation.
      fleet = await ProbeFleet.on(cluster, 1);
      const leader = await fleet.leader();
      await delay(300);
      const at = monotonicMs();
      await touch();
      const revoked = await leader.event('revoked', { since: at });
      figures.note(`${what}: revoked ${(revoked.at - at).toFixed(1)} ms after the request`);
      expect(revoked.reason).toBe(reason);
      // Well before the next renewal would have found out, on a machine that is not overwhelmed.
      const again = await fleet.grantedSince(revoked.at, 25_000);
      expect(again.term).toBeGreaterThan(1);
    },
    60_000,
  );

  it('keeps labels, annotations and owner references that others put on it', async () => {
    fleet = await ProbeFleet.on(cluster, 1);
    const metadata = {
      labels: { team: 'billing' },
      annotations: { 'example.com/note': 'keep me' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: 'b1' }],
    };
    await cluster.server.request('PATCH', cluster.leasePath, { metadata });
    await delay(2_500);
    fleet.replicas[0]!.signal('SIGTERM');
    await fleet.replicas[0]!.exited;
    const { metadata: kept, spec } = await cluster.lease();
    expect(kept).toMatchObject({
      ...metadata,
      annotations: expect.objectContaining(metadata.annotations),
    });
    expect(spec?.['holderIdentity']).toBe('');
    expect(fleet.replicas[0]!.events.some(({ event }) => event === 'granted')).toBe(true);
  }, 30_000);
});

describe('when a lease left by another client holds nonsense', () => {
  it('waits it out and leads', async () => {
    await cluster.deleteLease();
    await cluster.server.request('POST', cluster.leasePath.replace(/\/[^/]+$/, ''), {
      metadata: { name: cluster.leaseName, namespace: NAMESPACE },
      spec: { holderIdentity: 'ghost', leaseDurationSeconds: 3 },
    });
    fleet = await ProbeFleet.start(2, settingsOn(cluster));
    expect((await cluster.lease()).spec?.['leaseTransitions']).toBe(1);
  }, 60_000);
});
