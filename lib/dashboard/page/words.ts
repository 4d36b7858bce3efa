/** How the page says times, counts and names. Pure, so that a test can read it. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * `640 ms`, `8.2 s`, `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d 2 h`: in the parts of a length that are over, so never more than it
 * is.
 */
export function duration(ms: number): string {
  const length = Math.max(0, ms);
  if (length < SECOND) return `${Math.floor(length)} ms`;
  if (length < MINUTE) return seconds(length);
  const [unit, name, part, partName] =
    length < HOUR
      ? ([MINUTE, 'min', SECOND, 's'] as const)
      : length < DAY
        ? ([HOUR, 'h', MINUTE, 'min'] as const)
        : ([DAY, 'd', HOUR, 'h'] as const);
  const rest = Math.floor((length % unit) / part);
  const whole = `${Math.floor(length / unit)} ${name}`;
  return rest === 0 ? whole : `${whole} ${rest} ${partName}`;
}

/** `0.6 s`, `8.2 s`, `45 s`: no more than it is. */
export function seconds(ms: number): string {
  const tenths = Math.floor(Math.max(0, ms) / 100);
  return `${tenths < 100 ? tenths / 10 : Math.floor(tenths / 10)} s`;
}

/** `400 ms`, `3.3 s`, `12.25 s`, `1 min 30.5 s`: as it was configured, without rounding. */
export function setting(ms: number): string {
  if (ms < SECOND) return `${ms} ms`;
  if (ms < MINUTE) return `${ms / SECOND} s`;
  const rest = ms % MINUTE;
  return rest === 0 ? duration(ms) : `${duration(ms - rest)} ${rest / SECOND} s`;
}

/** `1,240 ms`: a gap is always said in milliseconds. */
export function milliseconds(ms: number): string {
  return `${count(Math.round(ms))} ms`;
}

/** `00:07`, `12:30`, `2:11:09`, `4 d 02:11:09` */
export function timer(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3_600) % 24;
  const rest = `${twoDigits(Math.floor(seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
  if (days > 0) return `${days} d ${twoDigits(hours)}:${rest}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** `in 12 s`, `due`, `12 s late` */
export function countdown(to: number, now: number): string {
  const left = to - now;
  if (left > 0) return `in ${untilThen(left)}`;
  return left > -2 * SECOND ? 'due' : `${coarse(-left)} late`;
}

/** In seconds that have begun: there is something left of what is counted down. */
function untilThen(ms: number): string {
  const whole = Math.ceil(ms / SECOND) * SECOND;
  return whole < 10 * SECOND ? `${whole / SECOND} s` : duration(whole);
}

/** `just now`, `12 s ago`, `3 min ago`, `4 h ago`, `2 d ago` */
export function ago(at: number, now: number): string {
  return now - at < SECOND ? 'just now' : `${coarse(now - at)} ago`;
}

/** One unit: who reads it wants the size, and the exact time is beside it. */
function coarse(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < 100 * MINUTE) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 48 * HOUR) return `${Math.floor(ms / HOUR)} h`;
  return `${count(Math.floor(ms / DAY))} d`;
}

/** `1,000` */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 term`, `4 terms` */
export function counted(value: number, name: string): string {
  return `${count(value)} ${name}${value === 1 ? '' : 's'}`;
}

/** `02:14:07` by the clock on the reader's wall. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
}

/** `02:14:07` today, `26 Nov 22:14:09` before. */
export function moment(at: number, now: number): string {
  const date = new Date(at);
  if (date.toDateString() === new Date(now).toDateString()) return timeOfDay(at);
  return `${dayOf(date)} ${timeOfDay(at)}`;
}

export function dayOf(date: Date): string {
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

export function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** An identity is `<pod or host>_<uuid>`, of which eight digits tell two processes apart. */
export function nameParts(identity: string): { readonly name: string; readonly mark: string } {
  const [, name, mark] = /^(.+)_([0-9a-f]{8})[0-9a-f-]*$/i.exec(identity) ?? [];
  return name === undefined ? { name: identity, mark: '' } : { name, mark: mark! };
}

/** Of the names of pods it is the end that differs. */
export function shortened(name: string, length: number): string {
  if (name.length <= length) return name;
  const kept = Math.max(0, Math.floor(length) - 1);
  const head = Math.floor(kept / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (kept - head))}`;
}
