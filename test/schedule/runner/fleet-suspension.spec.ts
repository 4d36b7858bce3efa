import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const suspension = { isSuspended: true, by: 'b', reason: 'the bank is closed' };
const resumption = { isSuspended: false, by: 'b', reason: '' };

/** A leader, and a process that does not lead. */
async function fleet(job: Partial<JobDefinition> & { expression?: string } = {}) {
  const leader = await (await new ScheduledProcess('a').withJob(job)).lead();
  const follower = await new ScheduledProcess('b', leader.clock, leader.store).withJob(job);
  return { leader, follower, clock: leader.clock };
}

describe('when a job is suspended for the whole fleet', () => {
  it('starts no tick from then on, although another replica was asked', async () => {
    const { leader, follower, clock } = await fleet();
    await clock.advance(MINUTE_MS);
    expect(await follower.job().switchFleet(suspension)).toBe(true);
    await clock.advance(3 * MINUTE_MS);
    expect(leader.startedTimes).toEqual(['00:01:00']);
    expect(leader.log).toContain('suspended by b the bank is closed');
    expect(leader.job().nextTick()).toBeNull();
  });

  it('starts none under a later leader, and none in a job that the fleet has not seen', async () => {
    const first = await new ScheduledProcess('a').withJob();
    await first.job().switchFleet(suspension);
    await first.lead();
    await first.clock.advance(2 * MINUTE_MS);
    await first.lose();
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob();
    await second.lead(2);
    await second.clock.advance(2 * MINUTE_MS);
    expect([...first.started, ...second.started]).toEqual([]);
  });

  it('writes nothing, and reads once a tick, so that it hears of a resume', async () => {
    const { leader, follower, clock } = await fleet();
    await follower.job().switchFleet(suspension);
    await clock.advance(2 * MINUTE_MS);
    const { reads, writes } = leader.store;
    await clock.advance(3 * MINUTE_MS);
    expect(leader.store.reads - reads).toBe(3);
    expect(leader.store.writes).toBe(writes);
  });

  it.each([
    ['catches the latest tick up where its deadline lets it', 60_000, ['00:03:00', '00:04:00']],
    ['starts the next tick, and reports those before', null, ['00:04:00']],
  ])('on resume %s', async (_what, startingDeadlineMs, started) => {
    const { leader, follower, clock } = await fleet({ startingDeadlineMs });
    await follower.job().switchFleet(suspension);
    await clock.advance(3 * MINUTE_MS + 10_000);
    await leader.job().switchFleet(resumption);
    await clock.advance(MINUTE_MS);
    expect(leader.startedTimes).toEqual(started);
    const missed = leader.missed.flatMap(({ times }) => times);
    expect(missed).toHaveLength(4 - started.length);
  });

  it('starts the next tick although the clock of the replica that has resumed it is ahead', async () => {
    const { leader, clock } = await fleet();
    const ahead = await new ScheduledProcess('c', new ManualClock(), leader.store).withJob();
    await ahead.clock.advance(60 * MINUTE_MS);
    await leader.job().switchFleet(suspension);
    await clock.advance(MINUTE_MS + 30_000);
    await ahead.job().switchFleet(resumption);
    await clock.advance(2 * MINUTE_MS);
    expect(leader.startedTimes).toEqual(['00:02:00', '00:03:00']);
  });

  it('hears of a resume within a minute, however rarely the job is due', async () => {
    const { leader, follower, clock } = await fleet({
      expression: '5 * * * *',
      startingDeadlineMs: 3_600_000,
    });
    await follower.job().switchFleet(suspension);
    await clock.advance(10 * MINUTE_MS);
    await follower.job().switchFleet(resumption);
    await clock.advance(MINUTE_MS);
    expect(leader.startedTimes).toEqual(['00:05:00']);
  });

  it('claims no tick that the leader has decided on before', async () => {
    const { leader, follower, clock } = await fleet({ startingDeadlineMs: 0 });
    leader.store.fatesOfWrites.push('held');
    await clock.advance(MINUTE_MS);
    leader.store.fatesOfWrites.push('ok');
    const asked = follower.job().switchFleet(suspension);
    await clock.settle();
    leader.store.release();
    await clock.settle();
    await asked;
    const { active, accountedThrough } = await leader.record();
    const isClaimedFirst = leader.started.length === 1;
    expect(active).toEqual([]);
    expect(accountedThrough === Date.UTC(2026, 0, 1, 0, 1)).toBe(isClaimedFirst);
  });

  it.each(['a replica that does not lead', 'the leader'])(
    'is resumed by %s although it last saw the job run',
    async (who) => {
      const { leader, follower, clock } = await fleet();
      const third = await new ScheduledProcess('c', clock, leader.store).withJob();
      const asked = who === 'the leader' ? leader : third;
      await third.job().switchFleet(suspension);
      await third.job().switchFleet(resumption);
      await clock.advance(MINUTE_MS + 30_000);
      await follower.job().switchFleet(suspension);
      expect(await asked.job().switchFleet(resumption)).toBe(true);
      await clock.advance(MINUTE_MS);
      expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
    },
  );

  it('says that it does not know when the store does not answer', async () => {
    const { follower, clock } = await fleet();
    follower.store.fatesOfWrites.push(...Array.from({ length: 100 }, () => 'lost' as const));
    const asked = follower.job().switchFleet(suspension);
    await clock.advance(MINUTE_MS);
    expect(await asked).toBe(false);
  });

  it('is only suspended in one process by the job of the registry', async () => {
    const { leader, follower, clock } = await fleet();
    follower.job().suspend();
    await clock.advance(MINUTE_MS);
    expect(leader.started).toHaveLength(1);
    leader.job().suspend();
    await leader.job().switchFleet(resumption);
    await clock.advance(MINUTE_MS);
    expect(leader.started).toHaveLength(1);
  });
});

