import { meaningOf, nextLocalMatch, parseCronExpression } from './cron-expression.js';
import { isTimeZone, TimeZone } from './time-zone.js';

/** When a job is due. All instants are milliseconds since the epoch. */
export interface TickSchedule {
  /** How it was written; two schedules with the same text have the same ticks. */
  readonly text: string;
  /** The first tick after an instant; null if there is none. */
  next(after: number): number | null;
  /** When a tick may start: its nominal time, or later by what spreads the load; before the next tick in any case. */
  dueAt(tick: number): number;
  /**
   * The schedule by which this one continues after ticks that were accounted for by a schedule of that text; undefined
   * if that one was due at other times. `now`: zones are compared from then on.
   */
  continuing(text: string, now: number): TickSchedule | undefined;
}

const DAY_MS = 86_400_000;

/** Zones whose clocks agree for this long count as one zone. */
const COMPARED_MS = 4 * 366 * DAY_MS;

/** For how long a search that found no tick within the next years is not repeated. */
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
      // If there is no match ahead, changes of the clocks cannot make one: they move the time of day, not the calendar.
      if (local === null) return null;
      const instant = local - zone.offsetAt(from);
      const change = zone.firstChange(from, instant);
      if (change === null) return instant;
      from = change;
      const shown = from + zone.offsetAt(from);
      // Clocks that are set back show times that were searched already, and clocks set forward leave less to search:
      // often it is the same match.
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
    dueAt: nominally,
    continuing: (other, now) => (other === text || isSame(other, now) ? schedule : undefined),
  };
  return schedule;
}

/**
 * One tick. With a key the key identifies it, whatever its date: replicas that each compute the date themselves then
 * run it once, at the date of the first of them to become leader.
 */
export function onceSchedule(date: Date, key?: string): TickSchedule {
  const at = date.getTime();
  const text = key === undefined ? date.toISOString() : `${date.toISOString()} once ${key}`;
  return {
    text,
    next: (after) => (after < at ? at : null),
    dueAt: nominally,
    continuing(other) {
      if (other === text) return this;
      const written = /^(\S+) once (.*)$/s.exec(other);
      if (written === null || written[2] !== key) return undefined;
      const first = new Date(written[1]!);
      return Number.isNaN(first.getTime()) ? undefined : onceSchedule(first, key);
    },
  };
}

function nominally(tick: number): number {
  return tick;
}

/** From the instant that was asked for up to a tick, that tick is the next one. */
function rememberingLast(next: TickSchedule['next']): TickSchedule['next'] {
  let [from, until, found]: [number, number, number | null] = [Infinity, -Infinity, null];
  return (after) => {
    if (from <= after && after < until) return found;
    found = next(after);
    [from, until] = [after, found ?? after + NONE_HOLDS_MS];
    return found;
  };
}

/** A record keeps its text, so the same one is asked for repeatedly. */
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
    // A later version of this library, or a person, may have written it.
    return false;
  }
  return own.zone.isLike(new TimeZone(zoneName), own.now, own.now + COMPARED_MS);
}

/** As many missed times as the CronJob controller is willing to count one by one. */
export const MOST_MISSED = 100;

/** The ticks that are due after an instant. */
export interface DueTicks {
  readonly newest: number;
  /** Those before it, ascending: all of them, or the first {@link MOST_MISSED}. */
  readonly earlier: readonly number[];
  /** True if there are more earlier ones than are listed. */
  readonly isCapped: boolean;
}

/**
 * The ticks after `after` that are due by `until`; null if there is none. Takes the same time however long the interval
 * is.
 */
export function dueTicks(schedule: TickSchedule, after: number, until: number): DueTicks | null {
  const ticks: number[] = [];
  for (
    let tick = schedule.next(after);
    tick !== null && schedule.dueAt(tick) <= until;
    tick = schedule.next(tick)
  ) {
    ticks.push(tick);
    if (ticks.length > MOST_MISSED + 1) {
      const newest = latestTick(schedule, tick, until);
      return { newest, earlier: ticks.slice(0, MOST_MISSED), isCapped: true };
    }
  }
  const newest = ticks.pop();
  return newest === undefined ? null : { newest, earlier: ticks, isCapped: false };
}

/**
 * Of the ticks after `after` that are due by `now`, the oldest that may still start, with those before it; of more than
 * {@link MOST_MISSED} that may, the oldest of the last so many. Null if none is due; if none may start, all that are due.
 */
export function oldestFirst(
  schedule: TickSchedule,
  after: number,
  { now, startingDeadlineMs }: { readonly now: number; readonly startingDeadlineMs: number },
): DueTicks | null {
  const tooLate = dueTicks(schedule, after, now - startingDeadlineMs - 1_000);
  const begin = tooLate?.newest ?? after;
  const startable = dueTicks(schedule, begin, now);
  if (startable === null) return tooLate;
  const before = isMany(startable) ? lastManyAfter(schedule, begin, startable.newest) : begin;
  return dueTicks(schedule, after, schedule.dueAt(schedule.next(before)!));
}

function isMany({ earlier, isCapped }: DueTicks): boolean {
  return isCapped || earlier.length >= MOST_MISSED;
}

