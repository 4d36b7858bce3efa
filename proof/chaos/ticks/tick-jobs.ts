import { setTimeout as delay } from 'node:timers/promises';
import type { LeaderCronOptions } from '../../../lib/schedule/index.js';
import { jittered } from '../../../lib/schedule/tick/jitter.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZones } from '../../../lib/schedule/tick/time-zone.js';
import type { RunName } from './tick-replica-settings.js';

/** What a job shows: each kind has an option that the others do not have. */
export const JOB_KINDS = ['plain', 'jitterMs', 'missed all', 'suspend', 'historyLimit'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export interface TickJob {
  readonly name: string;
  readonly kind: JobKind;
  readonly options: Omit<LeaderCronOptions, 'name' | 'onMissed'>;
}

const JITTER_MS = 900;
const HISTORY = 7;
const DEFAULT_HISTORY = 10;
const SHORT_WORK_MS = 50;
/** `missed: 'all'` needs a deadline. */
const DEADLINE_OF_ALL_SECONDS = 30;

/** The jobs of each replica, so many of each kind. All of them have a tick every second. */
export function tickJobs(count: number, startingDeadlineSeconds: number): TickJob[] {
  return JOB_KINDS.flatMap((kind) =>
    Array.from({ length: count }, (_, index) => ({
      name: `${kind} ${index + 1}`,
      kind,
      options: optionsOf(kind, startingDeadlineSeconds),
    })),
  );
}

function optionsOf(kind: JobKind, startingDeadlineSeconds: number): TickJob['options'] {
  switch (kind) {
    case 'plain':
    case 'suspend':
      return { startingDeadlineSeconds };
    case 'jitterMs':
      return { startingDeadlineSeconds, jitterMs: JITTER_MS };
    case 'missed all':
      return { startingDeadlineSeconds: DEADLINE_OF_ALL_SECONDS, missed: 'all' };
    case 'historyLimit':
      return { startingDeadlineSeconds, historyLimit: HISTORY };
    default:
      return kind satisfies never;
  }
}

/** What the handler of a job does. */
export async function workOf(kind: JobKind, _run: RunName, signal: AbortSignal): Promise<void> {
  if (kind === 'historyLimit') await delay(SHORT_WORK_MS, undefined, { signal });
}

/** How many past runs its record may have. */
export function historyLimitOf({ options }: TickJob): number {
  return options.historyLimit ?? DEFAULT_HISTORY;
}

export const EXPRESSION = '* * * * * *';
const EVERY_SECOND = cronSchedule(EXPRESSION, new TimeZones().of('Etc/UTC'));

/** From when on a tick may start, in milliseconds since the epoch: computed here, where no replica computes it. */
export function dueAt({ name, options }: TickJob, tick: number): number {
  return jittered(EVERY_SECOND, name, options.jitterMs ?? 0).dueAt(tick * 1_000);
}
