/** How the page says times, counts and names. Pure, so that a test can read it. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `640 ms`, `8.2 s`, `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d 2 h` */
export function duration(ms: number): string {
  const length = Math.max(0, ms);
  if (length < SECOND) return `${Math.round(length)} ms`;
  // What would be rounded up to the next unit is said in that unit.
  if (length < 9_950) return `${Math.round(length / 100) / 10} s`;
  if (length < MINUTE - SECOND / 2) return `${Math.round(length / SECOND)} s`;
  const [unit, name, part, partName] =
    length < HOUR - SECOND / 2
      ? ([MINUTE, 'min', SECOND, 's'] as const)
      : length < DAY - MINUTE / 2
        ? ([HOUR, 'h', MINUTE, 'min'] as const)
        : ([DAY, 'd', HOUR, 'h'] as const);
  const parts = Math.round(length / part);
  const [whole, rest] = [Math.floor((parts * part) / unit), parts % (unit / part)];
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${partName}`;
}

/** In whole seconds, so that it does not flicker: `0 s`, `45 s`, `3 min 20 s` */
export function wholeSeconds(ms: number): string {
  const length = Math.max(0, Math.floor(ms / SECOND) * SECOND);
  return length < MINUTE ? `${length / SECOND} s` : duration(length);
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
  if (left > 0) return `in ${wholeSeconds(left + SECOND - 1)}`;
  return left > -2 * SECOND ? 'due' : `${coarse(-left)} late`;
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
