import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster } from '../../proof/fleet/election-cluster.js';
import { Figures } from './support/figures.js';
import { HandoverFloor } from './support/handover-floor.js';
import type { ProbeEvent } from './support/probe-process.js';
import { ProbeFleet } from './support/probe-fleet.js';

const HANDOVERS = 15;
const LEASE_DURATION_MS = 15_000;

let cluster: ElectionCluster;
let fleet: ProbeFleet | undefined;
const figures = new Figures();

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterAll(async () => {
  figures.print();
  await fleet?.stop();
  await cluster?.stop();
});

async function floor(times: number): Promise<number[]> {
  const rounds = await HandoverFloor.open(cluster);
  const measured: number[] = [];
  for (let round = 0; round < times; round += 1) {
    measured.push(await rounds.measure());
    await delay(20);
  }
  rounds.close();
  return measured;
}

describe('when three replicas start on a real API server', () => {
  it('makes exactly one of them the leader, and all of them know which', async () => {
    fleet = await ProbeFleet.on(cluster, 3);
    await fleet.settled();
    expect(fleet.replicas.filter(({ leads }) => leads)).toHaveLength(1);
  });

  it('leaves one PUT per retry period to the leader, and nothing but a watch to the standbys', async () => {
    await fleet!.settled();
    await delay(2_500);
    const from = new Date();
    await delay(20_000);
    const requests = await cluster.requests(from, new Date());
    const byVerb: Record<string, number> = {};
    for (const { verb } of requests) byVerb[verb] = (byVerb[verb] ?? 0) + 1;
    figures.note(
      `20 s of steady state, three replicas, requests by verb: ${JSON.stringify(byVerb)}`,
    );
    expect(Object.keys(byVerb).filter((verb) => verb !== 'update' && verb !== 'watch')).toEqual([]);
    // Ten, or fewer where the machine keeps the leader waiting.
    expect(byVerb['update']).toBeGreaterThanOrEqual(5);
    expect(byVerb['update']).toBeLessThanOrEqual(11);
    // A watch ends when the server or the silence limit says so; it is not polled.
    expect(byVerb['watch'] ?? 0).toBeLessThanOrEqual(3);
  }, 60_000);
});

describe('when the leader is asked to end (SIGTERM)', () => {
  it('hands over by the release of the lease, long before it would expire', async () => {
    const floors = await floor(30);
    const gaps: number[] = [];
    for (let round = 0; round < HANDOVERS; round += 1) {
      await fleet!.settled();
      const leader = await fleet!.leader();
      const at = leader.signal('SIGTERM');
      const granted = await fleet!.grantedSince(at);
      gaps.push(granted.at - at);
      await leader.exited;
      const { at: ready } = await fleet!.add().event('ready');
      expect(ready).toBeGreaterThan(at);
      await delay(200);
    }
    figures.add('floor: PUT, watch delivery, PUT', floors);
    figures.add('graceful handover, SIGTERM to granted', gaps);
    expect(Math.max(...gaps)).toBeLessThan(LEASE_DURATION_MS / 2);
  }, 180_000);

  it('grants no other replica before the old leader’s @OnRevoked of 3 s has ended', async () => {
    await fleet!.stop();
    fleet = await ProbeFleet.on(cluster, 3, { slowRevokeMs: 3_000 });
    const after: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await fleet.settled();
      const leader = await fleet.leader();
      const at = leader.signal('SIGTERM');
      const granted = await fleet.grantedSince(at);
      const ended = await leader.event('revoked-handled', { since: at });
      after.push(granted.at - ended.at);
      expect(granted.at).toBeGreaterThanOrEqual(ended.at);
      fleet.add();
    }
    figures.add('granted after the old leader’s 3 s handler had ended', after);
  }, 90_000);
});

describe('when the leader is killed (SIGKILL)', () => {
  it('has a new leader once the lease has expired, and waits for no second lease duration', async () => {
    await fleet!.stop();
    fleet = await ProbeFleet.on(cluster, 3);
    const gaps: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await fleet.settled();
      const at = (await fleet.leader()).signal('SIGKILL');
      const granted = await fleet.grantedSince(at);
      gaps.push(granted.at - at);
      fleet.add();
    }
    figures.add('crash, SIGKILL to granted', gaps);
    expect(Math.max(...gaps)).toBeLessThan(2 * LEASE_DURATION_MS);
  }, 120_000);
});

describe('when the leader is stopped for longer than its lease and continued (SIGSTOP, SIGCONT)', () => {
  it('never says that it leads after it resumes, and tells of the revocation before anything else', async () => {
    await fleet!.settled();
    const leader = await fleet!.leader();
    const at = leader.signal('SIGSTOP');
    const granted = await fleet!.grantedSince(at);
    await delay(1_000);
    const resumed = leader.signal('SIGCONT');
    const revoked = await leader.event('revoked', { since: resumed });
    expect(revoked.reason).toMatch(/^(renew-deadline|superseded)$/);
    await delay(3_000);
    const since = (event: ProbeEvent): boolean => event.at >= resumed;
    expect(leader.events.filter(since)[0]?.event).toBe('revoked');
    expect(fleet!.probesOf(leader).filter((probe) => probe > granted.at)).toEqual([]);
    figures.note(
      `SIGSTOP: next leader after ${(granted.at - at).toFixed(0)} ms; revoked event ` +
        `${(revoked.at - resumed).toFixed(1)} ms after SIGCONT; probes that said leader after it resumed: 0`,
    );
  }, 60_000);
});

describe('when all is over', () => {
  it('shows that no two replicas ever said isLeader() at the same time', () => {
    const { probes, overlapping } = fleet!.overlaps();
    figures.note(`${probes} probes that said leader, overlapping belief intervals: ${overlapping}`);
    expect(probes).toBeGreaterThan(1_000);
    expect(overlapping).toBe(0);
  });
});
