import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LogEntry } from '../../lib/election/log-entry.js';
import { createLeaderElection, type LeaderElection, leaseLock } from '../../lib/election/index.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';

interface StoredEvent {
  readonly involvedObject: { readonly kind: string; readonly name: string; readonly uid?: string };
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

let cluster: ElectionCluster;
let elections: LeaderElection[] = [];
const warnings: LogEntry[] = [];

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  await Promise.all(elections.map((election) => election.stop()));
  elections = [];
  warnings.length = 0;
});

afterAll(() => cluster?.stop());

async function elected(kubeConfigFile: string, identity: string): Promise<LeaderElection> {
  const nothing = (): void => {};
  const election = await createLeaderElection({
    role: cluster.leaseName,
    namespace: NAMESPACE,
    identity,
    lock: leaseLock({ kubeConfigFile }),
    events: true,
    logger: { debug: nothing, log: nothing, warn: (entry) => warnings.push(entry), error: nothing },
  });
  elections.push(election);
  election.start();
  await election.waitForLeadership();
  return election;
}

/** As `kubectl describe lease` asks for them. */
async function eventsOf(uid: string): Promise<StoredEvent[]> {
  const path = `/api/v1/namespaces/${NAMESPACE}/events?fieldSelector=involvedObject.uid%3D${uid}`;
  const { body } = await cluster.server.request('GET', path);
  return (body as unknown as { items: StoredEvent[] }).items;
}

describe('when events: true may write Events', () => {
  it('shows on the Lease who became leader, and who stopped leading and why', async () => {
    const events = { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] };
    const file = await cluster.addAccount('recorder', [...readmeRole().rules, events]);
    const first = await elected(file, 'plan-1');
    const lease = await cluster.lease();
    await first.stop();
    const second = await elected(file, 'plan-2');
    await cluster.editLease({ holderIdentity: 'a-person' });
    await eventually(() => expect(second.isLeader()).toBe(false), 20_000);
    const { uid } = lease.metadata as { uid: string };
    await eventually(async () => {
      const told = (await eventsOf(uid)).map(({ type, message }) => `${type} ${message}`);
      expect(told).toEqual(
        expect.arrayContaining([
          'Normal plan-1 became leader (term 1)',
          'Normal plan-1 stopped leading (term 1): shutdown',
          'Normal plan-2 became leader (term 2)',
          'Warning plan-2 stopped leading (term 2): superseded',
        ]),
      );
    }, 20_000);
    const [event] = await eventsOf(uid);
    expect(event).toMatchObject({ reason: 'LeaderElection', count: 1 });
    expect(event!.involvedObject).toMatchObject({ kind: 'Lease', name: cluster.leaseName });
    await cluster.deleteLease();
  }, 60_000);
});

describe('when events: true may not write Events', () => {
  it('elects all the same, and says once which rule is missing', async () => {
    const leader = await elected(cluster.kubeConfigFile, 'plan-1');
    await eventually(
      () => expect(warnings.map(({ event }) => event)).toContain('events.failed'),
      20_000,
    );
    expect(leader.isLeader()).toBe(true);
    await leader.stop();
    const failed = warnings.filter(({ event }) => event === 'events.failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]!.msg).toContain('resources: ["events"]');
    expect(failed[0]!.msg).toContain('verbs: ["create"]');
  }, 60_000);
});
