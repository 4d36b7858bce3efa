import { describe, expect, it } from '@jest/globals';
import {
  cronSchedule,
  dueTicks,
  MOST_MISSED,
  type TickSchedule,
} from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';

const every = (expression: string): TickSchedule => cronSchedule(expression, new TimeZone('UTC'));
const at = (text: string): number => Date.parse(`2026-05-${text}Z`);

describe('when an interval has passed', () => {
  it('has no tick if none lies in it', () => {
    expect(dueTicks(every('0 * * * *'), at('01T10:00'), at('01T10:59:59.999'))).toBeNull();
  });

  it('includes its end and not its beginning', () => {
    expect(dueTicks(every('0 * * * *'), at('01T10:00'), at('01T11:00'))).toEqual({
      newest: at('01T11:00'),
      earlier: [],
      isCapped: false,
    });
  });

  it('tells the latest tick from those before it', () => {
    expect(dueTicks(every('0 * * * *'), at('01T10:00'), at('01T13:30'))).toEqual({
      newest: at('01T13:00'),
      earlier: [at('01T11:00'), at('01T12:00')],
      isCapped: false,
    });
  });

  it('lists as many as 100 missed ones, as the CronJob controller does', () => {
    const due = dueTicks(every('* * * * *'), 0, 101 * 60_000)!;
    expect(due.earlier).toHaveLength(MOST_MISSED);
    expect(due).toMatchObject({ newest: 101 * 60_000, isCapped: false });
    const more = dueTicks(every('* * * * *'), 0, 102 * 60_000)!;
    expect(more.earlier).toEqual(due.earlier);
    expect(more).toMatchObject({ newest: 102 * 60_000, isCapped: true });
  });

  it.each([
    ['* * * * * *', '02T03:04:05'],
    ['* * 9 * * *', '01T09:59:59'],
    ['* * * * *', '02T03:04:00'],
    ['*/5 9 * * *', '01T09:55:00'],
  ])('goes no further than that, and still knows the latest of %s', (expression, latest) => {
    const schedule = every(expression);
    let calls = 0;
    const counted = { ...schedule, next: (after: number) => ((calls += 1), schedule.next(after)) };
    const due = dueTicks(counted, Date.UTC(2016, 0, 1), at('02T03:04:05.500'))!;
    expect(new Date(due.newest).toISOString()).toBe(new Date(at(latest)).toISOString());
    expect(due).toMatchObject({ isCapped: true });
    expect(due.earlier).toHaveLength(MOST_MISSED);
    expect(calls).toBeLessThan(300);
  });
});
