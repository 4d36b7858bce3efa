import { type Handover, HANDOVER_KINDS, type HandoverKind } from './handover.js';
import { type Fates, jobViolations } from './job-check.js';
import { judgeOnce, type OnceTotals } from './once-check.js';
import { accountOf, JobHistory, type TickAccount, type TickHistory } from './tick-history.js';
import { dueAt, historyLimitOf, JOB_KINDS, type JobKind, type TickJob } from './tick-jobs.js';
import { judgeTriggers, type RequestedRun, type TriggerTotals } from './trigger-check.js';
import { ONCE_KEYS, type OnceKey } from './tick-replica-settings.js';

/** What one fleet has done: an application of its own, so that the same second is another tick in another fleet. */
export interface FleetOutcome {
  readonly name: string;
  readonly jobs: readonly TickJob[];
  readonly history: TickHistory;
  readonly handovers: readonly Handover[];
  /** Each tick up to this one had the time to be accounted for; undefined if the run broke off. */
  readonly settledTick: number | undefined;
  readonly fates: Fates;
  readonly requestedRuns: readonly RequestedRun[];
  readonly failure: string | undefined;
}

interface TickTotals {
  readonly ticks: number;
  readonly started: number;
  readonly runs: number;
  readonly caughtUp: number;
  readonly reported: number;
  readonly doubled: number;
  readonly unaccounted: number;
}

interface HandoverTotals extends TickTotals {
  readonly handovers: number;
}

interface JobTotals extends TickTotals {
  /** How often that has happened which the jobs are there to show: see {@link SHOWN_BY}. */
  readonly shown: number;
}

export interface LockTotals {
  /** Of the plain jobs: the ticks that fell into handovers of a kind. */
  readonly handovers: Partial<Record<HandoverKind, HandoverTotals>>;
  /** All ticks of all jobs of a kind. */
  readonly jobs: Readonly<Record<JobKind, JobTotals>>;
  readonly once: Readonly<Record<OnceKey, OnceTotals>>;
  readonly requested: TriggerTotals;
  /** How often leadership was taken up, at the start and unasked for too. */
  readonly grants: number;
  /** Of the plain jobs. */
  readonly latenessMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly violations: readonly string[];
  /** What never happened, so that nothing is shown of it. */
  readonly notShown: readonly string[];
}

interface Show {
  readonly what: string;
  readonly count: (job: TickJob, history: JobHistory) => number;
}

/** What has to happen to a kind of job, or it shows nothing. */
export const SHOWN_BY: Readonly<Record<JobKind, Show>> = {
  plain: {
    what: 'ticks caught up',
    count: (_job, { starts }) => starts.filter(({ caughtUp }) => caughtUp).length,
  },
  jitterMs: {
    what: 'ticks later than their second',
    count: (job, { starts }) => starts.filter(({ tick }) => dueAt(job, tick) > tick * 1_000).length,
  },
  'missed all': {
    what: 'ticks caught up before the latest',
    count: (_job, { starts }) => {
      const caughtUp = starts.filter((start) => start.caughtUp);
      return caughtUp.filter((start, index) => {
        const next = caughtUp[index + 1];
        return next?.tick === start.tick + 1 && next.name === start.name;
      }).length;
    },
  },
  suspend: {
    what: 'suspensions of the fleet',
    count: (_job, { suspensions }) =>
      suspensions.filter(({ from, until }) => until - from >= 1_000).length,
  },
  historyLimit: {
    what: 'jobs whose record was full',
    count: (job, { recorded }) => (recorded?.length === historyLimitOf(job) ? 1 : 0),
  },
  retries: {
    what: 'attempts after a failure',
    count: (_job, { starts }) => starts.filter(({ attempt }) => attempt > 1).length,
  },
  rerun: {
    what: 'attempts after an interruption',
    count: (_job, { starts }) => starts.filter(({ attempt }) => attempt > 1).length,
  },
  cancel: {
    what: 'runs cancelled through another replica',
    count: (_job, { starts, ends, cancellations }) =>
      ends
        .filter(({ isCancelled }) => isCancelled)
        .filter(({ name, tick, at }) => {
          const startedAt = starts.find((start) => start.name === name && start.tick === tick)?.at;
          return !cancellations.some(
            (each) => each.name === name && each.askedAt >= startedAt! && each.askedAt <= at,
          );
        }).length,
  },
};

