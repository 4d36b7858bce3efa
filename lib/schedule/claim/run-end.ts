import type { JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

export interface EndedRun {
  readonly run: string;
  readonly scheduledTime: number;
  readonly endedAt: number;
  /** Null: it succeeded. */
  readonly failure: string | null;
}

/** Records how a run ended. One that a later leader has already given up stays as that leader recorded it. */
export class RunEnd implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly ended: EndedRun,
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const { run, scheduledTime, endedAt, failure } = this.ended;
    const isActive = record?.active.some((active) => active.run === run);
    if (record === undefined || !isActive) return { kind: 'settled', result: undefined };
    return {
      kind: 'write',
      record: {
        ...record,
        active: record.active.filter((active) => active.run !== run),
        ...(failure === null
          ? { lastSuccessfulTime: Math.max(endedAt, record.lastSuccessfulTime ?? endedAt) }
          : { lastFailed: { scheduledTime, at: endedAt, reason: failure } }),
      },
    };
  }
}
