import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import type { Fate } from '../support/scripted-document-store.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';
import { clockTime, JOB, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;

/** A leader that ran the first minute, then nobody for so many minutes and 10 seconds, then another. */
async function takenOver(
  minutes: number,
  change: Partial<JobDefinition> = {},
): Promise<ScheduledProcess> {
  const first = await (await new ScheduledProcess('a').withJob(change)).lead(1);
  await first.clock.advance(MINUTE_MS);
  await first.lose();
  await first.clock.advance(minutes * MINUTE_MS + 10_000);
  const second = new ScheduledProcess('b', first.clock, first.store);
  return (await second.withJob(change)).lead(2);
}

describe('when ticks were missed while nobody led', () => {
  it('runs the latest once within startingDeadlineSeconds and reports the others', async () => {
    const process = await takenOver(3, { startingDeadlineMs: 30_000 });
    expect(process.startedTimes).toEqual(['00:04:00']);
    expect(process.started[0]!.missed.times.map(clockTime)).toEqual(['00:02:00', '00:03:00']);
    expect(process.missed).toEqual([
      {
        job: JOB,
        reason: 'not-started',
        count: 2,
        isCapped: false,
        times: [new Date('2026-01-01T00:02:00Z'), new Date('2026-01-01T00:03:00Z')],
      },
    ]);
    expect(await process.record()).toMatchObject({
      missedCount: 2,
      lastMissedTime: Date.parse('2026-01-01T00:03:00Z'),
      lastScheduleTime: Date.parse('2026-01-01T00:04:00Z'),
    });
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:04:00', '00:05:00']);
    expect(process.missed).toHaveLength(1);
  });

  it('runs none that is older than startingDeadlineSeconds', async () => {
    const process = await takenOver(3, { startingDeadlineMs: 9_000 });
    expect(process.started).toEqual([]);
    expect(process.missed).toMatchObject([{ count: 3 }]);
  });

  it('only reports them without startingDeadlineSeconds', async () => {
    const process = await takenOver(2);
    expect(process.started).toEqual([]);
    expect(process.missed).toMatchObject([{ reason: 'not-started', count: 2 }]);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:04:00']);
  });

  it('tells a report once though the application shuts down before its removal is stored', async () => {
    const second = await takenOver(2, { startingDeadlineMs: 1_000 });
    await second.lose();
    const { clock, store } = second;
    await clock.advance(MINUTE_MS);
    const third = await new ScheduledProcess('c', clock, store).withJob({ startingDeadlineMs: 0 });
    store.fatesOfWrites.push('ok', 'rejected');
    await third.lead(3);
    expect(third.missed).toHaveLength(1);
    third.schedule.stop();
    await third.lose();
    expect(third.isDrained).toBe(false);
    await clock.advance(1_000);
    expect(third.isDrained).toBe(true);
    const fourth = await new ScheduledProcess('d', clock, store).withJob({ startingDeadlineMs: 0 });
    await fourth.lead(4);
    expect(fourth.missed).toEqual([]);
  });

  it('tells a report once though the job is removed and added again meanwhile', async () => {
    const process = await takenOver(2);
    const { clock, store } = process;
    store.fatesOfWrites.push('ok', 'held');
    process.clock.stall(MINUTE_MS);
    process.job().suspend();
    process.job().resume();
    await clock.settle();
    expect(process.missed).toMatchObject([{ count: 2 }, { count: 1 }]);
    process.schedule.remove(JOB);
    await process.withJob();
    store.release();
    await clock.settle();
    expect(process.missed).toHaveLength(2);
    expect((await process.record()).untold).toEqual([]);
  });

  it('reports each of them once in the whole fleet', async () => {
    const second = await takenOver(2, { startingDeadlineMs: 30_000 });
    await second.lose();
    const third = new ScheduledProcess('c', second.clock, second.store);
    await (await third.withJob({ startingDeadlineMs: 30_000 })).lead(3);
    expect(third.started).toEqual([]);
    expect(third.missed).toEqual([]);
  });

  it('reports them again only if the leader ends before it could store that it has told them', async () => {
    const second = await takenOver(2, { startingDeadlineMs: 1_000 });
    await second.lose();
    const { clock, store } = second;
    await clock.advance(MINUTE_MS);
    store.fatesOfWrites.push('ok', ...Array<Fate>(100).fill('lost'));
    const third = new ScheduledProcess('c', clock, store);
    await (await third.withJob({ startingDeadlineMs: 1_000 })).lead(3);
    await third.lose();
    store.fatesOfWrites.length = 0;
    const fourth = new ScheduledProcess('d', clock, store);
    await (await fourth.withJob({ startingDeadlineMs: 1_000 })).lead(4);
    expect(third.missed).toMatchObject([{ count: 1 }]);
    expect(fourth.missed).toEqual(third.missed);
    expect((await fourth.record()).missedCount).toBe(3);
  });

  it('does not tell them again when the same process leads again', async () => {
    const second = await takenOver(2, { startingDeadlineMs: 1_000 });
    await second.lose();
    const { clock, store } = second;
    await clock.advance(MINUTE_MS);
    store.fatesOfWrites.push('ok', ...Array<Fate>(100).fill('lost'));
    await second.lead(3);
    await second.lose();
    store.fatesOfWrites.length = 0;
    expect((await second.record()).untold).toHaveLength(1);
    await second.lead(4);
    await clock.advance(1_000);
    expect(second.missed).toMatchObject([{ count: 2 }, { count: 1 }]);
    expect((await second.record()).untold).toEqual([]);
  });

  it('counts no more than 100, says that there were more, and runs the latest', async () => {
    const process = await takenOver(600, { startingDeadlineMs: 30_000 });
    expect(process.startedTimes).toEqual(['10:01:00']);
    expect(process.missed).toMatchObject([{ count: 100, isCapped: true }]);
    expect(process.missed[0]!.times).toHaveLength(100);
  });

  it('calls onMissed with the report, and survives it', async () => {
    const calls: unknown[] = [];
    const onMissed = (report: unknown) => {
      calls.push(report);
      throw new Error('in onMissed');
    };
    const process = await takenOver(2, { onMissed });
    expect(calls).toEqual(process.missed);
    expect(process.log).toContain('callback Error: in onMissed');
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(1);
  });
});

describe('when a job is new to the fleet', () => {
  it('has missed nothing before', async () => {
    const process = await new ScheduledProcess().withJob({ startingDeadlineMs: 3_600_000 });
    await process.clock.advance(10 * MINUTE_MS);
    await process.lead();
    expect(process.started).toEqual([]);
    expect(process.missed).toEqual([]);
  });

  it('has missed what came between its first leader and the next', async () => {
    const first = await (await new ScheduledProcess('a').withJob()).lead(1);
    await first.lose();
    await first.clock.advance(2 * MINUTE_MS + 1_000);
    const second = new ScheduledProcess('b', first.clock, first.store);
    await (await second.withJob({ startingDeadlineMs: 5_000 })).lead(2);
    expect(second.startedTimes).toEqual(['00:02:00']);
    expect(second.missed).toMatchObject([{ count: 1 }]);
  });

  it.each([
    ['two blanks', '*  * * * *', 'UTC'],
    ['six fields', '0 * * * * *', 'UTC'],
    ['a step of one', '*/1 0-23 ? jan-dec sun-sat', 'UTC'],
    ['another name of the zone', '* * * * *', 'Etc/UTC'],
    ['a zone whose clocks show the same', '* * * * *', 'Atlantic/Reykjavik'],
  ])('goes on when its schedule is the same, with %s', async (_what, expression, zone) => {
    const first = await (await new ScheduledProcess('a').withJob()).lead(1);
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    await first.clock.advance(2 * MINUTE_MS + 1_000);
    const second = new ScheduledProcess('b', first.clock, first.store);
    const schedule = cronSchedule(expression, new TimeZone(zone));
    await (await second.withJob({ schedule, startingDeadlineMs: 5_000 })).lead(2);
    expect(second.startedTimes).toEqual(['00:03:00']);
    expect(second.missed).toMatchObject([{ count: 1 }]);
    expect(second.started[0]!.missed).toMatchObject({ count: 1 });
  });

  it('begins anew when its expression is changed', async () => {
    const first = await (await new ScheduledProcess('a').withJob()).lead(1);
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    await first.clock.advance(60 * MINUTE_MS);
    const second = new ScheduledProcess('b', first.clock, first.store);
    await second.withJob({ startingDeadlineMs: 3_600_000, expression: '*/2 * * * *' } as never);
    await second.lead(2);
    expect(second.started).toEqual([]);
    expect(second.missed).toEqual([]);
    await second.clock.advance(MINUTE_MS);
    expect(second.startedTimes).toEqual(['01:02:00']);
  });
});

describe('when a job was suspended', () => {
  it.each([
    ['and is caught up on resume within its deadline', 60_000, ['00:01:00']],
    ['and is reported on resume without one', null, []],
  ])(
    'does not start a tick whose claim is answered after that, %s',
    async (_what, deadline, started) => {
      const process = new ScheduledProcess();
      await (await process.withJob({ startingDeadlineMs: deadline })).lead();
      const { clock, store } = process;
      store.fatesOfWrites.push('held');
      await clock.advance(MINUTE_MS);
      const runner = process.job();
      runner.suspend();
      store.release();
      await clock.advance(1_000);
      expect(process.started).toEqual([]);
      expect(process.log).toEqual(['returned true, it was suspended']);
      runner.resume();
      await clock.settle();
      expect(process.startedTimes).toEqual(started);
      expect(process.missed).toHaveLength(1 - started.length);
    },
  );

  it('runs nothing, and counts as missed what was due on resume', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    const runner = process.job();
    runner.suspend();
    await process.clock.advance(3 * MINUTE_MS);
    expect(process.started).toEqual([]);
    expect(process.missed).toEqual([]);
    runner.resume();
    await process.clock.settle();
    expect(process.started).toEqual([]);
    expect(process.missed).toMatchObject([{ count: 3 }]);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:04:00']);
  });

  it('catches the latest up on resume if the deadline lets it', async () => {
    const change = { suspend: true, startingDeadlineMs: 30_000 };
    const process = await (await new ScheduledProcess().withJob(change)).lead();
    await process.clock.advance(1_000);
    process.job().resume();
    await process.clock.settle();
    process.job().suspend();
    await process.clock.advance(3 * MINUTE_MS);
    process.job().resume();
    await process.clock.settle();
    expect(process.startedTimes).toEqual(['00:03:00']);
  });
});

