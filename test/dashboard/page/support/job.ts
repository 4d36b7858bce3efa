import type { JobView } from '../../../../lib/dashboard/dashboard-view.js';

/** One that has not run yet. */
export function job(changes: Partial<JobView> = {}): JobView {
  return {
    role: 'plans',
    job: 'close-expired-plans',
    at: 0,
    isReadable: true,
    schedule: '* * * * *',
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
    ...changes,
  };
}

type Run = JobView['history'][number];

export function run(
  scheduledTime: number,
  length: number,
  outcome: Run['outcome'] = 'succeeded',
): Run {
  return {
    scheduledTime,
    startedAt: scheduledTime,
    endedAt: scheduledTime + length,
    holder: 'pod-1',
    term: 1,
    outcome,
    reason: '',
    isTriggered: false,
    attempt: 1,
  };
}