describe('when the options of a job say that it is suspended', () => {
  it('is resumed for the whole fleet, also under the next leader', async () => {
    const { leader, follower, clock } = await fleet({ suspend: true });
    await clock.advance(MINUTE_MS);
    expect(leader.started).toEqual([]);
    await follower.job().switchFleet(resumption);
    await clock.advance(2 * MINUTE_MS);
    expect(leader.started.length).toBeGreaterThan(0);
    await leader.lose();
    const second = await new ScheduledProcess('c', clock, leader.store).withJob({ suspend: true });
    await second.lead(2);
    await clock.advance(MINUTE_MS);
    expect(second.started).toHaveLength(1);
  });

  it('is suspended again by a later release that says so, once one has not', async () => {
    const { leader, clock } = await fleet({ suspend: true });
    await leader.job().switchFleet(resumption);
    await leader.lose();
    const { store } = leader;
    const without = await new ScheduledProcess('c', clock, store).withJob();
    await without.lead(2);
    await clock.advance(MINUTE_MS);
    expect(without.started).toHaveLength(1);
    await without.lose();
    const again = await new ScheduledProcess('d', clock, store).withJob({ suspend: true });
    await again.lead(3);
    await clock.advance(2 * MINUTE_MS);
    expect(again.started).toEqual([]);
  });
});

describe('when a version that knows no suspension of the fleet has led in between', () => {
  it('is still suspended, as that version has written back what it does not know', async () => {
    const { leader, follower, clock } = await fleet();
    await follower.job().switchFleet(suspension);
    await leader.lose();
    await clock.advance(MINUTE_MS);
    const time = '2026-01-01T00:01:00Z';
    await leader.edit({ accountedThrough: time, lastScheduleTime: time });
    await follower.lead(2);
    await clock.advance(2 * MINUTE_MS);
    expect(follower.started).toEqual([]);
  });

  it('schedules nothing by a suspension of a later version that it cannot read', async () => {
    const { leader, clock } = await fleet();
    await leader.edit({ suspension: { until: 'Monday' } });
    await clock.advance(2 * MINUTE_MS);
    expect(leader.started).toEqual([]);
    expect(leader.errors).toEqual([expect.stringContaining('(suspension)')]);
  });
});
