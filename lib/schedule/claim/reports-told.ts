import type { JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/** Removes reports that have been told. Whoever leads: no other leader has to tell them again. */
export class ReportsTold implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly told: readonly string[],
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const untold = record?.untold.filter(({ claim }) => !this.told.includes(claim));
    if (record === undefined || untold?.length === record.untold.length) {
      return { kind: 'settled', result: undefined };
    }
    return { kind: 'write', record: { ...record, untold: untold! } };
  }
}
