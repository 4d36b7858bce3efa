import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { OptionReader } from '../../core/option-reader.js';
import { workFault } from '../../election/run-to-end.js';
import { runToEnd } from '../../nest/run-to-end.js';
import type {
  InterruptedRunPolicy,
  JobDefinition,
  MissedReport,
} from '../runner/job-definition.js';
import { CronExpressionFault } from '../tick/cron-expression.js';
import {
  type ConcurrencyPolicy,
  cronSchedule,
  type MissedPolicy,
  onceSchedule,
  type TickSchedule,
} from '../tick/tick-schedule.js';
import { jittered } from '../tick/jitter.js';
import { isTimeZone, localTimeZone, type TimeZones } from '../tick/time-zone.js';
import { readRetries, type RetryOptions } from './retry-options.js';

/** What a schedule is read with. */
export interface ScheduleReading {
  readonly zones: TimeZones;
  /** For schedules that never occur again. */
  readonly now: number;
}

/** For a job that is not registered, as it has faults. */
const NO_SCHEDULE: TickSchedule = onceSchedule(new Date(0));

/** A cron expression or a Date as a schedule; faults go to the reader. */
function readSchedule(
  reader: OptionReader,
  written: unknown,
  timeZone: string,
  reading: ScheduleReading,
): TickSchedule {
  const key = reader.text('key', 'import-2027');
  if (written instanceof Date) return readDate(reader, written, key);
  if (key !== undefined) {
    const rule = 'is for a single run, whose schedule is a Date';
    reader.fault(
      'key',
      key,
      rule,
      'leave it out: the ticks of a cron expression are identified by their time',
    );
  }
  if (typeof written === 'string') return readExpression(reader, written, timeZone, reading);
  const rule = 'must be a cron expression or a Date';
  reader.fault('schedule', written, rule, 'use for example "30 2 * * *"');
  return NO_SCHEDULE;
}

function readExpression(
  reader: OptionReader,
  written: string,
  timeZone: string,
  { zones, now }: ScheduleReading,
): TickSchedule {
  try {
    const schedule = cronSchedule(written, zones.of(timeZone));
    if (schedule.next(now) === null) {
      const rule = 'must occur within the next 8 years, and this never does';
      reader.fault('schedule', written, rule, 'use a day that exists in that month');
    }
    return schedule;
  } catch (error) {
    if (!(error instanceof CronExpressionFault)) throw error;
    const rule = `must be a cron expression of 5 or 6 fields, and it ${error.message}`;
    reader.fault('schedule', written, rule, 'use for example "30 2 * * *"');
    return NO_SCHEDULE;
  }
}

function readDate(reader: OptionReader, date: Date, key: string | undefined): TickSchedule {
  if (Number.isNaN(date.getTime())) {
    const fix = 'use for example new Date("2027-01-01T00:00:00Z")';
    reader.fault('schedule', 'Invalid Date', 'must be a valid date', fix);
    return NO_SCHEDULE;
  }
  if (key === undefined && date.getMilliseconds() !== 0) {
    const rule =
      'must be a whole second: a Date that each replica computes from its own clock is a different run in each of them';
    const fix =
      'give the run a key (the first leader then says when it is), or a date that is the same everywhere';
    reader.fault('schedule', date.toISOString(), rule, fix);
  }
  return onceSchedule(date, key);
}

