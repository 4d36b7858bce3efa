import type { JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

export interface EndedRun {
  readonly run: string;
  readonly scheduledTime: number;
  readonly endedAt: number;
  /** Null: it succeeded. */
  readonly failure: string | null;
}

/**
 * Records how a run ended. Not to be among the active ones is no proof that it is recorded: a version that was read
 * late may be older than the claim. A failure that a later leader has already put down stays as that leader put it.
 */
export class RunEnd implements LedgerChange<void> {
  constructor(
    readonly job: string,
    readonly ending: EndedRun,
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    if (record === undefined || !lacksEnd(record, this.ending)) {
      return { kind: 'settled', result: undefined };
    }
    return { kind: 'write', record: withEnd(record, this.ending) };
  }
}

export function lacksEnd(record: JobRecord, { run, ...ended }: EndedRun): boolean {
  if (record.active.some((active) => active.run === run)) return true;
  if (ended.failure === null) return (record.lastSuccessfulTime ?? -Infinity) < ended.endedAt;
  const { lastFailed } = record;
  if (lastFailed === null) return true;
  return lastFailed.scheduledTime !== ended.scheduledTime && lastFailed.at < ended.endedAt;
}

export function withEnd(record: JobRecord, ended: EndedRun): JobRecord {
  const { run, scheduledTime, endedAt, failure } = ended;
  return {
    ...record,
    // Whoever made the claim has heard of it, and the record of a quiet job is the smaller.
    claim: record.claim === run ? '' : record.claim,
    active: record.active.filter((active) => active.run !== run),
    ...(failure === null
      ? { lastSuccessfulTime: Math.max(endedAt, record.lastSuccessfulTime ?? endedAt) }
      : { lastFailed: { scheduledTime, at: endedAt, reason: failure } }),
  };
}
