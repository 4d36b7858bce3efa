import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { leaseLock } from '../../../lib/index.js';
import { LeaderSchedule, LeaderScheduleModule } from '../../../lib/schedule/index.js';
import { Elections } from '../../nest/support/elections.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';

const LEASE = 'plan-scheduler';
const SCHEDULE = `${LEASE}-schedule`;

describe('when jobs are claimed on a Lease', () => {
  let emulator: ApiEmulator;
  let elections: Elections;

  beforeEach(async () => {
    emulator = await ApiEmulator.start();
    elections = new Elections();
  });
  afterEach(async () => {
    await elections.end();
    await emulator.stop();
  });

  const start = async () => {
    const lock = leaseLock({ kubeConfig: kubeConfigTo(emulator.url) });
    const election = elections.module({ lock, namespace: 'default' });
    return elections.start({ imports: [election, LeaderScheduleModule] });
  };
  const to = (name: string) =>
    emulator.requests.filter(({ verb, path, body }) =>
      verb === 'create'
        ? (body as { metadata: { name: string } }).metadata.name === name
        : path.endsWith(`/${name}`),
    );

  it('costs one PUT a claim and one a record, and nothing of a standby', async () => {
    const leader = await start();
    await eventually(() => expect(leader.leadership().isLeader()).toBe(true));
    const standby = await start();
    const ran: string[] = [];
    for (const [application, who] of [
      [leader, 'leader'],
      [standby, 'standby'],
    ] as const) {
      application.get(LeaderSchedule).add('job', '* * * * * *', () => void ran.push(who));
    }
    await eventually(() => expect(to(SCHEDULE).map(({ verb }) => verb)).toEqual(['get', 'create']));
    for (let tick = 1; tick <= 8; tick += 1) {
      await elections.clock.advance(1_000);
      await eventually(() => expect(to(SCHEDULE)).toHaveLength(2 + 2 * tick));
      await eventually(() => expect(leader.leadership().remainingMs()).toBeGreaterThan(8_000));
    }
    expect(ran).toEqual(Array(8).fill('leader'));
    expect(
      to(SCHEDULE)
        .slice(2)
        .every(({ verb }) => verb === 'update'),
    ).toBe(true);
  });

  it('wakes no watch of the election: those are for the lease by name', async () => {
    const leader = await start();
    await eventually(() => expect(leader.leadership().isLeader()).toBe(true));
    await start();
    leader.get(LeaderSchedule).add('job', '* * * * * *', () => undefined);
    await eventually(() => expect(to(SCHEDULE)).toHaveLength(2));
    const watches = () => emulator.requests.filter(({ verb }) => verb === 'watch');
    await eventually(() => expect(watches()).toHaveLength(2));
    for (const { query } of watches()) {
      expect(query.get('fieldSelector')).toBe(`metadata.name=${LEASE}`);
    }
  });
});
