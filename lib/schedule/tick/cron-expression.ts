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

/** 29 February recurs within 8 years, even across a century that is not a leap year. */
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

/** The days that match, as days since the local epoch, from the given one on and for 8 years. */
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

/** What is wrong with an expression: the second half of a sentence that begins with the expression. */
export class CronExpressionFault extends Error {}

interface FieldRule {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const DAYS = 'sun mon tue wed thu fri sat'.split(' ');

const FIELDS: readonly FieldRule[] = [
  { name: 'second', least: 0, most: 59 },
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, names: MONTHS },
  { name: 'day of week', least: 0, most: 7, names: DAYS },
];

const PRESETS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 0 1 1 *',
  '@annually': '0 0 0 1 1 *',
  '@monthly': '0 0 0 1 * *',
  '@weekly': '0 0 0 * * 0',
  '@daily': '0 0 0 * * *',
  '@midnight': '0 0 0 * * *',
  '@hourly': '0 0 * * * *',
  '@minutely': '0 * * * * *',
  '@secondly': '* * * * * *',
  '@weekdays': '0 0 0 * * 1-5',
  '@weekends': '0 0 0 * * 0,6',
};

const RANGE = /^(\*|\?|\d+|[a-z]{3})(?:-(\d+|[a-z]{3}))?(?:\/(\d+))?$/;

/**
 * Reads `second minute hour day-of-month month day-of-week`; with five fields the second is 0. Each field is a list of
 * `*`, `a`, `a-b`, with an optional step `/n`; `a/n` counts from a to the end. Months and days of the week may be
 * named, Sunday is 0 or 7, `?` means `*`. Days combine as in crontab and in robfig/cron, which the CronJob controller
 * uses: with both day fields restricted, one of them is enough.
 *
 * @throws CronExpressionFault
 */
export function parseCronExpression(expression: string): CronFields {
  const text = expression.trim().toLowerCase();
  const parts = (PRESETS[text] ?? text).split(/\s+/);
  if (text === '') throw new CronExpressionFault('is empty');
  if (text.startsWith('@') && PRESETS[text] === undefined) {
    throw new CronExpressionFault(`is none of ${Object.keys(PRESETS).join(', ')}`);
  }
  if (parts.length !== 5 && parts.length !== 6) {
    throw new CronExpressionFault(`has ${parts.length} fields instead of 5 or 6`);
  }
  const six = parts.length === 5 ? ['0', ...parts] : parts;
  const [seconds, minutes, hours, daysOfMonth, months, daysOfWeek] = six.map((part, index) =>
    parseField(part, FIELDS[index]!),
  ) as [number[], number[], number[], number[], number[], number[]];
  return {
    seconds,
    minutes,
    hours,
    daysOfMonth,
    months,
    daysOfWeek: ascending(daysOfWeek.map((day) => day % 7)),
    isAnyDayOfMonth: isAny(six[3]!),
    isAnyDayOfWeek: isAny(six[5]!),
  };
}

/** The same expression in words that the `cron` package knows too. */
export function spelledOut(expression: string): string {
  const text = expression.trim().toLowerCase();
  return PRESETS[text] ?? expression.trim().replaceAll('?', '*');
}

function isAny(part: string): boolean {
  return part.split(',').some((range) => /^[*?](\/1)?$/.test(range));
}

function parseField(part: string, rule: FieldRule): number[] {
  return ascending(part.split(',').flatMap((range) => parseRange(range, rule)));
}

function parseRange(range: string, rule: FieldRule): number[] {
  const fault = (why: string): CronExpressionFault =>
    new CronExpressionFault(`has ${JSON.stringify(range)} as ${rule.name}, ${why}`);
  const [, first, last, stepText] = RANGE.exec(range) ?? [];
  if (first === undefined) throw fault('which is no number, range or list');
  const isWildcard = first === '*' || first === '?';
  if (isWildcard && last !== undefined) throw fault('which is not a range');
  const step = stepText === undefined ? 1 : Number(stepText);
  if (step === 0) throw fault('a step of zero');
  const from = isWildcard ? rule.least : valueOf(first, rule);
  const until = untilOf({ isWildcard, last, hasStep: stepText !== undefined, from }, rule);
  if (from === undefined || until === undefined) throw fault('a name that is not known');
  if (from < rule.least || until > rule.most) throw fault(`outside of ${rule.least}-${rule.most}`);
  if (until < from) throw fault('a range that ends before it begins');
  return Array.from({ length: Math.floor((until - from) / step) + 1 }, (_, n) => from + n * step);
}

function untilOf(
  range: {
    readonly isWildcard: boolean;
    readonly last: string | undefined;
    readonly hasStep: boolean;
    readonly from: number | undefined;
  },
  rule: FieldRule,
): number | undefined {
  if (range.last !== undefined) return valueOf(range.last, rule);
  return range.isWildcard || range.hasStep ? rule.most : range.from;
}

function valueOf(text: string, { names, least }: FieldRule): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const index = names?.indexOf(text) ?? -1;
  return index < 0 ? undefined : index + least;
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
