import type { JobRecord, TriggerState } from './job-record.js';

/** What has become of the run that was asked for last, if it is this one: to be spread over the record. */
export function answerOf(
  { triggered }: JobRecord,
  run: string,
  state: TriggerState,
  why = '',
): Pick<JobRecord, 'triggered'> {
  if (triggered === undefined || triggered.run !== run) return {};
  return { triggered: { ...triggered, state, refused: state === 'not-started' ? why : '' } };
}
