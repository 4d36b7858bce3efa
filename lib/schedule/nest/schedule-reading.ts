import type { OptionReader } from '../../core/option-reader.js';
import { CronExpressionFault } from '../tick/cron-expression.js';
import { cronSchedule, onceSchedule, type TickSchedule } from '../tick/tick-schedule.js';
import type { TimeZones } from '../tick/time-zone.js';

/** What a schedule is read with. */
export interface ScheduleReading {
  readonly zones: TimeZones;
  /** For schedules that never occur again. */
  readonly now: number;
}

/** Of a job that is not registered, as it has faults. */
const NO_SCHEDULE: TickSchedule = onceSchedule(new Date(0));

/** A cron expression or a Date as a schedule; faults go to the reader. */
export function readSchedule(
  reader: OptionReader,
  written: unknown,
  timeZone: string,
  reading: ScheduleReading,
): TickSchedule {
  const key = reader.text('key', 'import-2027');
  if (written instanceof Date) return readDate(reader, written, key);
  if (key !== undefined) {
    const rule = 'is for a single run, whose schedule is a Date';
    reader.fault(
      'key',
      key,
      rule,
      'leave it out: ticks of a cron expression are told apart by time',
    );
  }
  if (typeof written === 'string') return readExpression(reader, written, timeZone, reading);
  const rule = 'must be a cron expression or a Date';
  reader.fault('schedule', written, rule, 'use for example "30 2 * * *"');
  return NO_SCHEDULE;
}

function readExpression(
  reader: OptionReader,
  written: string,
  timeZone: string,
  { zones, now }: ScheduleReading,
): TickSchedule {
  try {
    const schedule = cronSchedule(written, zones.of(timeZone));
    if (schedule.next(now) === null) {
      const rule = 'must occur within the next 8 years, and it never does';
      reader.fault('schedule', written, rule, 'use a day that the month has');
    }
    return schedule;
  } catch (error) {
    if (!(error instanceof CronExpressionFault)) throw error;
    const rule = `must be a cron expression of 5 or 6 fields, and it ${error.message}`;
    reader.fault('schedule', written, rule, 'use for example "30 2 * * *"');
    return NO_SCHEDULE;
  }
}

function readDate(reader: OptionReader, date: Date, key: string | undefined): TickSchedule {
  if (Number.isNaN(date.getTime())) {
    const fix = 'use for example new Date("2027-01-01T00:00:00Z")';
    reader.fault('schedule', 'Invalid Date', 'must be a valid date', fix);
    return NO_SCHEDULE;
  }
  if (key === undefined && date.getMilliseconds() !== 0) {
    const rule =
      'must be a whole second: a Date that each replica computes from its own clock is a different run in each of them';
    const fix =
      'give the run a key (the first leader then says when it is), or a date that is the same everywhere';
    reader.fault('schedule', date.toISOString(), rule, fix);
  }
  return onceSchedule(date, key);
}
