import type { JobRecord, PendingRetry, UntoldReport } from './job-record.js';

/** Beyond this a failure is final: the runs of a job that fails under `Allow` must not fill the object. */
const MOST_PENDING = 20;

/** The record with one more attempt that is to start; unchanged if too many are already. */
export function withRetry(record: JobRecord, retry: PendingRetry): JobRecord {
  if (record.retries.length >= MOST_PENDING) return record;
  return { ...withoutRetry(record, retry), retries: [...record.retries, retry] };
}

export function isSameAttempt(one: PendingRetry, other: PendingRetry): boolean {
  return one.scheduledTime === other.scheduledTime && one.attempt === other.attempt;
}

export function isTooLate({ notAfter }: PendingRetry, now: number): boolean {
  return notAfter !== null && now > notAfter;
}

export function withoutRetry(record: JobRecord, retry: PendingRetry): JobRecord {
  return { ...record, retries: record.retries.filter((each) => !isSameAttempt(each, retry)) };
}

/**
 * The record without some of the attempts that are to start. The failures before them are final; ticks of which no
 * attempt has ended are stored to be reported as interrupted.
 */
export function withoutRetries(record: JobRecord, dropped: readonly PendingRetry[]): JobRecord {
  const reports = dropped.filter(({ isRerun }) => isRerun).map(interruptionOf);
  return {
    ...dropped.reduce(withoutRetry, record),
    untold: [...record.untold, ...reports],
  };
}

/** An attempt is dropped once, so the name of its report is unique among those of its job. */
function interruptionOf({ scheduledTime, attempt }: PendingRetry): UntoldReport {
  const id = `${scheduledTime}/${attempt}/interrupted`;
  return { id, reason: 'interrupted', times: [scheduledTime], isCapped: false };
}

/** The record with an attempt that is to start, and without the run that had claimed it. */
export function withRetryReturned(record: JobRecord, retry: PendingRetry, run: string): JobRecord {
  const active = record.active.filter(({ id }) => id !== run);
  const returned = [...retry.returned, run];
  const open = withoutRetry(record, retry);
  return { ...open, active, retries: [...open.retries, { ...retry, returned }] };
}
