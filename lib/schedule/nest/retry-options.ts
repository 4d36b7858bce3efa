import { LONGEST_TIMER_MS } from '../../core/clock.js';
import type { OptionReader } from '../../core/option-reader.js';
import { retriesWithin, type RetryPolicy, totalBackoffMs } from '../tick/back-off.js';

/** How a run that has failed is tried again. */
export interface RetryOptions {
  /**
   * How many attempts follow the first, 0 to 100.
   * @example
   * limit: 3
   */
  readonly limit: number;
  /**
   * Milliseconds from the end of the first attempt until the second may start. Doubled before each further attempt, up to
   * six minutes, or this if it is more.
   * @default 10_000
   * @example
   * limit: 3, backoffMs: 60_000
   */
  readonly backoffMs?: number;
}

const DEFAULT_BACKOFF_MS = 10_000;
const MOST_RETRIES = 100;
const NONE: RetryPolicy = { limit: 0, backoffMs: DEFAULT_BACKOFF_MS };

/** `deadlineSeconds` null: none is set. */
export function readRetries(reader: OptionReader, deadlineSeconds: number | null): RetryPolicy {
  const written = reader.get('retries') ?? 0;
  if (typeof written === 'number') {
    const limit = readLimit(reader, 'retries', written);
    return fitting(reader, { ...NONE, limit }, deadlineSeconds);
  }
  if (typeof written !== 'object' || Array.isArray(written)) {
    const rule = 'must be a number of retries, or an object with a limit';
    reader.fault('retries', written, rule, 'use 3, or { limit: 3, backoffMs: 10000 }');
    return NONE;
  }
  const {
    limit: most,
    backoffMs = DEFAULT_BACKOFF_MS,
    ...others
  } = written as Record<string, unknown>;
  for (const [field, value] of Object.entries(others)) {
    const fix = 'remove it or use one of limit, backoffMs';
    reader.fault(`retries.${field}`, value, 'is not an option', fix);
  }
  const before = reader.faultCount;
  const limit = readLimit(reader, 'retries.limit', most);
  if (!isWhole(backoffMs, 1, LONGEST_TIMER_MS)) {
    const rule = `must be a whole number of milliseconds, 1 to ${LONGEST_TIMER_MS}`;
    reader.fault('retries.backoffMs', backoffMs, rule, `use ${DEFAULT_BACKOFF_MS}`);
  }
  if (reader.faultCount > before) return NONE;
  return fitting(reader, { limit, backoffMs: backoffMs as number }, deadlineSeconds);
}

function readLimit(reader: OptionReader, field: string, limit: unknown): number {
  if (isWhole(limit, 0, MOST_RETRIES)) return limit;
  const rule = `must be a whole number of retries, 0 to ${MOST_RETRIES}`;
  reader.fault(field, limit, rule, 'use for example 3, or 0 for none');
  return 0;
}

/** No attempt starts after the deadline, so the last ones could never start. */
function fitting(
  reader: OptionReader,
  policy: RetryPolicy,
  deadlineSeconds: number | null,
): RetryPolicy {
  if (deadlineSeconds === null) return policy;
  const total = totalBackoffMs(policy);
  if (total <= deadlineSeconds * 1_000) return policy;
  const most = retriesWithin(policy, deadlineSeconds * 1_000);
  const rule =
    `must fit into startingDeadlineSeconds, ${deadlineSeconds}, after which no attempt starts: ` +
    `the pauses between so many attempts alone take ${total} ms`;
  const fewer = most === 0 ? 'leave it out' : `use ${JSON.stringify({ ...policy, limit: most })}`;
  const fix = `${fewer}, a smaller backoffMs, or startingDeadlineSeconds: ${Math.ceil(total / 1_000)} or more`;
  reader.fault('retries', policy, rule, fix);
  return NONE;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
