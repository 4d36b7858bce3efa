import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { ManualClock } from '../../support/manual-clock.js';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

async function leading(change: Partial<JobDefinition> = {}): Promise<ScheduledProcess> {
  return (await new ScheduledProcess().withJob(change)).lead();
}

describe('when a job is removed and added again while it runs', () => {
  /** A run that ends when the test says so, and the job removed and added again under it. */
  async function readded(change: Partial<JobDefinition>) {
    const process = await leading(change);
    let finish!: () => void;
    process.handler = () => new Promise<void>((resolve) => (finish = resolve));
    await process.clock.advance(MINUTE_MS);
    process.schedule.remove(JOB);
    await process.withJob(change);
    return { process, finish: () => (finish(), process.clock.settle()) };
  }

  it('is not taken for interrupted, and counts for Forbid', async () => {
    const { process, finish } = await readded({});
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 1 }]);
    await finish();
    expect(await process.record()).toMatchObject({
      active: [],
      lastFailed: null,
      lastSuccessfulTime: expect.any(Number),
    });
  });

  it('lets a tick that waits for it start when it ends', async () => {
    const { process, finish } = await readded({ startingDeadlineMs: 30_000 });
    await process.clock.advance(MINUTE_MS + 10_000);
    expect(process.started).toHaveLength(1);
    await finish();
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(process.missed).toEqual([]);
  });

  it('is awaited by whoever removed it, and the runs of the next are not', async () => {
    const process = await leading();
    const finishers: (() => void)[] = [];
    process.handler = () => new Promise<void>((resolve) => void finishers.push(resolve));
    await process.clock.advance(MINUTE_MS);
    const removed = process.schedule.remove(JOB)!;
    let isIdle = false;
    const idle = removed.idle().then(() => (isIdle = true));
    await process.withJob({ concurrencyPolicy: 'Allow' });
    await process.clock.advance(MINUTE_MS);
    expect([process.started.length, isIdle]).toEqual([2, false]);
    finishers[0]!();
    await process.clock.settle();
    await idle;
    expect((await process.record()).active).toHaveLength(1);
  });
});

describe('when a job is removed and added again and again in one term', () => {
  it('leaves nothing behind on the signal of the term', async () => {
    const process = await leading();
    const listeners = () => getEventListeners(process.term!.signal, 'abort').length;
    const before = listeners();
    for (let round = 0; round < 20; round += 1) {
      process.schedule.remove(JOB);
      await process.withJob();
    }
    expect(listeners()).toBe(before);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });
});

describe('when a job is removed while a tick is being claimed', () => {
  it('hands the tick back, and added again it catches it up', async () => {
    const process = await leading({ startingDeadlineMs: 30_000 });
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    process.schedule.remove(JOB);
    await process.withJob({ startingDeadlineMs: 30_000 });
    process.store.release();
    await process.clock.advance(1_000);
    expect(process.log).toContain('returned true, its schedule ended');
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(process.missed).toEqual([]);
  });
});

describe('when a job is in the application no more', () => {
  /** A leader that ran the job's first tick, and then one of a version that has another job instead. */
  async function leftBehind() {
    const old = await leading();
    await old.clock.advance(MINUTE_MS);
    await old.lose();
    const next = await new ScheduledProcess('b', old.clock, old.store).withJob({ name: 'other' });
    await next.lead(2);
    return { old, next, clock: old.clock, store: old.store };
  }

  it('is forgotten after 30 days, by writes that are made anyway', async () => {
    const { next, clock, store } = await leftBehind();
    await clock.advance(MINUTE_MS);
    expect((await next.record()).unknownSince).not.toBeNull();
    clock.shiftWall(29 * DAY_MS);
    await clock.advance(2 * MINUTE_MS);
    expect(await next.record()).toBeDefined();

    clock.shiftWall(DAY_MS);
    const [reads, writes] = [store.reads, store.writes];
    await clock.advance(10 * MINUTE_MS);
    expect(await next.record()).toBeUndefined();
    expect(next.log.filter((line) => line.startsWith('forgotten'))).toEqual([`forgotten ${JOB}`]);
    const ticks = next.started.length - 3;
    expect([store.reads - reads, store.writes - writes]).toEqual([0, 2 * ticks]);
  });

  it('is kept if a leader that knows it leads in between, though it is never due', async () => {
    const { old, next, clock } = await leftBehind();
    await clock.advance(MINUTE_MS);
    await next.lose();
    clock.shiftWall(29 * DAY_MS);
    const rolledBack = new ScheduledProcess('c', clock, old.store);
    await rolledBack.withJob({ expression: '* * * * *' });
    await (await rolledBack.lead(3)).lose();
    expect((await next.record()).unknownSince).toBeNull();
    clock.shiftWall(29 * DAY_MS);
    await next.lead(4);
    await clock.advance(2 * MINUTE_MS);
    expect(await next.record()).toBeDefined();
  });

  it('is kept by a leader that knows it and has it suspended', async () => {
    const { next, clock, store } = await leftBehind();
    await clock.advance(MINUTE_MS);
    await next.lose();
    const both = await new ScheduledProcess('c', clock, store).withJob({ suspend: true });
    await (await both.withJob({ name: 'other' })).lead(3);
    clock.shiftWall(31 * DAY_MS);
    await clock.advance(2 * MINUTE_MS);
    expect(await both.record()).toMatchObject({ unknownSince: null });
  });

  async function forgotten() {
    const { next, clock, store } = await leftBehind();
    await clock.advance(MINUTE_MS);
    clock.shiftWall(31 * DAY_MS);
    await clock.advance(2 * MINUTE_MS);
    expect(await next.record()).toBeUndefined();
    return store;
  }

  it('repeats no tick that was run before, for a process whose clock is behind', async () => {
    const store = await forgotten();
    const behind = await new ScheduledProcess('d', new ManualClock(), store).withJob({
      startingDeadlineMs: 3_600_000,
    });
    await behind.lead(3);
    await behind.clock.advance(5 * MINUTE_MS);
    expect(behind.startedTimes).toEqual(['00:02:00', '00:03:00', '00:04:00', '00:05:00']);
    expect(behind.missed).toEqual([]);
  });

  it('repeats no tick for a process that was stopped before it could claim it', async () => {
    const store = new ScriptedDocumentStore();
    const stopped = await new ScheduledProcess('stopped', new ManualClock(), store).withJob();
    await stopped.lead(1);
    const leader = await new ScheduledProcess('b', new ManualClock(), store).withJob();
    await (await leader.lead(2)).clock.advance(MINUTE_MS);
    await leader.lose();
    leader.schedule.remove(JOB);
    await leader.withJob({ name: 'other' });
    await (await leader.lead(3)).clock.advance(MINUTE_MS);
    leader.clock.shiftWall(31 * DAY_MS);
    await leader.clock.advance(2 * MINUTE_MS);
    expect(await leader.record()).toBeUndefined();

    await stopped.clock.advance(MINUTE_MS);
    expect(leader.startedTimes[0]).toBe('00:01:00');
    expect(stopped.started).toEqual([]);
  });
});
