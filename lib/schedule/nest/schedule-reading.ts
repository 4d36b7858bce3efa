import type { OptionReader } from '../../core/option-reader.js';
import { CronExpressionFault } from '../tick/cron-expression.js';
import { cronSchedule, onceSchedule, type TickSchedule } from '../tick/tick-schedule.js';
import { TimeZone } from '../tick/time-zone.js';

const NO_SCHEDULE: TickSchedule = { text: '', next: () => null };

/** A cron expression or a Date as a schedule; faults go to the reader. */
export function readSchedule(
  reader: OptionReader,
  written: unknown,
  timeZone: string,
  now: number,
): TickSchedule {
  if (written instanceof Date) return readDate(reader, written);
  if (typeof written !== 'string') {
    const rule = 'must be a cron expression or a Date';
    reader.fault('schedule', written, rule, 'use for example "30 2 * * *"');
    return NO_SCHEDULE;
  }
  try {
    const schedule = cronSchedule(written, new TimeZone(timeZone));
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

function readDate(reader: OptionReader, date: Date): TickSchedule {
  if (!Number.isNaN(date.getTime())) return onceSchedule(date);
  const rule = 'must be a valid date';
  reader.fault(
    'schedule',
    'Invalid Date',
    rule,
    'use for example new Date("2027-01-01T00:00:00Z")',
  );
  return NO_SCHEDULE;
}