/** Names and meanings are those of the spec of a `batch/v1` CronJob, where it has them. */
export interface LeaderCronOptions {
  /**
   * Identifies the job in the application, also across restarts: what is recorded of the job is stored under this name.
   * Give one if class names are minified.
   * @default `<class>.<method>` of the decorated method
   * @example
   * name: 'close-plans'
   */
  readonly name?: string;
  /**
   * Of a schedule that is a Date: replicas that compute the Date each for itself name the same run by it. It runs once,
   * at the date of the first one to lead, for as long as the fleet keeps the job's record.
   * @default none: the Date is the run, and must be a whole second
   * @example
   * key: 'import-2027'
   */
  readonly key?: string;
  /**
   * The role whose leader runs the job.
   * @default the only role of the application
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * An IANA time zone, e.g. `'Europe/Berlin'`. Name one where replicas may differ.
   * @default that of the process
   * @example
   * timeZone: 'Europe/Berlin'
   */
  readonly timeZone?: string;
  /**
   * When a tick is due while a run is active. `'Allow'`: both run. `'Forbid'`: the tick waits as long as
   * `startingDeadlineSeconds` lets it, and is otherwise missed. `'Replace'`: the active run's signal is aborted, its end
   * awaited, and then the newest tick started.
   * @default 'Forbid'
   * @see docs/scheduling.md#runs-that-meet
   * @example
   * concurrencyPolicy: 'Allow'
   */
  readonly concurrencyPolicy?: ConcurrencyPolicy;
  /**
   * How many seconds after it was due a tick may still be started: the latest one missed by a failover, a
   * restart or a suspension is then caught up once. Whole seconds, 0 or more.
   * @default none: a missed tick is only reported
   * @see docs/scheduling.md#late-ticks
   * @example
   * startingDeadlineSeconds: 3_600
   */
  readonly startingDeadlineSeconds?: number;
  /**
   * Which ticks that were missed by a failover, a restart or a suspension start as long as `startingDeadlineSeconds` lets
   * them; the others are reported. `'latest'`: the latest. `'all'`: all, but no more than the last 100, oldest first and
   * one after the other; needs `startingDeadlineSeconds`. `'none'`: none, and the deadline is for ticks that wait for
   * another run.
   * @default 'latest'
   * @see docs/scheduling.md#missed-ticks-missed
   * @example
   * missed: 'all', startingDeadlineSeconds: 3_600
   */
  readonly missed?: MissedPolicy;
  /**
   * Each tick starts up to so many milliseconds after its nominal time, so that many jobs do not start at once. How much
   * later is computed from the job's name and the tick, so that all replicas agree; always before the next tick.
   * `startingDeadlineSeconds` counts from then on.
   * @default 0
   * @see docs/scheduling.md#spreading-the-load-jitterms
   * @example
   * jitterMs: 30_000
   */
  readonly jitterMs?: number;
  /**
   * A run that fails is tried again, so many times, on whichever replica leads; each attempt is claimed. A number is the
   * `limit`. The pauses must fit into `startingDeadlineSeconds`, after which no attempt starts; without a deadline only the
   * `limit` ends them. Under `Forbid` the job counts as active until the last attempt is over, and under `Replace` the next
   * tick takes the place of what is still to be tried. Not for runs by `trigger()`.
   * @default 0
   * @see docs/scheduling.md#trying-again-retries
   * @example
   * retries: 3
   */
  readonly retries?: number | RetryOptions;
  /**
   * What becomes of a tick whose leader died, or lost the lease, before it could record how the run ended. `'report'`: it is
   * reported as missed, with the reason `interrupted`. `'rerun'`: the next leader runs it again, also after
   * `startingDeadlineSeconds`, as what has begun may be half done; after 4 attempts (or `retries` + 1, if that is more) it is
   * reported.
   * @default 'report'
   * @see docs/scheduling.md#interrupted-runs-oninterrupted
   * @example
   * onInterrupted: 'rerun'
   */
  readonly onInterrupted?: InterruptedRunPolicy;
  /**
   * Do not schedule until `LeaderSchedule.resume(name)`, which holds for the whole fleet until a version without this
   * option has led.
   * @default false
   * @see docs/scheduling.md#suspending-a-job
   * @example
   * suspend: true
   */
  readonly suspend?: boolean;
  /**
   * How many past runs `LeaderSchedule.inspect(name)` tells of, 0 to 100. They are stored beside the lease, some 150 bytes
   * each, and the oldest give way when the object is full.
   * @default 10
   * @see docs/scheduling.md#past-runs-historylimit
   * @example
   * historyLimit: 50
   */
  readonly historyLimit?: number;
  /**
   * Milliseconds after which a run's signal is aborted. The run counts as failed.
   * @default none: a run may take as long as the term
   * @example
   * timeoutMs: 600_000
   */
  readonly timeoutMs?: number;
  /**
   * Called for ticks that were not run, once in the whole fleet (twice only if the leader dies right after it). For a
   * decorated method, `this` is the provider.
   * @default none: missed ticks are only logged
   * @example
   * onMissed: ({ job, times }) => alert(job, times)
   */
  readonly onMissed?: (report: MissedReport) => unknown;
}

/** A job as the user gave it, by a decorator or by `LeaderSchedule.add()`. */
export interface WrittenJob {
  /** For messages, e.g. `@LeaderCron() on PlanScheduler.close`. */
  readonly place: string;
  readonly defaultName: string | undefined;
  readonly schedule: unknown;
  readonly options: unknown;
  readonly run: JobDefinition['run'];
  /** What `onMissed` is called on. */
  readonly owner?: object;
}

export interface ReadJob {
  readonly role: string | undefined;
  readonly timeZone: string;
  readonly definition: JobDefinition;
}

const OPTION_NAMES = [
  'name',
  'key',
  'role',
  'timeZone',
  'concurrencyPolicy',
  'startingDeadlineSeconds',
  'missed',
  'jitterMs',
  'retries',
  'onInterrupted',
  'suspend',
  'historyLimit',
  'timeoutMs',
  'onMissed',
];
const MISSED_POLICIES: readonly MissedPolicy[] = ['latest', 'all', 'none'];
const POLICIES: readonly ConcurrencyPolicy[] = ['Allow', 'Forbid', 'Replace'];

const INTERRUPTED_POLICIES: readonly InterruptedRunPolicy[] = ['report', 'rerun'];

const DEFAULT_HISTORY = 10;
const LONGEST_HISTORY = 100;

/** About 68 years; more is no deadline. */
const LONGEST_DEADLINE_SECONDS = 2_147_483_647;