/** The sums over all fleets, and what must not have been. */
export function totalsOf(outcomes: readonly FleetOutcome[]): LockTotals {
  const violations: string[] = [];
  const once = outcomes.map(({ name, history }) => {
    const { totals, violations: broken } = judgeOnce(history);
    violations.push(...broken.map((violation) => `${name}, ${violation}`));
    return totals;
  });
  const requested = outcomes.map(({ name, history, requestedRuns }) => {
    const { totals, violations: broken } = judgeTriggers(history, requestedRuns);
    violations.push(...broken.map((violation) => `${name}, ${violation}`));
    return totals;
  });
  const requestedTotals = sumOf(requested);
  for (const outcome of outcomes) {
    const { name, settledTick, fates, failure } = outcome;
    for (const { job, history } of jobsOf(outcome)) {
      const broken = jobViolations(job, history, settledTick, fates);
      violations.push(...broken.map((violation) => `${name}, ${violation}`));
    }
    if (failure !== undefined) violations.push(failure);
  }
  violations.push(...outcomes.flatMap(missedGracefully));
  const jobs = Object.fromEntries(
    JOB_KINDS.map((kind) => [kind, jobTotals(outcomes, kind)]),
  ) as Record<JobKind, JobTotals>;
  const onceTotals = Object.fromEntries(
    ONCE_KEYS.map((key) => [key, sumOf(once.map((totals) => totals[key]))]),
  ) as unknown as Record<OnceKey, OnceTotals>;
  return {
    handovers: handoverTotals(outcomes),
    jobs,
    once: onceTotals,
    requested: requestedTotals,
    grants: outcomes.reduce((total, { history }) => total + history.grants, 0),
    latenessMs: quantiles(
      outcomes
        .flatMap((outcome) => jobsOf(outcome, 'plain'))
        .flatMap(({ history }) => history.starts.map(({ lateMs }) => lateMs)),
    ),
    violations,
    notShown: [
      ...JOB_KINDS.filter((kind) => jobs[kind].shown === 0).map(
        (kind) => `${kind}: no ${SHOWN_BY[kind].what}`,
      ),
      ...(onceTotals.fail.interrupted === 0 ? ['once, fail: no version interrupted'] : []),
      ...(requestedTotals.runs === 0 ? ['requests: no run was asked for and started'] : []),
      ...(onceTotals.rerun.rerun === 0 ? ['once, rerun: no version run again'] : []),
    ],
  };
}

interface JobOfFleet {
  readonly job: TickJob;
  readonly history: JobHistory;
}

function jobsOf({ jobs, history }: FleetOutcome, kind?: JobKind): JobOfFleet[] {
  return jobs
    .filter((job) => kind === undefined || job.kind === kind)
    .map((job) => ({ job, history: history.jobs.get(job.name) ?? new JobHistory(job.name) }));
}

function jobTotals(outcomes: readonly FleetOutcome[], kind: JobKind): JobTotals {
  const wholes = outcomes.flatMap((outcome) =>
    jobsOf(outcome, kind).map(({ history }) => {
      const { firstTick, lastTick } = history;
      return accountOf(history, firstTick - 1, outcome.settledTick ?? lastTick);
    }),
  );
  const shown = outcomes
    .flatMap((outcome) => jobsOf(outcome, kind))
    .reduce((total, { job, history }) => total + SHOWN_BY[kind].count(job, history), 0);
  return { ...ticksOf(wholes), shown };
}

function handoverTotals(outcomes: readonly FleetOutcome[]): LockTotals['handovers'] {
  const totals: Partial<Record<HandoverKind, HandoverTotals>> = {};
  for (const kind of HANDOVER_KINDS) {
    const handovers = outcomes.flatMap((outcome) =>
      outcome.handovers
        .filter((handover) => handover.kind === kind)
        .map(({ from, until }) =>
          jobsOf(outcome, 'plain').map(({ history }) => accountOf(history, from, until)),
        ),
    );
    if (handovers.length === 0) continue;
    totals[kind] = { handovers: handovers.length, ...ticksOf(handovers.flat()) };
  }
  return totals;
}

/**
 * Of the plain jobs. Reporting a tick helps only where no replica could start it in its turn: all of them looked after the
 * next tick was due, which by the default takes its place.
 */
function missedGracefully(outcome: FleetOutcome): string[] {
  return outcome.handovers
    .filter(({ kind }) => kind === 'graceful')
    .flatMap(({ from, until }) =>
      jobsOf(outcome, 'plain').flatMap(({ job, history }) => {
        const place = `${outcome.name}, ${job.name}, graceful in (${from}, ${until}]`;
        return missedInTheirTurn(job, history)
          .filter(({ tick }) => tick > from && tick <= until)
          .map(({ tick, lateMs }) => `${place}: ${tick} missed, as was said ${lateMs} ms after it`);
      }),
    );
}

function missedInTheirTurn(job: TickJob, history: JobHistory): { tick: number; lateMs: number }[] {
  const started = history.startsByTick;
  return [...history.reports].flatMap(([tick, reports]) => {
    if (started.has(tick)) return [];
    const reportedAt = Math.min(...reports.map(({ at }) => at));
    return reportedAt < dueAt(job, tick + 1) ? [{ tick, lateMs: reportedAt - tick * 1_000 }] : [];
  });
}

function ticksOf(accounts: readonly TickAccount[]): TickTotals {
  return sumOf(
    accounts.map(({ doubled, unaccounted, ...counts }) => ({
      ...counts,
      doubled: doubled.length,
      unaccounted: unaccounted.length,
    })),
    { ticks: 0, started: 0, runs: 0, caughtUp: 0, reported: 0, doubled: 0, unaccounted: 0 },
  );
}

function sumOf<T extends object>(parts: readonly T[], nothing = {} as T): T {
  const total = { ...nothing } as Record<string, number>;
  for (const part of parts) {
    for (const [key, value] of Object.entries(part) as [string, number][]) {
      total[key] = (total[key] ?? 0) + value;
    }
  }
  return total as T;
}

function quantiles(values: readonly number[]): LockTotals['latenessMs'] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
