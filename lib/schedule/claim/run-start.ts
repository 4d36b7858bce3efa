import { NEVER_RUN, type ActiveRun, type JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

/**
 * Makes a run that belongs to no tick known, so that `Forbid` and people see it. A job that the fleet has not seen
 * begins with it: no tick before it was missed.
 */
export class RunStart implements LedgerChange<void> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    private readonly schedule: string,
    private readonly run: ActiveRun,
  ) {
    this.beginning = run.run;
  }

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    const { schedule, run } = this;
    if (record?.active.some((active) => active.run === run.run)) {
      return { kind: 'settled', result: undefined };
    }
    const accountedThrough = Math.max(run.startedAt, accountedBefore);
    const known = record ?? { ...NEVER_RUN, schedule, accountedThrough, claim: '' };
    return {
      kind: 'write',
      record: { ...known, active: [...known.active, { ...run, isTriggered: true }] },
    };
  }
}
