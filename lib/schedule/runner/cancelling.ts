import { RunCancel, type RunCancelRequest } from '../ledger/cancel-changes.js';
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
  const { clock } = job.environment;
  const until = clock.now() + waitMs;
  const cancellation = { at: job.now(), by, reason };
  const own = job.endRuns(cancellation);
  if (!(await job.read())) return undefined;
  const runs = [...new Set([...own, ...(job.record?.active ?? []).map(({ id }) => id)])];
  if (runs.length === 0) return 'none';
  const stored = await job.submit(
    new RunCancel({ job: job.name, runs, cancellation, leader: leaderOf(job) }),
  );
  if (stored.kind === 'unresolved') return undefined;
  // A run whose claim was under way before may have begun.
  job.obeyCancellations();
  return (await isOverBy(until, job, { runs, caller })) ? 'ended' : 'asked';
}

/** What it knows of runs that can no longer be under way. */
function leaderOf(job: Job): RunCancelRequest['leader'] {
  const { term } = job.environment.leadership;
  if (term === undefined) return null;
  const isOver = (run: ActiveRun): boolean => job.active.isOver(run, term);
  return { isOver, now: job.now(), historyLimit: job.definition.historyLimit };
}

interface Awaited {
  readonly runs: readonly string[];
  readonly caller: RunWaiter | undefined;
}

async function isOverBy(until: number, job: Job, { runs, caller }: Awaited): Promise<boolean> {
  const { clock } = job.environment;
  for (;;) {
    const own = job.active.owned(runs);
    const others = (job.record?.active ?? []).filter(
      ({ id }) => runs.includes(id) && !own.some(({ record }) => record.id === id),
    );
    if (own.length === 0 && others.length === 0) return true;
    const leftMs = until - clock.now();
    // A handler that cancels its own run would wait for itself.
    if (leftMs <= 0 || job.isStopped || waitsFor(caller, own)) return false;
    if (others.length === 0) await job.active.idleWithin(leftMs, own, caller);
    else {
      await new Promise<void>((go) => void clock.setTimer(go, Math.min(LOOK_MS, leftMs)));
      await job.read();
    }
  }
}

function waitsFor(caller: RunWaiter | undefined, runs: readonly JobRun[]): boolean {
  return caller !== undefined && runs.some(({ waiter }) => waiter.needs(caller));
}
