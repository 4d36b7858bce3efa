import type { TickSchedule } from './tick-schedule.js';

/** As many missed times as the CronJob controller is willing to count one by one. */
export const MOST_MISSED = 100;

/** The ticks in an interval that has passed. */
export interface DueTicks {
  /** The latest of them. */
  readonly newest: number;
  /** Those before it, ascending: all of them, or the first {@link MOST_MISSED}. */
  readonly earlier: readonly number[];
  /** True if there are more earlier ones than are listed. */
  readonly isCapped: boolean;
}

/** The ticks in (after, until]; null if there is none. Takes the same time however long the interval is. */
export function dueTicks(schedule: TickSchedule, after: number, until: number): DueTicks | null {
  const ticks: number[] = [];
  for (
    let tick = schedule.next(after);
    tick !== null && tick <= until;
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

/** The last tick at or before `until`, given one that is: the instant after which the next one is too late. */
function latestTick(schedule: TickSchedule, tick: number, until: number): number {
  let [low, high] = [tick, until];
  for (;;) {
    const next = schedule.next(low);
    if (next === null || next > until) return low;
    low = next;
    const middle = Math.floor((low + high) / 2);
    const found = schedule.next(middle);
    if (found !== null && found <= until) low = found;
    else high = middle;
  }
}