/** The checked job, or every fault of it. */
export function readJob(written: WrittenJob, reading: ScheduleReading): ReadJob | OptionFault[] {
  const reader = new OptionReader(written.options ?? {}, OPTION_NAMES);
  const given = reader.text('name', 'close-plans') ?? written.defaultName;
  const name = reader.required('name', given, 'close-plans');
  const timeZone = readTimeZone(reader);
  const schedule = readSchedule(reader, written.schedule, timeZone, reading);
  const seconds = readDeadline(reader);
  const concurrencyPolicy = reader.oneOf('concurrencyPolicy', POLICIES, 'Forbid');
  const definition: JobDefinition = {
    name,
    schedule: jittered(schedule, name, reader.milliseconds('jitterMs', 0, 0)),
    concurrencyPolicy,
    missedPolicy: readMissed(reader, concurrencyPolicy),
    startingDeadlineMs: seconds === null ? null : seconds * 1_000,
    timeoutMs:
      reader.get('timeoutMs') === undefined ? null : reader.milliseconds('timeoutMs', 60_000, 1),
    retries: readRetries(reader, seconds),
    onInterrupted: reader.oneOf('onInterrupted', INTERRUPTED_POLICIES, 'report'),
    suspend: reader.boolean('suspend', false),
    historyLimit: readHistoryLimit(reader),
    run: written.run,
    onMissed: readOnMissed(reader, written.owner),
  };
  const role = reader.text('role', 'plan-scheduler');
  const handlerFault = workFault(written.run);
  if (handlerFault !== undefined) {
    reader.fault('handler', written.run, handlerFault.rule, handlerFault.fix);
  }
  const faults = faultsOf(reader, written.place);
  return faults.length > 0 ? faults : { role, timeZone, definition };
}

function readTimeZone(reader: OptionReader): string {
  const timeZone = reader.text('timeZone', 'Europe/Berlin');
  if (timeZone === undefined) return localTimeZone();
  if (isTimeZone(timeZone)) return timeZone;
  const rule = 'must be an IANA time zone that this platform knows';
  reader.fault('timeZone', timeZone, rule, 'use for example "Europe/Berlin" or "Etc/UTC"');
  return 'UTC';
}

function readDeadline(reader: OptionReader): number | null {
  const seconds = reader.get('startingDeadlineSeconds');
  if (seconds === undefined) return null;
  const isWhole = typeof seconds === 'number' && Number.isInteger(seconds);
  if (isWhole && seconds >= 0 && seconds <= LONGEST_DEADLINE_SECONDS) return seconds;
  const rule = 'must be a whole number of seconds, 0 or more';
  const fix = 'use for example 60, or leave it out to catch up nothing';
  reader.fault('startingDeadlineSeconds', seconds, rule, fix);
  return null;
}

function readMissed(reader: OptionReader, concurrencyPolicy: ConcurrencyPolicy): MissedPolicy {
  const policy = reader.oneOf('missed', MISSED_POLICIES, 'latest');
  if (policy === 'all' && reader.get('startingDeadlineSeconds') === undefined) {
    const rule = '"all" needs startingDeadlineSeconds, as no tick is caught up without it';
    reader.fault('missed', policy, rule, 'add for example startingDeadlineSeconds: 3600');
  }
  if (policy === 'all' && concurrencyPolicy === 'Replace') {
    const rule =
      '"all" runs every tick to its end, and concurrencyPolicy "Replace" ends each for the next';
    reader.fault('missed', policy, rule, 'use "latest", or concurrencyPolicy "Forbid"');
  }
  return policy;
}

function readHistoryLimit(reader: OptionReader): number {
  const limit = reader.get('historyLimit');
  if (limit === undefined) return DEFAULT_HISTORY;
  const isWhole = typeof limit === 'number' && Number.isInteger(limit);
  if (isWhole && limit >= 0 && limit <= LONGEST_HISTORY) return limit;
  const rule = `must be a whole number of runs, 0 to ${LONGEST_HISTORY}`;
  reader.fault('historyLimit', limit, rule, `use ${DEFAULT_HISTORY}, or 0 to record none`);
  return DEFAULT_HISTORY;
}

function readOnMissed(reader: OptionReader, owner: object | undefined): JobDefinition['onMissed'] {
  const onMissed = reader.get('onMissed');
  if (onMissed === undefined) return null;
  const fault = workFault(onMissed);
  if (fault === undefined) {
    const call = onMissed as (report: MissedReport) => unknown;
    return (report) => runToEnd(Reflect.apply(call, owner, [report]));
  }
  reader.fault('onMissed', onMissed, fault.rule, fault.fix);
  return null;
}

/** Each with the place where it was written. */
export function faultsOf(reader: OptionReader, place: string): OptionFault[] {
  try {
    reader.check();
    return [];
  } catch (error) {
    if (!(error instanceof LeaderElectionOptionsError)) throw error;
    return error.faults.map((fault) => ({ ...fault, field: `${place}: ${fault.field}` }));
  }
}
