import { describe, expect, it } from '@jest/globals';
import {
  cronSchedule,
  dueTicks,
  oldestFirst,
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

describe('when all missed ticks are to start, oldest first', () => {
  const next = (expression: string, after: string, now: string, deadlineMs: number) =>
    oldestFirst(every(expression), at(after), { now: at(now), startingDeadlineMs: deadlineMs });
  const HOUR_MS = 3_600_000;

  it.each<[string, string, number, string, string[]]>([
    ['the oldest, if its deadline lets it', '01T13:30', 3 * HOUR_MS, '01T11:00', []],
    [
      'the oldest whose deadline has not passed',
      '01T13:30',
      HOUR_MS,
      '01T13:00',
      ['01T11:00', '01T12:00'],
    ],
    ['one in the last second of its deadline', '01T12:00:00.999', HOUR_MS, '01T11:00', []],
    ['the one after it, a moment later', '01T12:00:01', HOUR_MS, '01T12:00', ['01T11:00']],
    [
      'none, and tells the newest, if all are too late',
      '01T13:30',
      60_000,
      '01T13:00',
      ['01T11:00', '01T12:00'],
    ],
  ])('decides on %s', (_what, now, deadlineMs, newest, earlier) => {
    expect(next('0 * * * *', '01T10:00', now, deadlineMs)).toEqual({
      newest: at(newest),
      earlier: earlier.map(at),
      isCapped: false,
    });
  });

  it('has none to decide on if none is due', () => {
    expect(next('0 * * * *', '01T10:00', '01T10:59', HOUR_MS)).toBeNull();
  });

  it.each(['* * * * *', '* * * * * *', '* 9 * * *'])(
    'starts with the last 100 of more: %s',
    (expression) => {
      const [schedule, now] = [every(expression), at('09T09:30:30')];
      const found = oldestFirst(schedule, at('01T00:00'), { now, startingDeadlineMs: 1e12 })!;
      const left = dueTicks(schedule, found.newest - 1, now)!;
      expect(left).toMatchObject({ isCapped: false });
      expect(left.earlier).toHaveLength(MOST_MISSED - 1);
      expect(found).toMatchObject({ isCapped: true });
    },
  );
});
