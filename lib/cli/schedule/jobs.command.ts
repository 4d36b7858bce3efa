import type { JobRecord } from '../../schedule/ledger/job-record.js';
import { recordedSchedule } from '../../schedule/tick/recorded-schedule.js';
import { type Command, EXIT } from '../command.js';
import { CONNECTION_OPTIONS } from '../connection.js';
import { duration, table } from '../output.js';
import { withFleetJobs } from './fleet.js';

const TITLES = ['JOB', 'SCHEDULE', 'STATE', 'LAST', 'SUCCESS', 'ACTIVE', 'MISSED', 'NEXT'];

export const JOBS: Command = {
  name: 'jobs',
  summary: 'List the @LeaderCron jobs of a role, as the fleet has recorded them.',
  usage: '--lease NAME [options]',
  details:
    'LAST and SUCCESS say how long ago the last tick was and the last run succeeded. NEXT is in how long the next ' +
    'tick is due by the recorded schedule. Needs the verb get on the objects beside the lease.',
  options: CONNECTION_OPTIONS,
  run: (call) =>
    withFleetJobs(call, async (fleet) => {
      const jobs = [...(await fleet.list())].toSorted(([one], [other]) => (one < other ? -1 : 1));
      const now = Date.now();
      const { output } = call;
      output.result({ ok: true, jobs: jobs.map(([name, record]) => asJson(name, record, now)) });
      if (jobs.length === 0) {
        output.say('no job is recorded: none has been scheduled by a leader of this lease');
      } else {
        output.say(table([TITLES, ...jobs.map(([name, record]) => row(name, record, now))]));
        for (const [name, record] of jobs) for (const note of notes(name, record)) output.say(note);
      }
      return EXIT.done;
    }),
};

function row(name: string, record: JobRecord | undefined, now: number): string[] {
  if (record === undefined) return [name, '', 'unreadable'];
  const { lastScheduleTime, lastSuccessfulTime, active, missedCount } = record;
  const next = nextTick(record, now);
  return [
    name,
    record.schedule,
    isSuspendedByFleet(record) ? 'suspended' : record.unknownSince === null ? 'on' : 'unknown',
    ago(lastScheduleTime, now),
    ago(lastSuccessfulTime, now),
    String(active.length),
    String(missedCount),
    next === null ? '-' : `in ${duration(next - now)}`,
  ];
}

/** What has no room in the table. */
function notes(name: string, record: JobRecord | undefined): string[] {
  const { fleetSwitch, lastFailed } = record ?? {};
  const suspended =
    fleetSwitch?.isSuspended === true
      ? [`${name}: suspended by ${fleetSwitch.by} since ${time(fleetSwitch.at)}${why(fleetSwitch)}`]
      : [];
  const failed =
    lastFailed != null && lastFailed.at > (record?.lastSuccessfulTime ?? 0)
      ? [`${name}: failed last at ${time(lastFailed.at)}: ${lastFailed.reason}`]
      : [];
  const unknown =
    record !== undefined && record.unknownSince !== null
      ? [`${name}: the leader has not known it since ${time(record.unknownSince)}`]
      : [];
  return [...suspended, ...failed, ...unknown];
}

function why({ reason }: { readonly reason: string }): string {
  return reason === '' ? '' : `: ${reason}`;
}

function isSuspendedByFleet({ fleetSwitch }: JobRecord): boolean {
  return fleetSwitch?.isSuspended === true;
}

/** Null also where the schedule is one that this version cannot read. */
function nextTick(record: JobRecord, now: number): number | null {
  if (isSuspendedByFleet(record)) return null;
  return recordedSchedule(record.schedule)?.next(now) ?? null;
}

function ago(at: number | null, now: number): string {
  return at === null ? '-' : `${duration(Math.max(0, now - at))} ago`;
}

function time(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

function timeOrNull(at: number | null): string | null {
  return at === null ? null : time(at);
}

function asJson(name: string, record: JobRecord | undefined, now: number): object {
  if (record === undefined) return { name, isReadable: false };
  const { fleetSwitch, lastFailed, active, history, retries, triggered } = record;
  return {
    name,
    schedule: record.schedule,
    isSuspended: isSuspendedByFleet(record),
    suspension: fleetSwitch && {
      isSuspended: fleetSwitch.isSuspended,
      by: fleetSwitch.by,
      at: time(fleetSwitch.at),
      reason: fleetSwitch.reason,
    },
    lastScheduleTime: timeOrNull(record.lastScheduleTime),
    lastSuccessfulTime: timeOrNull(record.lastSuccessfulTime),
    lastFailed: lastFailed && { at: time(lastFailed.at), reason: lastFailed.reason },
    active: active.map(({ id, scheduledTime, startedAt, holderIdentity, term, cancellation }) => ({
      run: id,
      scheduledTime: time(scheduledTime),
      startedAt: time(startedAt),
      holderIdentity,
      term,
      isCancelled: cancellation !== undefined,
    })),
    retries: retries.length,
    missedCount: record.missedCount,
    lastMissedTime: timeOrNull(record.lastMissedTime),
    nextTick: timeOrNull(nextTick(record, now)),
    unknownSince: timeOrNull(record.unknownSince),
    history: history.map(({ scheduledTime, startedAt, endedAt, outcome, reason, isTriggered }) => ({
      scheduledTime: time(scheduledTime),
      startedAt: time(startedAt),
      endedAt: time(endedAt),
      outcome,
      reason,
      isTriggered: isTriggered === true,
    })),
    triggered: triggered && {
      at: time(triggered.at),
      by: triggered.by,
      state: triggered.state,
      run: triggered.run,
      refused: triggered.refused,
    },
  };
}
