import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { jittered } from '../../../lib/schedule/tick/jitter.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const BEGIN = Date.UTC(2026, 0, 1);
const schedule = jittered(cronSchedule('* * * * *', new TimeZone('UTC')), JOB, 50_000);
const spread: Partial<JobDefinition> = { schedule };
/** How much later than its nominal time the first tick is due. */
const DELAY_MS = schedule.dueAt(BEGIN + MINUTE_MS) - BEGIN - MINUTE_MS;

describe('when the ticks of a job are spread', () => {
  it('starts each at its own time, with its nominal time', async () => {
    const process = await (await new ScheduledProcess().withJob(spread)).lead();
    await process.clock.advance(MINUTE_MS + DELAY_MS - 1);
    expect(process.started).toEqual([]);
    await process.clock.advance(1);
    expect(process.startedTimes).toEqual(['00:01:00']);
    await process.clock.advance(10 * MINUTE_MS);
    expect(process.started.length).toBeGreaterThanOrEqual(10);
    expect(process.missed).toEqual([]);
  });

  it('starts a tick at that time under a leader that took over in between', async () => {
    expect(DELAY_MS).toBeGreaterThan(1_000);
    const first = await (await new ScheduledProcess('a').withJob(spread)).lead(1);
    await first.clock.advance(MINUTE_MS + 500);
    await first.lose();
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob(spread);
    await second.lead(2);
    await second.clock.advance(DELAY_MS - 501);
    expect(second.started).toEqual([]);
    await second.clock.advance(1);
    expect(second.startedTimes).toEqual(['00:01:00']);
  });

  it('counts the starting deadline from that time', async () => {
    const job = { ...spread, startingDeadlineMs: 2_000 };
    const first = await (await new ScheduledProcess('a').withJob(job)).lead(1);
    await first.lose();
    await first.clock.advance(MINUTE_MS + DELAY_MS + 2_500);
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob(job);
    await second.lead(2);
    expect(second.startedTimes).toEqual(['00:01:00']);
  });
});
