import { cronSchedule, type TickSchedule } from './tick-schedule.js';
import { isTimeZone, TimeZone } from './time-zone.js';

/** When a job is due by what a record says of its schedule; undefined for what this version cannot read. */
export function recordedSchedule(text: string): Pick<TickSchedule, 'next'> | undefined {
  const date = Date.parse(/^(\d{4}-\S+)( once .*)?$/s.exec(text)?.[1] ?? '');
  if (!Number.isNaN(date)) return { next: (after) => (date > after ? date : null) };
  const [, expression, zone] = /^(.*\S)\s+(\S+)$/s.exec(text.trim()) ?? [];
  if (expression === undefined || zone === undefined || !isTimeZone(zone)) return undefined;
  try {
    return cronSchedule(expression, new TimeZone(zone));
  } catch {
    // Of a later version of this library.
    return undefined;
  }
}
