import { parseCronExpression } from './cron-expression.js';
import { nextLocalMatch } from './cron-fields.js';
import { TimeZone } from './time-zone.js';

/** When a job is due. All instants are milliseconds since the epoch. */
export interface TickSchedule {
  /** How it was written; two schedules with the same text and zone have the same ticks. */
  readonly text: string;
  /** The first tick after an instant; null if there is none. */
  next(after: number): number | null;
}

/**
 * The ticks of a cron expression: **every instant at which the clocks of the zone show a time that matches**. That is
 * what robfig/cron v3 computes, and so what the CronJob controller does:
 * - a time that the clocks skip in spring does not occur, and its tick is left out on that day;
 * - a time that they show twice in autumn occurs twice, for `30 1 * * *` as for `30 * * * *`.
 *
 * The `cron` package differs: it runs a skipped time at the end of the gap, and a repeated one once.
 *
 * @throws CronExpressionFault
 */
export function cronSchedule(expression: string, zone: TimeZone): TickSchedule {
  const fields = parseCronExpression(expression);
  const next = (after: number): number | null => {
    let from = Math.floor(after / 1_000) * 1_000 + 1_000;
    for (;;) {
      const offset = zone.offsetAt(from);
      const local = nextLocalMatch(fields, from + offset);
      const instant = local === null ? null : local - offset;
      // With no match ahead the clocks' changes cannot make one: they move the time of day, not the calendar.
      if (instant === null) return null;
      const change = zone.firstChange(from, instant);
      if (change === null) return instant;
      from = change;
    }
  };
  return { text: `${expression.trim()} ${zone.name}`, next };
}

/** One tick. */
export function onceSchedule(date: Date): TickSchedule {
  const at = date.getTime();
  return { text: date.toISOString(), next: (after) => (after < at ? at : null) };
}
