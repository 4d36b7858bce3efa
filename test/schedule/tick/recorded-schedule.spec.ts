import { describe, expect, it } from '@jest/globals';
import { RecordedSchedules } from '../../../lib/schedule/tick/recorded-schedule.js';

describe('when the schedule of a record is asked for again', () => {
  const BERLIN = '0 3 * * * Europe/Berlin';

  it('is the one that was read before, with its time zone', () => {
    const schedules = new RecordedSchedules();
    const first = schedules.of(BERLIN);
    expect(new Date(first!.next(Date.UTC(2026, 0, 1))!).toISOString()).toBe(
      '2026-01-01T02:00:00.000Z',
    );
    expect(schedules.of(BERLIN)).toBe(first);
    expect(schedules.of('30 3 * * * Europe/Berlin')).not.toBe(first);
  });

  it('is still none if this version cannot read it', () => {
    const schedules = new RecordedSchedules();
    expect([schedules.of('every full moon'), schedules.of('every full moon')]).toEqual([
      undefined,
      undefined,
    ]);
  });
});
