import { NEVER_RUN, type ActiveRun, type JobRecord } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-change.js';

export interface AdoptionRequest {
  readonly job: string;
  readonly schedule: string;
  /** True if ticks of a record under that schedule are those of the job, however it is written. */
  readonly continues: (schedule: string) => boolean;
  readonly now: number;
  /** True for a run that cannot be under way any more, as the lease of its term has gone. */
  readonly isOver: (run: ActiveRun) => boolean;
}

/** True if a leader has something to write before it schedules by this record. */
export function needsAdoption(
  record: JobRecord | undefined,
  { continues, isOver }: AdoptionRequest,
): boolean {
  if (record === undefined || !continues(record.schedule)) return true;
  if (record.unknownSince !== null || record.isRecalled === true) return true;
  return record.active.some(isOver);
}

/**
 * What a leader does with a job before it schedules it. A job that the fleet has not seen, or that got another
 * schedule, begins now: nothing of it was missed before. Runs of leaders that are gone are given up, and stored to be
 * told, triggered ones excepted, as they belong to no tick; the mark of a leader that did not know the job is removed.
 */
export class JobAdoption implements LedgerChange<void> {
  readonly job: string;

  constructor(private readonly request: AdoptionRequest) {
    this.job = request.job;
  }

  decide(record: JobRecord | undefined, accountedBefore = -Infinity): Verdict<void> {
    const { schedule, continues, now, isOver } = this.request;
    if (record !== undefined && !needsAdoption(record, this.request)) {
      return { kind: 'settled', result: undefined };
    }
    const begun = { schedule, accountedThrough: Math.max(now, accountedBefore), claim: '' };
    const known = record ?? { ...NEVER_RUN, ...begun };
    const isSame = continues(known.schedule);
    const over = known.active.filter(isOver);
    const { untold } = known;
    const missed = over.filter(({ isTriggered }) => isTriggered !== true);
    return {
      kind: 'write',
      record: {
        ...known,
        schedule: isSame ? known.schedule : schedule,
        accountedThrough: isSame ? known.accountedThrough : Math.max(known.accountedThrough, now),
        active: known.active.filter((run) => !isOver(run)),
        unknownSince: null,
        untold: missed.length === 0 ? untold : [...untold, interruption(missed)],
        ...(over.length > 0 && { lastFailed: failureOf(over.at(-1)!, now) }),
      },
    };
  }
}

/** Called after a run, which is given up only once: a change that is written twice does not give up the same ones. */
function interruption(over: readonly ActiveRun[]): JobRecord['untold'][number] {
  const claim = `${over.at(-1)!.run}/interrupted`;
  const times = over.map(({ scheduledTime }) => scheduledTime).toSorted((a, b) => a - b);
  return { claim, reason: 'interrupted', times, isCapped: false };
}

function failureOf({ scheduledTime, holderIdentity, term }: ActiveRun, at: number) {
  return { scheduledTime, at, reason: `interrupted: ${holderIdentity} ended in term ${term}` };
}
