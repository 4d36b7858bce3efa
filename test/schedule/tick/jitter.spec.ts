import { describe, expect, it } from '@jest/globals';
import { jittered } from '../../../lib/schedule/tick/jitter.js';
import { cronSchedule, dueTicks, onceSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';

const MINUTE_MS = 60_000;
const everyMinute = cronSchedule('* * * * *', new TimeZone('UTC'));
const ticks = Array.from({ length: 1_000 }, (_, index) => index * MINUTE_MS);
const delaysOf = (job: string, jitterMs: number): number[] =>
  ticks.map((tick) => jittered(everyMinute, job, jitterMs).dueAt(tick) - tick);

describe('when ticks are spread by jitterMs', () => {
  it('is due later by no more than that, evenly', () => {
    const delays = delaysOf('a', 9_999);
    const counts = Array.from({ length: 10 }, () => 0);
    for (const delay of delays) counts[Math.floor(delay / 1_000)]! += 1;
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(9_999);
    for (const count of counts) expect(count).toBeGreaterThan(60);
  });

  it('agrees in all replicas and versions: a fixed function of job and tick', () => {
    expect(delaysOf('close-day', 30_000).slice(0, 4)).toEqual([5_180, 6_280, 13_561, 20_215]);
  });

  it('differs between jobs', () => {
    expect(delaysOf('a', 9_999)).not.toEqual(delaysOf('b', 9_999));
  });

  it('is due before the next tick, however large jitterMs is', () => {
    const delays = delaysOf('a', 10 * MINUTE_MS);
    expect(Math.max(...delays)).toBeLessThan(MINUTE_MS);
    expect(Math.max(...delays)).toBeGreaterThan(0.9 * MINUTE_MS);
  });

  it('keeps its nominal times, and its spread under another text of the same schedule', () => {
    const schedule = jittered(everyMinute, 'a', 9_999);
    expect(schedule.text).toBe(everyMinute.text);
    expect(schedule.next(0)).toBe(MINUTE_MS);
    const continued = schedule.continuing('*/1 * * * * Etc/UTC', 0)!;
    expect(continued.dueAt(5 * MINUTE_MS)).toBe(schedule.dueAt(5 * MINUTE_MS));
    expect(schedule.continuing('0 * * * * UTC', 0)).toBeUndefined();
  });

  it('spreads the single run that another replica has dated', () => {
    const schedule = jittered(onceSchedule(new Date(9_000), 'k'), 'a', 9_999);
    const first = schedule.continuing(`${new Date(5_000).toISOString()} once k`, 0)!;
    expect(first.next(0)).toBe(5_000);
    expect(first.dueAt(5_000)).toBeGreaterThan(5_000);
  });

  it.each([0, 1, 150])('counts the ticks that are due, and no others, with %s missed', (missed) => {
    const schedule = jittered(everyMinute, 'a', 50_000);
    const newest = (missed + 1) * MINUTE_MS;
    const due = dueTicks(schedule, 0, schedule.dueAt(newest))!;
    expect(due.newest).toBe(newest);
    const before = dueTicks(schedule, 0, schedule.dueAt(newest) - 1);
    expect(before?.newest).toBe(missed === 0 ? undefined : newest - MINUTE_MS);
  });
});
