import { describe, expect, it, jest } from '@jest/globals';
import { CronExpression } from '@nestjs/schedule';
import { CronTime } from 'cron';
import {
  CronExpressionFault,
  parseCronExpression,
} from '../../../lib/schedule/tick/cron-expression.js';
import { cronSchedule, onceSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { isTimeZone, TimeZone } from '../../../lib/schedule/tick/time-zone.js';

/** The cron package looks no further than 8 years from the day on which the test runs. */
const LAST_COMPARED = Date.UTC(2030, 0, 1);
const NEW_YORK = 'America/New_York';
const BERLIN = 'Europe/Berlin';

/** The ticks in (from, until] as instants. */
function ticks(expression: string, zone: string, from: string, until: string): string[] {
  const schedule = cronSchedule(expression, new TimeZone(zone));
  const found: string[] = [];
  const end = Date.parse(until);
  for (
    let tick = schedule.next(Date.parse(from));
    tick !== null && tick <= end;
    tick = schedule.next(tick)
  ) {
    found.push(new Date(tick).toISOString().replace('.000Z', 'Z'));
  }
  return found;
}

/**
 * The rules of robfig/cron v3, which the CronJob controller computes its times with: it walks through instants and
 * compares what the clock of the zone shows. So a skipped time does not occur, and a repeated one occurs twice, for
 * fixed hours as for wildcards (its own test: `30 1` on the autumn day, asked at 01:45 EDT, is 01:30 EST).
 */
describe('when the clocks change', () => {
  const HOURLY = '0 * * * *';
  const DAILY = '30 2 * * *';
  const EARLY = '30 1 * * *';

  it.each([
    // America/New_York, 2026-03-08: 02:00 EST becomes 03:00 EDT at 07:00Z.
    [
      HOURLY,
      NEW_YORK,
      '2026-03-08T05:30Z',
      '2026-03-08T08:30Z',
      ['03-08T06:00', '03-08T07:00', '03-08T08:00'],
    ],
    [DAILY, NEW_YORK, '2026-03-07T00:00Z', '2026-03-09T12:00Z', ['03-07T07:30', '03-09T06:30']],
    // America/New_York, 2026-11-01: 02:00 EDT becomes 01:00 EST at 06:00Z.
    [
      HOURLY,
      NEW_YORK,
      '2026-11-01T04:30Z',
      '2026-11-01T07:30Z',
      ['11-01T05:00', '11-01T06:00', '11-01T07:00'],
    ],
    [
      DAILY,
      NEW_YORK,
      '2026-10-31T00:00Z',
      '2026-11-02T12:00Z',
      ['10-31T06:30', '11-01T07:30', '11-02T07:30'],
    ],
    [EARLY, NEW_YORK, '2026-11-01T00:00Z', '2026-11-01T23:00Z', ['11-01T05:30', '11-01T06:30']],
    // Europe/Berlin, 2026-03-29: 02:00 CET becomes 03:00 CEST at 01:00Z.
    [
      HOURLY,
      BERLIN,
      '2026-03-28T23:30Z',
      '2026-03-29T02:30Z',
      ['03-29T00:00', '03-29T01:00', '03-29T02:00'],
    ],
    [DAILY, BERLIN, '2026-03-28T00:00Z', '2026-03-30T12:00Z', ['03-28T01:30', '03-30T00:30']],
    // Europe/Berlin, 2026-10-25: 03:00 CEST becomes 02:00 CET at 01:00Z. Here 02:30 is the repeated time.
    [
      HOURLY,
      BERLIN,
      '2026-10-24T23:30Z',
      '2026-10-25T02:30Z',
      ['10-25T00:00', '10-25T01:00', '10-25T02:00'],
    ],
    [
      DAILY,
      BERLIN,
      '2026-10-24T00:00Z',
      '2026-10-26T12:00Z',
      ['10-24T00:30', '10-25T00:30', '10-25T01:30', '10-26T01:30'],
    ],
  ])(
    '%s in %s runs as the CronJob controller has it from %s to %s',
    (expression, zone, from, until, expected) => {
      const found = ticks(expression, zone, from, until);
      expect(found.map((tick) => tick.slice('2026-'.length, -':00Z'.length))).toEqual(expected);
    },
  );

  it.each([
    [NEW_YORK, '2026-03-08T06:00:00Z', '2026-03-08T08:00:00Z'],
    [NEW_YORK, '2026-11-01T05:00:00Z', '2026-11-01T07:00:00Z'],
    [BERLIN, '2026-03-29T00:00:00Z', '2026-03-29T02:00:00Z'],
    [BERLIN, '2026-10-25T00:00:00Z', '2026-10-25T02:00:00Z'],
  ])('every minute in %s is every minute of true time around %s', (zone, from, until) => {
    const found = ticks('* * * * *', zone, from, until);
    expect(found).toHaveLength(120);
    expect(new Set(found).size).toBe(120);
    expect(found.map((tick) => Date.parse(tick))).toEqual(
      Array.from({ length: 120 }, (_, minute) => Date.parse(from) + (minute + 1) * 60_000),
    );
  });

  it('finds times after a change that lies between them', () => {
    expect(ticks('0 12 1 */6 *', BERLIN, '2026-01-01T12:00Z', '2027-01-02T00:00Z')).toEqual([
      '2026-07-01T10:00:00Z',
      '2027-01-01T11:00:00Z',
    ]);
  });

  it('leaves out a day whose midnight does not exist, at that time only', () => {
    // Santiago, 2026-09-06: 00:00 becomes 01:00.
    expect(
      ticks('0 0 * * *', 'America/Santiago', '2026-09-05T05:00Z', '2026-09-07T05:00Z'),
    ).toEqual(['2026-09-07T03:00:00Z']);
    expect(
      ticks('0 1 * * *', 'America/Santiago', '2026-09-05T06:00Z', '2026-09-06T06:00Z'),
    ).toEqual(['2026-09-06T04:00:00Z']);
  });
});

describe('when the clocks do not change', () => {
  const EXPRESSIONS = [
    ...Object.values(CronExpression),
    '*/7 */3 * * * *',
    '5-20/5 0,30 8-18/2 * * mon-fri',
    '0 0 28 2 *',
    '15 10 1,15 * 1',
    '0 0 31 */2 7',
    '@weekly',
    '@weekdays',
    '3/20 1/30 * * * *',
  ];

  it.each([...new Set(EXPRESSIONS)])(
    '%s has the times that the cron package gives it',
    (expression) => {
      const schedule = cronSchedule(expression, new TimeZone('UTC'));
      const peer = new CronTime(expression, 'UTC');
      let [own, theirs] = [Date.UTC(2026, 0, 1, 0, 0, 1), Date.UTC(2026, 0, 1, 0, 0, 1)];
      for (let tick = 0; tick < 8 && own < LAST_COMPARED; tick += 1) {
        own = schedule.next(own)!;
        theirs = peer.getNextDateFrom(new Date(theirs), 'UTC').toMillis();
        expect(new Date(own).toISOString()).toBe(new Date(theirs).toISOString());
      }
    },
  );

  it('gives a time strictly after the instant it is asked for', () => {
    const schedule = cronSchedule('* * * * * *', new TimeZone('UTC'));
    expect(schedule.next(1_000)).toBe(2_000);
    expect(schedule.next(1_001)).toBe(2_000);
    expect(schedule.next(999)).toBe(1_000);
  });

  it('combines the two day fields as crontab does', () => {
    const days = (expression: string) =>
      ticks(expression, 'UTC', '2026-02-01T12:00Z', '2026-02-28T12:00Z').map((tick) =>
        tick.slice(8, 10),
      );
    expect(days('0 0 13 * 5')).toEqual(['06', '13', '20', '27']);
    expect(days('0 0 13 * *')).toEqual(['13']);
    expect(days('0 0 ? * 5')).toEqual(['06', '13', '20', '27']);
  });

  // robfig/cron v3: a star with a step above 1 restricts its field, so one of the two is enough.
  it('takes a star with a step for a restriction, and one with a step of 1 for none', () => {
    const days = (expression: string) =>
      ticks(expression, 'UTC', '2026-02-01T12:00Z', '2026-02-28T12:00Z').map((tick) =>
        tick.slice(8, 10),
      );
    expect(days('0 0 */10 * 0')).toEqual(['08', '11', '15', '21', '22']);
    expect(days('0 0 */1 * 0')).toEqual(['08', '15', '22']);
    expect(days('0 0 13,* * 0')).toEqual(['08', '15', '22']);
  });

  it.each([
    ['@annually', '@yearly'],
    ['@midnight', '@daily'],
  ])('knows %s of a CronJob as %s', (name, same) => {
    expect(parseCronExpression(name)).toEqual(parseCronExpression(same));
  });

  it('finds nothing where there is nothing to find', () => {
    expect(cronSchedule('0 0 30 2 *', new TimeZone('UTC')).next(0)).toBeNull();
  });
});

describe('when a schedule is a date', () => {
  it('has one tick', () => {
    const schedule = onceSchedule(new Date(5_000));
    expect(schedule.next(4_999)).toBe(5_000);
    expect(schedule.next(5_000)).toBeNull();
  });
});

describe('when ticks were accounted for by a schedule that was written otherwise', () => {
  const NOW = Date.UTC(2026, 0, 1);

  it.each([
    ['30 2 * * *', BERLIN, '0 30 2 * * *', BERLIN, true],
    ['30 2 * * *', BERLIN, '30   2 * * * ', BERLIN, true],
    ['30 2 * * *', BERLIN, '30 2 * * *', 'europe/berlin', true],
    ['30 2 * * *', BERLIN, '30 2 * * *', 'Europe/Vienna', true],
    ['30 2 * * *', BERLIN, '30 2 * * *', 'Europe/London', false],
    ['30 2 * * *', NEW_YORK, '30 2 * * *', 'US/Eastern', true],
    // Both go forward on the same Sunday, two hours apart.
    ['30 2 * * *', NEW_YORK, '30 2 * * *', 'America/Havana', false],
    ['30 2 * * *', 'UTC', '30 2 * * *', 'Etc/GMT', true],
    ['30 2 * * *', 'UTC', '31 2 * * *', 'UTC', false],
    ['@daily', 'UTC', '0 0 * * *', 'Etc/UTC', true],
    ['@weekdays', 'UTC', '0 0 * * MON-FRI', 'UTC', true],
    ['0 0 * * 7', 'UTC', '0 0 * * sun', 'UTC', true],
    ['*/15 * * * *', 'UTC', '0,15,30,45 * * * *', 'UTC', true],
    ['0 0 1-31 * 1', 'UTC', '0 0 * * *', 'UTC', true],
    ['0 0 ? * 1', 'UTC', '0 0 * * 1', 'UTC', true],
    ['0 0 13 * 5', 'UTC', '0 0 13 * *', 'UTC', false],
    ['0 0 13 * 5', 'UTC', '0 0 * * 5', 'UTC', false],
  ])('%s %s, by %s %s: goes on: %s', (expression, zone, written, writtenZone, isSame) => {
    const schedule = cronSchedule(expression, new TimeZone(zone));
    const other = cronSchedule(written, new TimeZone(writtenZone));
    expect(schedule.continuing(other.text, NOW)).toBe(isSame ? schedule : undefined);
    expect(other.continuing(schedule.text, NOW)).toBe(isSame ? other : undefined);
  });

  it.each([
    '',
    'UTC',
    'nonsense',
    '* * * * * Mars/Olympus',
    '1 2 3 UTC',
    new Date(0).toISOString(),
  ])('begins anew by %j', (text) => {
    expect(cronSchedule('* * * * *', new TimeZone('UTC')).continuing(text, NOW)).toBeUndefined();
  });

  it('takes dates with one key for one run, at the date that was first', () => {
    const [first, later] = [onceSchedule(new Date(5_123), 'k'), onceSchedule(new Date(9_000), 'k')];
    const going = later.continuing(first.text, NOW)!;
    expect([going.text, going.next(0), going.next(5_123)]).toEqual([first.text, 5_123, null]);
    expect(onceSchedule(new Date(9_000), 'l').continuing(first.text, NOW)).toBeUndefined();
    expect(onceSchedule(new Date(9_000)).continuing(first.text, NOW)).toBeUndefined();
    expect(onceSchedule(new Date(5_123)).continuing(first.text, NOW)).toBeUndefined();
  });
});

describe('when a schedule is asked again', () => {
  it.each([
    ['0 0 1 6 *', BERLIN],
    ['0 0 29 2 *', BERLIN],
    ['30 2 * * *', NEW_YORK],
    ['30 1 * * *', NEW_YORK],
    ['0 0 * * *', 'America/Santiago'],
    ['*/7 */3 * * 1', 'Australia/Lord_Howe'],
    ['0 3 * * *', 'Africa/Casablanca'],
  ])('%s in %s has the ticks of one that was never asked', (expression, name) => {
    const zone = new TimeZone(name);
    const asked = cronSchedule(expression, zone);
    // Back and forth, over clock changes, and at ticks themselves.
    let at = Date.UTC(2026, 0, 1);
    for (let step = 0; step < 40; step += 1) {
      const fresh = cronSchedule(expression, new TimeZone(name)).next(at);
      expect([at, asked.next(at)]).toEqual([at, fresh]);
      at = step % 3 === 0 ? fresh! : at + ((step * 7_919_777_777) % 9_000_000_000) - 3_000_000_000;
    }
  });

  it('asks the platform for no clock change twice', () => {
    const zone = new TimeZone(BERLIN);
    const schedules = ['0 0 1 6 *', '0 0 29 2 *'].map((text) => cronSchedule(text, zone));
    const start = Date.UTC(2026, 0, 1);
    for (const schedule of schedules) schedule.next(start);
    const shown = jest.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts');
    for (let minute = 0; minute < 1_000; minute += 1) {
      for (const schedule of schedules) schedule.next(start + minute * 60_000);
    }
    expect(shown).not.toHaveBeenCalled();
    cronSchedule('0 0 1 9 *', zone).next(start);
    expect(shown.mock.calls.length).toBeLessThan(3);
    shown.mockRestore();
  });
});

describe('when an expression is not one', () => {
  it.each([
    ['', 'is empty'],
    ['* * *', 'has 3 fields'],
    ['* * * * * * *', 'has 7 fields'],
    ['@fortnightly', 'is none of @yearly'],
    ['@every 1h', 'is none of @yearly'],
    ['60 * * * *', '"60" as minute, outside of 0-59'],
    ['* 24 * * *', 'outside of 0-23'],
    ['* * 0 * *', 'outside of 1-31'],
    ['* * * 13 *', 'outside of 1-12'],
    ['* * * * 8', 'outside of 0-7'],
    ['*/0 * * * *', 'a step of zero'],
    ['5-1 * * * *', 'a range that ends before it begins'],
    ['* * * foo *', 'a name that is not known'],
    ['jan * * * *', 'a name that is not known'],
    ['1, * * * *', 'no number, range or list'],
    ['-1 * * * *', 'no number, range or list'],
    ['*-5 * * * *', 'which is not a range'],
    ['1.5 * * * *', 'no number, range or list'],
  ])('%j %s', (expression, why) => {
    expect(() => parseCronExpression(expression)).toThrow(CronExpressionFault);
    expect(() => parseCronExpression(expression)).toThrow(why);
  });
});

describe('when a time zone is named', () => {
  it.each([
    ['Europe/Berlin', true],
    ['UTC', true],
    ['Etc/UTC', true],
    ['Mars/Olympus', false],
    ['', false],
  ])('%j is one: %s', (name, expected) => {
    expect(isTimeZone(name)).toBe(expected);
  });
});
