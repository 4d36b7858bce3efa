/** What a cron expression allows, by field. Every list is ascending and has no repeats. */
export interface CronFields {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: readonly number[];
  /** 1 to 12. */
  readonly months: readonly number[];
  /** 0 (Sunday) to 6. */
  readonly daysOfWeek: readonly number[];
  /** True for `*` and `?`: the other of the two day fields then decides alone; with neither, one of both is enough. */
  readonly isAnyDayOfMonth: boolean;
  readonly isAnyDayOfWeek: boolean;
}

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** 29 February comes back within 8 years even over a century that is no leap year. */
const FARTHEST_MS = 8 * 366 * DAY_MS;

/**
 * The first matching local time at or after `from`, or null if there is none within 8 years. Local times are counted
 * as if the place were UTC: in milliseconds since the local epoch, every day 24 hours long.
 */
export function nextLocalMatch(fields: CronFields, from: number): number | null {
  const start = Math.ceil(from / SECOND_MS) * SECOND_MS;
  let day = Math.floor(start / DAY_MS) * DAY_MS;
  let within = start - day;
  for (const last = day + FARTHEST_MS; day <= last; day = nextDay(fields, day), within = 0) {
    if (!matchesDay(fields, day)) continue;
    const time = timeOfDay(fields, within / SECOND_MS);
    if (time !== null) return day + time * SECOND_MS;
  }
  return null;
}

/** The day after, or the first of the next month if no day of this one can match. */
function nextDay({ months }: CronFields, day: number): number {
  const date = new Date(day);
  if (months.includes(date.getUTCMonth() + 1)) return day + DAY_MS;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

function matchesDay(fields: CronFields, day: number): boolean {
  const date = new Date(day);
  if (!fields.months.includes(date.getUTCMonth() + 1)) return false;
  const inMonth = fields.daysOfMonth.includes(date.getUTCDate());
  const inWeek = fields.daysOfWeek.includes(date.getUTCDay());
  return fields.isAnyDayOfMonth || fields.isAnyDayOfWeek ? inMonth && inWeek : inMonth || inWeek;
}

/** The first matching second of a day at or after one of its seconds. */
function timeOfDay({ seconds, minutes, hours }: CronFields, from: number): number | null {
  for (const hour of hours) {
    if (hour * 3_600 + 3_599 < from) continue;
    for (const minute of minutes) {
      const start = hour * 3_600 + minute * 60;
      if (start + 59 < from) continue;
      const second = seconds.find((each) => start + each >= from);
      if (second !== undefined) return start + second;
    }
  }
  return null;
}
