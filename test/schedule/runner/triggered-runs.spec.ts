import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import type { ConcurrencyPolicy } from '../../../lib/schedule/tick/tick-schedule.js';
import type { TriggerResult } from '../../../lib/schedule/runner/job.js';
import { CHANGE_TIMEOUT_MS, JOB, ScheduledProcess } from '../support/scheduled-process.js';
import type { Fate } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;

async function leading(change: Partial<JobDefinition> = {}): Promise<ScheduledProcess> {
  return (await new ScheduledProcess().withJob(change)).lead();
}

function trigger(process: ScheduledProcess): Promise<TriggerResult> {
  return process.job().trigger(process.term!);
}

/** Runs end when the test says so, or when they are told to. */
function holdRuns(process: ScheduledProcess): () => Promise<void> {
  const finishers: (() => void)[] = [];
  process.handler = ({ signal }) =>
    new Promise<void>((resolve, reject) => {
      finishers.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  return async () => {
    for (const finish of finishers.splice(0)) finish();
    await process.clock.settle();
  };
}

describe('when a run is triggered by hand', () => {
  it('runs beside the schedule and uses up no tick', async () => {
    const process = await leading();
    const before = (await process.record()).accountedThrough;
    await expect(trigger(process)).resolves.toBe('succeeded');
    expect((await process.record()).accountedThrough).toBe(before);
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(2);
  });

  it('tells whether it failed', async () => {
    const process = await leading();
    process.handler = () => Promise.reject(new Error('no'));
    await expect(trigger(process)).resolves.toBe('failed');
  });

  it('runs also while the job is suspended and the fleet has not seen it', async () => {
    const process = await leading({ suspend: true });
    await expect(trigger(process)).resolves.toBe('succeeded');
    expect(await process.record()).toMatchObject({
      accountedThrough: Date.parse('2026-01-01T00:00:00Z'),
      lastSuccessfulTime: expect.any(Number),
      active: [],
    });
  });

  it.each<[ConcurrencyPolicy, number]>([
    ['Forbid', 1],
    ['Replace', 1],
    ['Allow', 2],
  ])('is one of two asked for at once under %s: %d', async (concurrencyPolicy, runs) => {
    const process = await leading({ concurrencyPolicy });
    const finish = holdRuns(process);
    const both = [trigger(process), trigger(process)];
    await process.clock.settle();
    expect(process.started).toHaveLength(runs);
    await finish();
    const results = await Promise.all(both);
    expect(results.filter((result) => result === 'succeeded')).toHaveLength(runs);
    expect(results.filter((result) => result === 'forbidden')).toHaveLength(2 - runs);
  });

  it("is refused by 'Forbid' while a run is active, and while a tick is being claimed", async () => {
    const process = await leading();
    const finish = holdRuns(process);
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    await expect(trigger(process)).resolves.toBe('forbidden');
    process.store.release();
    await process.clock.settle();
    await expect(trigger(process)).resolves.toBe('forbidden');
    await finish();
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it("takes the place of an active run under 'Replace'", async () => {
    const process = await leading({ concurrencyPolicy: 'Replace' });
    const finish = holdRuns(process);
    await process.clock.advance(MINUTE_MS);
    const triggered = trigger(process);
    await process.clock.settle();
    expect(process.started[0]!.signal.reason).toMatchObject({ code: 'ERR_JOB_REPLACED' });
    await finish();
    await expect(triggered).resolves.toBe('succeeded');
    expect(process.started).toHaveLength(2);
  });
});

describe('when a tick is due while a triggered run is being recorded', () => {
  it("waits for that run under 'Forbid'", async () => {
    const process = await leading({ startingDeadlineMs: 30_000 });
    const finish = holdRuns(process);
    await process.clock.advance(MINUTE_MS - 1);
    process.store.fatesOfWrites.push('held');
    const triggered = trigger(process);
    await process.clock.advance(1);
    process.store.release();
    await process.clock.settle();
    expect(process.started).toHaveLength(1);
    await finish();
    await expect(triggered).resolves.toBe('succeeded');
    expect(process.started).toHaveLength(2);
    expect(process.startedTimes[1]).toBe('00:01:00');
  });

  it("replaces that run under 'Replace'", async () => {
    const process = await leading({ concurrencyPolicy: 'Replace' });
    holdRuns(process);
    await process.clock.advance(MINUTE_MS - 1);
    process.store.fatesOfWrites.push('held');
    const triggered = trigger(process);
    await process.clock.advance(1);
    process.store.release();
    await process.clock.settle();
    await expect(triggered).resolves.toBe('failed');
    expect(process.startedTimes).toEqual(['00:00:59', '00:01:00']);
  });

  it('starts as soon as the store answers if that run cannot be recorded', async () => {
    const process = await leading({ startingDeadlineMs: 30_000 });
    await process.clock.advance(MINUTE_MS - 1);
    process.store.fatesOfWrites.push('lost');
    process.store.fatesOfReads.push(...Array<Fate>(100).fill('lost'));
    const triggered = trigger(process);
    await process.clock.advance(CHANGE_TIMEOUT_MS);
    await expect(triggered).resolves.toBe('unresolved');
    process.store.fatesOfReads.length = 0;
    await process.clock.advance(8_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });
});

describe('when a triggered run is being recorded and may not start any more', () => {
  it.each([
    ['leadership ends', (process: ScheduledProcess) => process.lose()],
    ['the job is removed', async (process: ScheduledProcess) => void process.schedule.remove(JOB)],
  ])('does not start, keeps the lease until the record is mended: %s', async (_what, end) => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    const triggered = trigger(process);
    await process.clock.settle();
    await end(process);
    expect(process.isDrained).toBe(false);
    process.store.release();
    await process.clock.settle();
    await expect(triggered).resolves.toBe('unresolved');
    expect(process.started).toEqual([]);
    expect(process.isDrained).toBe(true);
    expect(await process.record()).toMatchObject({
      active: [],
      lastFailed: { reason: expect.stringContaining('not started') },
    });
  });
});
