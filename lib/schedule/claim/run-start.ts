import type { ActiveRun, JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/** Makes a run that belongs to no tick known, so that `Forbid` and people see it. True once it is. */
export class RunStart implements LedgerChange<boolean> {
  constructor(
    readonly job: string,
    private readonly run: ActiveRun,
  ) {}

  decide(record: JobRecord | undefined): Verdict<boolean> {
    if (record === undefined) return { kind: 'settled', result: false };
    const isKnown = record.active.some(({ run }) => run === this.run.run);
    if (isKnown) return { kind: 'settled', result: true };
    return { kind: 'write', record: { ...record, active: [...record.active, this.run] } };
  }
}
