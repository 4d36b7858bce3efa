import { cronSchedule, type TickSchedule } from './tick-schedule.js';
import { isTimeZone, TimeZones } from './time-zone.js';

type RecordedSchedule = Pick<TickSchedule, 'next'>;

/** Beyond this all are read again. */
const MOST_REMEMBERED = 4_000;

/** Remembers the schedules that it has read: to read one takes a hundred times as long as to ask it. */
export class RecordedSchedules {
  private readonly zones = new TimeZones();
  private readonly known = new Map<string, RecordedSchedule | undefined>();

  /** As {@link recordedSchedule}. */
  of(text: string): RecordedSchedule | undefined {
    if (this.known.has(text)) return this.known.get(text);
    if (this.known.size >= MOST_REMEMBERED) this.known.clear();
    const schedule = recordedSchedule(text, this.zones);
    this.known.set(text, schedule);
    return schedule;
  }
}

/** When a job is due by what a record says of its schedule; undefined for what this version cannot read. */
export function recordedSchedule(
  text: string,
  zones = new TimeZones(),
): RecordedSchedule | undefined {
  const date = Date.parse(/^(\d{4}-\S+)( once .*)?$/s.exec(text)?.[1] ?? '');
  if (!Number.isNaN(date)) return { next: (after) => (date > after ? date : null) };
  const [, expression, zone] = /^(.*\S)\s+(\S+)$/s.exec(text.trim()) ?? [];
  if (expression === undefined || zone === undefined || !isTimeZone(zone)) return undefined;
  try {
    return cronSchedule(expression, zones.of(zone));
  } catch {
    // Of a later version of this library.
    return undefined;
  }
}
