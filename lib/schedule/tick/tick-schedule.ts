import { parseCronExpression } from './cron-expression.js';
import { meaningOf, nextLocalMatch } from './cron-fields.js';
import { isTimeZone, TimeZone } from './time-zone.js';

/** When a job is due. All instants are milliseconds since the epoch. */
export interface TickSchedule {
  /** How it was written; two schedules with the same text have the same ticks. */
  readonly text: string;
  /** The first tick after an instant; null if there is none. */
  next(after: number): number | null;
  /**
   * By which schedule this one goes on where ticks have been accounted for by a schedule of that text: undefined if
   * that one was due at other times. `now`: zones are compared from there on.
   */
  continuing(text: string, now: number): TickSchedule | undefined;
}

const DAY_MS = 86_400_000;

/** Zones whose clocks agree for so long are one zone here. */
const COMPARED_MS = 4 * 366 * DAY_MS;

/** That there is no tick within the next years holds for so long without another look. */
const NONE_HOLDS_MS = 30 * DAY_MS;

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
    let searched = from + zone.offsetAt(from);
    let local = nextLocalMatch(fields, searched);
    for (;;) {
      // With no match ahead the clocks' changes cannot make one: they move the time of day, not the calendar.
      if (local === null) return null;
      const instant = local - zone.offsetAt(from);
      const change = zone.firstChange(from, instant);
      if (change === null) return instant;
      from = change;
      const shown = from + zone.offsetAt(from);
      // Clocks set back show what was searched already, and set forward less is left: often it is the same match.
      if (shown < searched || local < shown) local = nextLocalMatch(fields, shown);
      searched = Math.min(searched, shown);
    }
  };
  const text = `${expression.trim()} ${zone.name}`;
  const isSame = remembered((other: string, now: number) => {
    const written = /^(.*\S)\s+(\S+)$/s.exec(other.trim());
    if (written === null) return false;
    return meansTheSame({ fields: meaningOf(fields), zone, now }, written[1]!, written[2]!);
  });
  const schedule: TickSchedule = {
    text,
    next: rememberingLast(next),
    continuing: (other, now) => (other === text || isSame(other, now) ? schedule : undefined),
  };
  return schedule;
}

/**
 * One tick. With a key it is that of the key, whatever its date: replicas that compute the date each for itself then
 * run it once, at the date of whichever of them was first to lead.
 */
export function onceSchedule(date: Date, key?: string): TickSchedule {
  const at = date.getTime();
  const text = key === undefined ? date.toISOString() : `${date.toISOString()} once ${key}`;
  return {
    text,
    next: (after) => (after < at ? at : null),
    continuing(other) {
      if (other === text) return this;
      const written = /^(\S+) once (.*)$/s.exec(other);
      if (written === null || written[2] !== key) return undefined;
      const first = new Date(written[1]!);
      return Number.isNaN(first.getTime()) ? undefined : onceSchedule(first, key);
    },
  };
}

/** From the instant that it was asked for up to a tick, that tick is the next one. */
function rememberingLast(next: TickSchedule['next']): TickSchedule['next'] {
  let [from, until, found]: [number, number, number | null] = [Infinity, -Infinity, null];
  return (after) => {
    if (from <= after && after < until) return found;
    found = next(after);
    [from, until] = [after, found ?? after + NONE_HOLDS_MS];
    return found;
  };
}

/** A record keeps its text, so the same one is asked for again and again. */
function remembered(
  compare: (text: string, now: number) => boolean,
): (text: string, now: number) => boolean {
  let last: { readonly text: string; readonly isSame: boolean } | undefined;
  return (text, now) => {
    if (last?.text !== text) last = { text, isSame: compare(text, now) };
    return last.isSame;
  };
}

function meansTheSame(
  own: { readonly fields: string; readonly zone: TimeZone; readonly now: number },
  expression: string,
  zoneName: string,
): boolean {
  if (!isTimeZone(zoneName)) return false;
  try {
    if (meaningOf(parseCronExpression(expression)) !== own.fields) return false;
  } catch {
    // What a later version of this library may have written, or a hand.
    return false;
  }
  return own.zone.isLike(new TimeZone(zoneName), own.now, own.now + COMPARED_MS);
}
