import { setTimeout as delay } from 'node:timers/promises';
import type { LeaderCronOptions } from '../../../lib/schedule/index.js';
import { jittered } from '../../../lib/schedule/tick/jitter.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZones } from '../../../lib/schedule/tick/time-zone.js';
import type { RunName } from './tick-replica-settings.js';

/** What a job shows: each kind has an option that the others do not have. */
export const JOB_KINDS = [
  'plain',
  'jitterMs',
  'missed all',
  'suspend',
  'historyLimit',
  'retries',
  'rerun',
  'cancel',
] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export interface TickJob {
  readonly name: string;
  readonly kind: JobKind;
  readonly options: Omit<LeaderCronOptions, 'name' | 'onMissed'>;
}

const JITTER_MS = 900;
const RETRIES = { limit: 2, backoffMs: 100 };
/** Pauses and outages fit into it. */
const DEADLINE_OF_RETRIES_SECONDS = 20;
/** A tick whose runs are interrupted has no more attempts than this. */
const MOST_RERUN = 4;
/** Of a run that is to be interrupted. */
const LONG_WORK_MS = 700;
/** Every so many ticks a run gets stuck until it is cancelled. */
const STUCK_EVERY = 5;
const HISTORY = 7;
const DEFAULT_HISTORY = 10;
const SHORT_WORK_MS = 50;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
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
    case 'cancel':
      return { startingDeadlineSeconds };
    case 'jitterMs':
      return { startingDeadlineSeconds, jitterMs: JITTER_MS };
    case 'missed all':
      return { startingDeadlineSeconds: DEADLINE_OF_ALL_SECONDS, missed: 'all' };
    case 'historyLimit':
      return { startingDeadlineSeconds, historyLimit: HISTORY };
    case 'retries':
      return { startingDeadlineSeconds: DEADLINE_OF_RETRIES_SECONDS, retries: RETRIES };
    case 'rerun':
      return { startingDeadlineSeconds, onInterrupted: 'rerun' };
    default:
      return kind satisfies never;
  }
}

/** What the handler of a job does. Which runs fail or get stuck is a function of the tick alone. */
export async function workOf(kind: JobKind, run: RunName, signal: AbortSignal): Promise<void> {
  if (kind === 'historyLimit') await delay(SHORT_WORK_MS, undefined, { signal });
  if (kind === 'rerun') await delay(LONG_WORK_MS, undefined, { signal });
  if (kind === 'retries' && run.attempt <= failuresOf(run.tick))
    throw new Error('to be tried again');
  if (kind === 'cancel' && run.tick % STUCK_EVERY === 0) {
    await delay(LONGEST_TIMER_MS, undefined, { signal });
  }
}

/** How many attempts of a tick fail: none, some, or all. */
function failuresOf(tick: number): number {
  return tick % (RETRIES.limit + 2);
}

/** How often a tick may be started, each time as another attempt. */
export function mostAttempts({ options }: TickJob): number {
  const { retries, onInterrupted } = options;
  if (onInterrupted === 'rerun') return MOST_RERUN;
  return retries === undefined ? 1 : RETRIES.limit + 1;
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
