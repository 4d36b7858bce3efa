import type { JobRecord } from '../schedule/ledger/job-record.js';
import type { RecordedSchedules } from '../schedule/tick/recorded-schedule.js';
import type { JobView } from './dashboard-view.js';
import type { BuiltView } from './role-view.js';

export interface JobPlace {
  readonly role: string;
  readonly job: string;
  readonly at: number;
  /** This process would not start its ticks: as its options say `suspend: true`, unless the fleet was asked for it. */
  readonly isSuspendedHere: boolean;
}

/** @param record undefined: it cannot be read */
export function jobView(
  place: JobPlace,
  record: JobRecord | undefined,
  schedules: RecordedSchedules,
): BuiltView<JobView> {
  const view = record === undefined ? unreadable(place) : readable(place, record, schedules);
  return { view, facts: JSON.stringify({ ...view, at: 0 }) };
}

function readable(
  { role, job, at, isSuspendedHere }: JobPlace,
  record: JobRecord,
  schedules: RecordedSchedules,
): JobView {
  const { fleetSwitch, lastFailed, unknownSince } = record;
  const isSuspended = fleetSwitch === null ? isSuspendedHere : fleetSwitch.isSuspended;
  const schedule = isSuspended ? undefined : schedules.of(record.schedule);
  const nextTick = schedule?.next(at) ?? null;
  const afterThat = nextTick === null ? null : (schedule?.next(nextTick) ?? null);
  const isKnown = unknownSince === null;
  return {
    role,
    job,
    at,
    isReadable: true,
    schedule: record.schedule,
    state: isSuspended ? 'suspended' : isKnown ? 'scheduled' : 'unknown-to-leader',
    suspension:
      fleetSwitch?.isSuspended === true
        ? { by: fleetSwitch.by, at: fleetSwitch.at, reason: fleetSwitch.reason }
        : null,
    nextTick,
    intervalMs: nextTick === null || afterThat === null ? null : afterThat - nextTick,
    lastTick: record.lastScheduleTime,
    lastSuccess: record.lastSuccessfulTime,
    lastFailure: lastFailed === null ? null : { at: lastFailed.at, reason: lastFailed.reason },
    missedCount: record.missedCount,
    lastMissed: record.lastMissedTime,
    active: record.active.map((run) => ({
      run: run.id,
      scheduledTime: run.scheduledTime,
      startedAt: run.startedAt,
      holder: run.holderIdentity,
      isTriggered: run.isTriggered === true,
      isCancelled: run.cancellation !== undefined,
    })),
    history: record.history.map((run) => ({
      scheduledTime: run.scheduledTime,
      startedAt: run.startedAt,
      endedAt: run.endedAt,
      holder: run.holderIdentity,
      term: run.term,
      outcome: run.outcome,
      reason: run.reason,
      isTriggered: run.isTriggered === true,
      attempt: run.attempt ?? 1,
    })),
  };
}

function unreadable({ role, job, at }: JobPlace): JobView {
  return {
    role,
    job,
    at,
    isReadable: false,
    schedule: '',
    state: 'scheduled',
    suspension: null,
    nextTick: null,
    intervalMs: null,
    lastTick: null,
    lastSuccess: null,
    lastFailure: null,
    missedCount: 0,
    lastMissed: null,
    active: [],
    history: [],
  };
}

/** What has become of a job since it was last looked at. */
export interface JobChange {
  readonly tone: 'plain' | 'good' | 'warning';
  readonly text: string;
}

export function jobChanges(
  job: string,
  before: JobRecord | undefined,
  after: JobRecord | undefined,
): readonly JobChange[] {
  if (before === undefined || after === undefined) return [];
  const changes: JobChange[] = [];
  const missed = after.missedCount - before.missedCount;
  if (missed > 0) {
    const last = after.lastMissedTime;
    const what = missed === 1 ? 'a tick' : `${missed} ticks`;
    const when = last === null ? '' : `, the last one due at ${new Date(last).toISOString()}`;
    changes.push({ tone: 'warning', text: `job "${job}" missed ${what}${when}` });
  }
  const { fleetSwitch } = after;
  if (fleetSwitch !== null && fleetSwitch.at !== before.fleetSwitch?.at) {
    const { isSuspended, by, reason } = fleetSwitch;
    const done = isSuspended ? 'suspended' : 'resumed';
    const why = reason === '' ? '' : `: ${reason}`;
    const tone = isSuspended ? 'warning' : 'good';
    changes.push({ tone, text: `job "${job}" was ${done} by ${by}${why}` });
  }
  return changes;
}
