import type { JobView } from '../dashboard-view.js';
import { counted, duration } from './words.js';

export const OUTCOMES = [
  'succeeded',
  'failed',
  'cancelled',
  'interrupted',
  'missed',
  'active',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Mark {
  readonly outcome: Outcome;
  /** When it was due. */
  readonly at: number;
  /** Milliseconds; null if it did not run or runs still. */
  readonly length: number | null;
}

/**
 * The last runs, the ticks between them that were missed, and what runs now; oldest first. The record counts what was missed
 * and keeps the time of the last one. Where others were is concluded from holes in an even schedule, and never more than were
 * counted.
 */
export function marksOf(job: JobView, most: number): Mark[] {
  const ran = job.history.map(({ outcome, scheduledTime, startedAt, endedAt }) => ({
    outcome,
    at: scheduledTime,
    length: endedAt - startedAt,
  }));
  const active = job.active.map(({ scheduledTime }) => ({
    outcome: 'active' as const,
    at: scheduledTime,
    length: null,
  }));
  const runs: Mark[] = [...ran, ...active].sort((a, b) => a.at - b.at);
  return [...runs, ...missedOf(job, runs)].sort((a, b) => a.at - b.at).slice(-most);
}

function missedOf({ lastMissed, missedCount, intervalMs }: JobView, runs: readonly Mark[]): Mark[] {
  if (missedCount === 0) return [];
  const times: number[] = lastMissed === null ? [] : [lastMissed];
  if (intervalMs !== null && intervalMs > 0) {
    for (let index = runs.length - 1; index > 0; index -= 1) {
      const holes = Math.round((runs[index]!.at - runs[index - 1]!.at) / intervalMs) - 1;
      for (let hole = holes; hole > 0 && times.length < missedCount; hole -= 1) {
        const at = runs[index - 1]!.at + hole * intervalMs;
        if (times.every((time) => Math.abs(time - at) > intervalMs / 2)) times.push(at);
      }
    }
  }
  return times.map((at) => ({ outcome: 'missed', at, length: null }));
}

/** A mark for each outcome has a shape of its own, so that no one needs its colour. */
export function stripPaths(
  marks: readonly Mark[],
  slots: number,
  slot: number,
  height: number,
): Partial<Record<Outcome, string>> {
  const longest = Math.max(1, ...marks.map(({ length }) => length ?? 0));
  const wide = Math.max(3, Math.round(slot * 0.625));
  // Room for the point of a failure.
  const most = height - wide - 1;
  const paths: Partial<Record<Outcome, string>> = {};
  marks.forEach(({ outcome, length }, index) => {
    const x = (slots - marks.length + index) * slot;
    const tall = Math.max(2, Math.round(((length ?? 0) / longest) * most));
    paths[outcome] = (paths[outcome] ?? '') + SHAPES[outcome](x, wide, tall, height);
  });
  return paths;
}

type Shape = (x: number, wide: number, tall: number, base: number) => string;

const box: Shape = (x, wide, tall, base) => `M${x} ${base}h${wide}v${-tall}h${-wide}z`;

const SHAPES: Record<Outcome, Shape> = {
  succeeded: box,
  /** A diamond on top. */
  failed: (x, wide, tall, base) => {
    const half = wide / 2;
    return `${box(x, wide, tall, base)}M${x + half} ${base - tall - 1}l${half} ${-half}l${-half} ${-half}l${-half} ${half}z`;
  },
  /** Slices. */
  cancelled: (x, wide, tall, base) => {
    let slices = '';
    for (let y = 0; y < tall; y += 4) slices += box(x, wide, Math.min(2, tall - y), base - y);
    return slices;
  },
  /** Cut through, with its upper part aside. */
  interrupted: (x, wide, tall, base) => {
    const lower = Math.max(2, Math.floor(tall / 2));
    const thin = Math.max(1, Math.round(wide / 2));
    return box(x, wide, lower, base) + box(x, thin, Math.max(2, tall - lower), base - lower - 2);
  },
  /** Hollow: it is drawn as an outline. */
  missed: (x, wide, _tall, base) => box(x + 0.5, wide - 1, wide + 1, base - 0.5),
  /** A point to the right. */
  active: (x, wide, _tall, base) => `M${x} ${base}v${-wide - 2}l${wide} ${wide / 2 + 1}z`,
};

/** What the strip shows, for who cannot see it. */
export function stripInWords(marks: readonly Mark[]): string {
  if (marks.length === 0) return 'No runs yet.';
  const parts = OUTCOMES.flatMap((outcome) => {
    const found = marks.filter((mark) => mark.outcome === outcome).length;
    return found === 0 ? [] : [`${found} ${outcome}`];
  });
  const lengths = marks.flatMap(({ length }) => (length === null ? [] : [length]));
  const longest =
    lengths.length === 0 ? '' : `, the longest took ${duration(Math.max(...lengths))}`;
  return `Last ${counted(marks.length, 'tick')}: ${parts.join(', ')}${longest}.`;
}