/** The earliest second after which no more than {@link MOST_MISSED} ticks follow up to `newest`. */
function lastManyAfter(schedule: TickSchedule, begin: number, newest: number): number {
  let [low, high] = [begin, newest - 1];
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2);
    if (isMany(dueTicks(schedule, middle, schedule.dueAt(newest))!)) low = middle;
    else high = middle;
  }
  return high;
}

/** The last tick that is due by `until`, given one that is: the instant after which the next one is too late. */
function latestTick(schedule: TickSchedule, tick: number, until: number): number {
  let [low, high] = [tick, until];
  for (;;) {
    const next = schedule.next(low);
    if (next === null || schedule.dueAt(next) > until) return low;
    low = next;
    const middle = Math.floor((low + high) / 2);
    const found = schedule.next(middle);
    if (found !== null && schedule.dueAt(found) <= until) low = found;
    else high = middle;
  }
}

/** What happens when a tick is due while a run of the job is active. As in a `batch/v1` CronJob. */
export type ConcurrencyPolicy = 'Allow' | 'Forbid' | 'Replace';

/**
 * What happens to ticks that were not started in time, as long as `startingDeadlineSeconds` lets them: the latest starts,
 * all do, or none does. Those that do not start are reported.
 */
export type MissedPolicy = 'latest' | 'all' | 'none';

export interface TickSituation {
  readonly now: number;
  readonly missedPolicy: MissedPolicy;
  /** Ticks up to now that are not accounted for; with 'all' up to the one that is to start next. */
  readonly due: DueTicks | null;
  readonly dueAt: TickSchedule['dueAt'];
  /** How late a tick may start; null: only one that this leader found due at its time. */
  readonly startingDeadlineMs: number | null;
  /** Without a deadline: how late a leader may find a tick due and still start it. */
  readonly promptMs: number;
  /** A tick that was found due in time and has waited for another run since; it may still start. */
  readonly awaitedTick: number | null;
  /** The first of the ticks that this leader found due in time, and that 'Forbid' has kept waiting since. */
  readonly forbiddenSince: number | null;
  /** A tick that is due after this instant was due while this process was leader, ready to start it. */
  readonly armedAfter: number;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  readonly activeRuns: number;
}

export type TickDecision =
  | { readonly kind: 'nothing' }
  /** Claim the tick and start it; the earlier ones were missed. */
  | {
      readonly kind: 'claim';
      readonly tick: number;
      readonly missed: readonly number[];
      readonly reason: 'not-started' | 'forbidden';
    }
  /** Account for the ticks without starting any. */
  | {
      readonly kind: 'report';
      readonly tick: number;
      readonly missed: readonly number[];
      readonly reason: 'not-started' | 'forbidden';
    }
  /** End the active runs first, then decide again. */
  | { readonly kind: 'replace' }
  /** Decide again when the active runs have ended, and at `until` at the latest. */
  | { readonly kind: 'wait'; readonly until: number };

/** The whole policy of one job at one instant. */
export function decideTick(situation: TickSituation): TickDecision {
  const { now, due, startingDeadlineMs, activeRuns } = situation;
  if (due === null) return { kind: 'nothing' };
  const tick = due.newest;
  const missed = [...due.earlier, tick];
  if (!mayStillStart(tick, situation)) {
    return { kind: 'report', tick, missed, reason: reasonOf(missed, situation) };
  }
  const concurrencyPolicy = isCaughtUp(tick, situation) ? 'Forbid' : situation.concurrencyPolicy;
  if (activeRuns === 0 || concurrencyPolicy === 'Allow') {
    return { kind: 'claim', tick, missed: due.earlier, reason: reasonOf(due.earlier, situation) };
  }
  if (concurrencyPolicy === 'Replace') return { kind: 'replace' };
  if (startingDeadlineMs === null) return { kind: 'report', tick, missed, reason: 'forbidden' };
  return { kind: 'wait', until: Math.max(now, lastStart(tick, situation)) + 1 };
}

/** All missed ticks run one after the other, under every policy. */
function isCaughtUp(tick: number, { now, dueAt, missedPolicy }: TickSituation): boolean {
  return missedPolicy === 'all' && now >= dueAt(tick) + 1_000;
}

function reasonOf(
  missed: readonly number[],
  { forbiddenSince }: TickSituation,
): 'not-started' | 'forbidden' {
  const [first = -Infinity] = missed;
  return forbiddenSince !== null && first >= forbiddenSince ? 'forbidden' : 'not-started';
}

function mayStillStart(tick: number, situation: TickSituation): boolean {
  const { now, dueAt, startingDeadlineMs, armedAfter, promptMs, awaitedTick } = situation;
  const due = dueAt(tick);
  if (situation.missedPolicy === 'none' && due <= armedAfter) return false;
  if (startingDeadlineMs !== null) return now <= lastStart(tick, situation);
  return due > armedAfter && (now <= due + promptMs || tick === awaitedTick);
}

/** The deadline is in whole seconds: 0 leaves the second of the tick itself. */
export function lastStart(
  tick: number,
  { dueAt, startingDeadlineMs }: Pick<TickSituation, 'dueAt' | 'startingDeadlineMs'>,
): number {
  return startingDeadlineMs === null ? -Infinity : dueAt(tick) + startingDeadlineMs + 999;
}
