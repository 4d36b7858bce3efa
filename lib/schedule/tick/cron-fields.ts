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

/** The same text for fields that allow the same times, however they were written. */
export function meaningOf(fields: CronFields): string {
  const { seconds, minutes, hours, months, daysOfMonth, daysOfWeek } = fields;
  const isEither = !fields.isAnyDayOfMonth && !fields.isAnyDayOfWeek;
  const [isFull, isFullWeek] = [daysOfMonth.length === 31, daysOfWeek.length === 7];
  const isEveryDay = isEither ? isFull || isFullWeek : isFull && isFullWeek;
  const days = isEveryDay ? 'every' : [isEither, daysOfMonth, daysOfWeek];
  return JSON.stringify([seconds, minutes, hours, days, months]);
}

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400;

/** 29 February comes back within 8 years even over a century that is no leap year. */
const FARTHEST_DAYS = 8 * 366;

/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4;

/**
 * The first matching local time at or after `from`, or null if there is none within 8 years. Local times are counted
 * as if the place were UTC: in milliseconds since the local epoch, every day 24 hours long.
 */
export function nextLocalMatch(fields: CronFields, from: number): number | null {
  const start = Math.ceil(from / SECOND_MS);
  const startDay = Math.floor(start / DAY_SECONDS);
  const startSecond = start - startDay * DAY_SECONDS;
  for (const day of matchingDays(fields, startDay)) {
    const second = timeOfDay(fields, day === startDay ? startSecond : 0);
    if (second !== null) return (day * DAY_SECONDS + second) * SECOND_MS;
  }
  return null;
}

/** The days that match, as days since the local epoch, from one on and for 8 years. */
function* matchingDays(fields: CronFields, from: number): Iterable<number> {
  const first = new Date(from * DAY_MS);
  let [year, month] = [first.getUTCFullYear(), first.getUTCMonth()];
  for (; ; [year, month] = month === 11 ? [year + 1, 0] : [year, month + 1]) {
    const begin = Date.UTC(year, month, 1) / DAY_MS;
    if (begin > from + FARTHEST_DAYS) return;
    if (!fields.months.includes(month + 1)) continue;
    const end = Date.UTC(year, month + 1, 1) / DAY_MS;
    for (let day = Math.max(begin, from); day < end; day += 1) {
      if (matchesDay(fields, day - begin + 1, (day + FIRST_WEEKDAY) % 7)) yield day;
    }
  }
}

function matchesDay(fields: CronFields, dayOfMonth: number, dayOfWeek: number): boolean {
  const inMonth = fields.daysOfMonth.includes(dayOfMonth);
  const inWeek = fields.daysOfWeek.includes(dayOfWeek);
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