describe('when the store is gone over a tick without a deadline', () => {
  it.each([
    ['from before the leader could begin with the job', 90],
    ['from just before the tick', 30],
  ])('is reported when the store is back, hours late: %s', async (_what, secondsBefore) => {
    const change = { expression: '0 2 * * *' };
    const process = await new ScheduledProcess().withJob(change);
    const { clock, store } = process;
    await process.lead();
    await process.lose();
    await clock.advance(2 * 3_600_000 - 1_000 * secondsBefore);
    // Something to adopt: the new leader cannot begin before that is written.
    await process.edit({ unknownSince: '2026-01-01T00:00:00.000Z' });
    const gone = Array<Fate>(1_000).fill('lost');
    store.fatesOfWrites.push(...gone);
    await process.lead(2);
    store.fatesOfReads.push(...gone);
    await clock.advance(1_000 * secondsBefore - 1_000);
    // Three hours of the same, without every request of it.
    clock.shiftWall(3 * 3_600_000);
    await clock.advance(10_000);
    store.fatesOfReads.length = 0;
    store.fatesOfWrites.length = 0;
    await clock.advance(20_000);
    expect(process.started).toEqual([]);
    expect(process.missed).toMatchObject([
      { reason: 'not-started', times: [new Date('2026-01-01T02:00:00Z')] },
    ]);
    await clock.advance(24 * 3_600_000);
    expect(process.startedTimes).toEqual(['02:00:00']);
  });
});

describe('when the wall clock is set', () => {
  it('runs no tick twice if it was set back', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    await process.clock.advance(5 * MINUTE_MS);
    process.clock.shiftWall(-3 * MINUTE_MS);
    await process.clock.advance(5 * MINUTE_MS);
    expect(process.startedTimes).toEqual([1, 2, 3, 4, 5, 6, 7].map((minute) => `00:0${minute}:00`));
  });

  it('notices within a minute if it was set forward', async () => {
    const change = { expression: '0 * * * *', startingDeadlineMs: 120_000 };
    const process = await (await new ScheduledProcess().withJob(change)).lead();
    await process.clock.advance(10 * MINUTE_MS);
    process.clock.shiftWall(50 * MINUTE_MS);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['01:00:00']);
  });
});
