import { isJsonObject } from '../../core/json-document.js';

/**
 * Times in the stored document: ISO 8601, so that people can read them. A list is its first time, then the steps from
 * each to the next in seconds, `[step, n]` for n equal ones: the hundred ticks that a job missed in an outage take as
 * much room as one.
 */
export type PrintedTimes = readonly (string | number | readonly [number, number])[];

/** More than any version lists: a hand edit must not make a list without end. */
const MOST_TIMES = 10_000;

/**
 * Of the years that a calendar computes with. What lies outside is a hand edit (Go's zero time is of the year 1), and to
 * search from there for the next tick takes without end or finds none.
 */
const ISO_TIME = /^(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** Undefined if the value is not a time. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value !== 'string' || !ISO_TIME.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}

export function printTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

/** `times` ascending. */
export function printTimes(times: readonly number[]): PrintedTimes {
  const printed: (string | number | [number, number])[] = [];
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before === undefined) return void printed.push(printTime(time));
    const step = (time - before) / 1_000;
    const last = printed.at(-1);
    if (last === step) printed[printed.length - 1] = [step, 2];
    else if (Array.isArray(last) && last[0] === step) last[1] += 1;
    else printed.push(step);
  });
  return printed;
}

/** Undefined if the value is not a list of times, or an empty one. A list of nothing but times is one, too. */
export function parseTimes(value: unknown): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const times: number[] = [];
  for (const each of value as unknown[]) {
    const more = following(times.at(-1), each, MOST_TIMES - times.length);
    if (more === undefined) return undefined;
    times.push(...more);
  }
  return times.length === 0 ? undefined : times;
}

function following(last: number | undefined, written: unknown, room: number): number[] | undefined {
  const time = parseTime(written);
  if (time !== undefined) return room > 0 ? [time] : undefined;
  if (last === undefined || isJsonObject(written)) return undefined;
  const [step, count] = (Array.isArray(written) ? written : [written, 1]) as unknown[];
  if (typeof step !== 'number' || !Number.isInteger(count)) return undefined;
  if ((count as number) < 1 || (count as number) > room) return undefined;
  const times = Array.from({ length: count as number }, (_, index) =>
    Math.round(last + (index + 1) * step * 1_000),
  );
  return times.every(isTime) ? times : undefined;
}

function isTime(time: number): boolean {
  return !Number.isNaN(new Date(time).getTime());
}
