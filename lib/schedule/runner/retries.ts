import { type ActiveRun, type JobRecord, type PendingRetry } from '../ledger/job-record.js';
import { isTooLate } from '../ledger/pending-retries.js';
import { backoffBefore } from '../tick/back-off.js';
import { lastStart } from '../tick/tick-schedule.js';
import type { JobDefinition } from './job-definition.js';

/** A tick whose runs are interrupted has so many attempts at most: a run may be what ends its process. */
const MOST_ATTEMPTS_OF_RERUNS = 4;

/** The attempt that follows one that has failed; undefined if it was the last one. */
export function retryAfter(
  { scheduledTime, attempt = 1, isTriggered }: ActiveRun,
  endedAt: number,
  definition: JobDefinition,
): PendingRetry | undefined {
  const { retries, startingDeadlineMs, schedule } = definition;
  if (isTriggered === true || attempt > retries.limit) return undefined;
  const next = attempt + 1;
  const notBefore = endedAt + backoffBefore(retries, next);
  const dueAt = (tick: number): number => schedule.dueAt(tick);
  const notAfter =
    startingDeadlineMs === null ? null : lastStart(scheduledTime, { dueAt, startingDeadlineMs });
  const pending = { scheduledTime, attempt: next, notBefore, notAfter };
  const retry: PendingRetry = { ...pending, isRerun: false, returned: [] };
  return isTooLate(retry, notBefore) ? undefined : retry;
}

/** The attempt that follows one whose process has gone; undefined if none does. No deadline ends what has begun. */
export function rerunAfter(
  { scheduledTime, attempt = 1, isTriggered, cancellation }: ActiveRun,
  now: number,
  { onInterrupted, retries }: JobDefinition,
): PendingRetry | undefined {
  if (onInterrupted === 'report' || isTriggered === true) return undefined;
  if (cancellation !== undefined) return undefined;
  if (attempt >= Math.max(MOST_ATTEMPTS_OF_RERUNS, retries.limit + 1)) return undefined;
  const next = { scheduledTime, attempt: attempt + 1, notBefore: now, notAfter: null };
  return { ...next, isRerun: true, returned: [] };
}

/** The attempt that has waited longest of those that may start by now. */
export function dueRetry({ retries }: JobRecord, now: number): PendingRetry | undefined {
  return retries
    .filter((retry) => retry.notBefore <= now && !isTooLate(retry, now))
    .toSorted((one, other) => one.notBefore - other.notBefore)[0];
}

/** When the next attempt may start, or is too late; Infinity if there is none. */
export function nextRetryAt({ retries }: JobRecord, now: number): number {
  const instants = retries.flatMap(({ notBefore, notAfter }) => [
    notBefore,
    notAfter === null ? Infinity : notAfter + 1,
  ]);
  return Math.min(Infinity, ...instants.filter((instant) => instant > now));
}
