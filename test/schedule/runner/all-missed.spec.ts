import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { clockTime, LEASE_DURATION_MS, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const all: Partial<JobDefinition> = { missedPolicy: 'all', startingDeadlineMs: 3 * MINUTE_MS };

/** A leader that ran the first minute, then none for so many minutes and 10 seconds, then another. */
async function takenOver(minutes: number, job: Partial<JobDefinition>, handler = () => {}) {
  const first = await (await new ScheduledProcess('a').withJob(job)).lead(1);
  await first.clock.advance(MINUTE_MS);
  await first.lose();
  await first.clock.advance(minutes * MINUTE_MS + 10_000);
  const second = new ScheduledProcess('b', first.clock, first.store);
  second.handler = handler;
  return (await second.withJob(job)).lead(2);
}

describe('when all missed ticks are to start', () => {
  it('starts those whose deadline has not passed, oldest first, and reports the others', async () => {
    const process = await takenOver(5, all);
    expect(process.startedTimes).toEqual(['00:04:00', '00:05:00', '00:06:00']);
    expect(process.missed.flatMap(({ times }) => times.map(clockTime))).toEqual([
      '00:02:00',
      '00:03:00',
    ]);
    expect((await process.record()).missedCount).toBe(2);
  });

  it.each(['Forbid', 'Allow'] as const)(
    'starts one after the other: %s',
    async (concurrencyPolicy) => {
      let [running, most] = [0, 0];
      const second = await takenOver(3, { ...all, concurrencyPolicy });
      expect(second.startedTimes).toHaveLength(3);
      await second.lose();
      await second.clock.advance(3 * MINUTE_MS);
      const third = new ScheduledProcess('c', second.clock, second.store);
      third.handler = async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => void third.clock.setTimer(resolve, 5_000));
        running -= 1;
      };
      await (await third.withJob({ ...all, concurrencyPolicy })).lead(3);
      await third.clock.advance(30_000);
      expect(third.startedTimes).toEqual(['00:05:00', '00:06:00', '00:07:00']);
      expect(most).toBe(1);
    },
  );

  it('waits for a run that is active, and starts what has come due in the meantime', async () => {
    const process = new ScheduledProcess();
    const workMs = [150_000, 0, 0, 0, 0];
    process.handler = () =>
      new Promise<void>((resolve) => void process.clock.setTimer(resolve, workMs.shift() ?? 0));
    await (await process.withJob(all)).lead();
    await process.clock.advance(4 * MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00', '00:03:00', '00:04:00']);
    expect(process.missed).toEqual([]);
  });

  it('reports as forbidden what has waited until its deadline', async () => {
    const process = new ScheduledProcess();
    process.handler = () =>
      new Promise<void>((resolve) => void process.clock.setTimer(resolve, 330_000));
    await (await process.withJob({ ...all, startingDeadlineMs: MINUTE_MS })).lead();
    await process.clock.advance(7 * MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:06:00']);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 4 }]);
  });

  it('asks the store no more often than any long run does while they wait', async () => {
    const process = new ScheduledProcess();
    process.handler = () => new Promise(() => undefined);
    await (await process.withJob(all)).lead();
    await process.clock.advance(MINUTE_MS);
    const { writes, reads } = process.store;
    await process.clock.advance(2 * MINUTE_MS);
    expect(process.store.writes).toBe(writes);
    expect(process.store.reads - reads).toBe((2 * MINUTE_MS) / LEASE_DURATION_MS);
  });
});

describe('when no missed tick is to start', () => {
  it('reports them although their deadline lets them, and starts those that come due', async () => {
    const process = await takenOver(2, { missedPolicy: 'none', startingDeadlineMs: 3_600_000 });
    expect(process.started).toEqual([]);
    expect(process.missed).toMatchObject([{ reason: 'not-started', count: 2 }]);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:04:00']);
  });
});
