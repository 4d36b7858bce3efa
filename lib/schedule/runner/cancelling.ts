import { type CancelledRuns, RunCancel, type RunCancelRequest } from '../ledger/cancel-changes.js';
import type { ActiveRun, RunCancellation } from '../ledger/job-record.js';
import type { JobRun, RunWaiter } from './job-run.js';
import type { Job } from './job.js';

/**
 * The outcome of `cancel()`. `none`: no run was active. `ended`: all runs that were active have ended, or are given up.
 * `asked`: the request is stored, and at least one of them has not ended yet.
 */
export type CancelResult = 'none' | 'ended' | 'asked';

export interface CancelOrder extends Pick<RunCancellation, 'by' | 'reason'> {
  /** How long the end of the runs is awaited. */
  readonly waitMs: number;
}

/** Pause between reads while the end of runs of other processes is awaited. */
const LOOK_MS = 1_000;

/**
 * Cancels the runs of a job that are active now, in whichever process. Those of this one end at once. Undefined: whether
 * it is stored for the others is not known.
 */
export async function cancelRuns(
  job: Job,
  { by, reason, waitMs }: CancelOrder,
  caller: RunWaiter | undefined,
): Promise<CancelResult | undefined> {
  const { clock, observer, leadership } = job.environment;
  const until = clock.now() + waitMs;
  const cancellation = { at: job.now(), by, reason };
  const begun = new Set(job.active.ids);
  // A tick that has waited for one of them may start at once, and is not meant.
  const isCandidate = (id: string): boolean => begun.has(id) || !job.active.ids.includes(id);
  const ended = job.endRuns(cancellation);
  const change = new RunCancel({
    job: job.name,
    cancellation,
    isCandidate,
    leader: leaderOf(job),
  });
  const stored = await readAndSubmit(job, change);
  if (stored === undefined) return undefined;
  for (const retry of stored.dropped) {
    observer.onDropped(job.name, retry, 'cancelled', leadership.term);
  }
  // A run whose claim was under way before may have begun.
  job.obeyCancellations();
  job.active.freed();
  if (stored.found === 0 && ended.length === 0) return 'none';
  return (await areOverBy(until, job, { ended, stored, change, caller })) ? 'ended' : 'asked';
}

/** Given up when the job is removed: the runs of one that is added again under its name would be unknown to this one. */
async function readAndSubmit(job: Job, change: RunCancel): Promise<CancelledRuns | undefined> {
  if (!(await job.read()) || job.isStopped) return undefined;
  const stored = await job.submit(change, job.stopped);
  return stored.kind === 'settled' ? stored.result : undefined;
}

/** What it knows of runs that can no longer be under way. */
function leaderOf(job: Job): RunCancelRequest['leader'] {
  const { term } = job.environment.leadership;
  if (term === undefined) return null;
  const isOver = (run: ActiveRun): boolean => job.active.isOver(run, term);
  return { isOver, now: job.now(), historyLimit: job.definition.historyLimit };
}

interface Awaited {
  /** Those of this process that have been told to end. */
  readonly ended: readonly string[];
  readonly stored: CancelledRuns;
  readonly change: RunCancel;
  readonly caller: RunWaiter | undefined;
}

async function areOverBy(
  until: number,
  job: Job,
  { ended, stored, change, caller }: Awaited,
): Promise<boolean> {
  const { clock } = job.environment;
  const isElsewhere = (id: string): boolean => job.active.owned([id]).length === 0;
  const runs = [...ended, ...stored.active];
  let others = stored.active.filter(isElsewhere);
  for (;;) {
    const own = job.active.owned(runs);
    if (own.length === 0 && others.length === 0) return true;
    const leftMs = until - clock.now();
    // A handler that cancels its own run would wait for itself.
    if (leftMs <= 0 || job.isStopped || waitsFor(caller, own)) return false;
    if (others.length === 0) await job.active.idleWithin(leftMs, own, caller);
    else {
      await new Promise<void>((go) => void clock.setTimer(go, Math.min(LOOK_MS, leftMs)));
      const now = await readAndSubmit(job, change);
      others = now?.active.filter(isElsewhere) ?? others;
    }
  }
}

function waitsFor(caller: RunWaiter | undefined, runs: readonly JobRun[]): boolean {
  return caller !== undefined && runs.some(({ waiter }) => waiter.needs(caller));
}
