import { createHash } from 'node:crypto';
import type { TickSchedule } from './tick-schedule.js';

const HASHES = 2 ** 32;

/**
 * The same ticks, each of them due up to `jitterMs` after its nominal time, so that many jobs do not start at once. How
 * much later is a function of the job and the tick alone: every replica computes the same, and a leader that takes over
 * in between starts the tick when the one before would have. A tick is always due before the next one's nominal time.
 */
export function jittered(schedule: TickSchedule, job: string, jitterMs: number): TickSchedule {
  if (jitterMs === 0) return schedule;
  const spread: TickSchedule = {
    ...schedule,
    dueAt: (tick) => {
      const next = schedule.next(tick);
      const mostMs = next === null ? jitterMs : Math.min(jitterMs, next - tick - 1);
      return tick + Math.floor(partOf(job, tick) * (mostMs + 1));
    },
    continuing: (text, now) => {
      const continued = schedule.continuing(text, now);
      if (continued === undefined || continued === schedule) return continued && spread;
      return jittered(continued, job, jitterMs);
    },
  };
  return spread;
}

/** At least 0, less than 1. */
function partOf(job: string, tick: number): number {
  return createHash('sha256').update(`${tick} ${job}`).digest().readUInt32BE() / HASHES;
}
