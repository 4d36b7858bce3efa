import { describe, expect, it } from '@jest/globals';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;

describe('when a job has a name that few would choose', () => {
  it.each([
    ['__proto__'],
    ['constructor'],
    ['hasOwnProperty'],
    ['jobs'],
    ['packed'],
    ['a/b\\c'],
    ['\ud83d'],
    ['日本'],
    ['x'.repeat(1_000)],
  ])('is run and recorded under it, by the next leader too: %j', async (name) => {
    const first = await (await new ScheduledProcess().withJob({ name })).lead();
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    const second = new ScheduledProcess('b', first.clock, first.store);
    await (await second.withJob({ name })).lead(2);
    await first.clock.advance(MINUTE_MS);
    expect([first.startedTimes, second.startedTimes]).toEqual([['00:01:00'], ['00:02:00']]);
    expect((await second.record(name)).lastSuccessfulTime).not.toBeNull();
    expect(second.missed).toEqual([]);
  });

  it('is another job than one whose name only looks the same', async () => {
    const process = await new ScheduledProcess().withJob({ name: 'e\u0301' });
    await (await process.withJob({ name: '\u00e9' })).lead();
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(2);
  });
});

describe('when the clock was ahead as ticks were accounted for, and has been set right', () => {
  it('starts and reports nothing until the time that the record accounts for, and says so once a term', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    await process.edit({ accountedThrough: '2026-01-01T00:03:00Z' });
    await process.lose();
    await process.lead(2);
    await process.clock.advance(4 * MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:04:00']);
    expect([process.missed, process.errors]).toEqual([[], []]);
    expect((await process.record(JOB)).missedCount).toBe(0);
    expect(process.log.filter((line) => line.startsWith('ahead'))).toEqual([
      `ahead ${JOB} 2026-01-01T00:03:00.000Z`,
    ]);
  });
});

describe('when a job is renamed while a run of it is active', () => {
  it('starts as a new one, beside that run, whose record is kept under the old name', async () => {
    const first = await (await new ScheduledProcess('a').withJob({ name: 'old' })).lead();
    first.handler = () => new Promise(() => undefined);
    await first.clock.advance(60_000);
    await first.lose();
    const second = new ScheduledProcess('b', first.clock, first.store);
    await (await second.withJob({ name: 'new' })).lead(2);
    await second.clock.advance(60_000);
    expect(second.startedTimes).toEqual(['00:02:00']);
    expect(second.missed).toEqual([]);
    expect((await second.record('old')).active).toHaveLength(1);
  });
});
