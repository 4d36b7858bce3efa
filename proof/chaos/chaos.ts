import type { AuditEntry } from '../control-plane/audit-log.js';
import { NAMESPACE, SERVICE_ACCOUNT } from '../fleet/election-cluster.js';
import { checkApiHistory } from './api-history-check.js';
import type { ChaosOptions } from './chaos-options.js';
import type { ChaosReport } from './chaos-report.js';
import { ChaosRun } from './chaos-run.js';
import { ChaosWorld, LEASE_DURATION_MS } from './chaos-world.js';
import { checkHistory } from './history-check.js';
import { judgeHistories, type Judgement, obstacleToJudge } from './judge.js';
import { errorsWithin, leaderlessViolations } from './leaderless-check.js';
import { counted, leadershipFigures } from './leadership-changes.js';
import { RunDirectory } from './run-directory.js';

/** One run from beginning to end; whatever it started is gone when it is over. */
export async function chaos(options: ChaosOptions, interrupted: AbortSignal): Promise<ChaosReport> {
  // Before the run: its end is too late to learn that nobody can judge it.
  const noJudge = await obstacleToJudge();
  if (noJudge !== undefined && options.judge) throw new Error(noJudge);
  if (noJudge !== undefined) process.stderr.write(`no second judge: ${noJudge}\n`);
  const directory = new RunDirectory();
  try {
    const world = await ChaosWorld.start(options, directory);
    const run = new ChaosRun(options, world, directory.events, interrupted);
    let audited: AuditEntry[] = [];
    try {
      await run.complete();
    } finally {
      await world.fleet.close();
      audited = (await world.cluster?.auditLog()) ?? [];
      await world.stop();
    }
    const judgement = noJudge === undefined ? await judgeHistories(directory.path) : undefined;
    return judge(options, {
      directory,
      world,
      run,
      audited,
      judgement,
      interrupted: interrupted.aborted,
    });
  } finally {
    await directory.remove();
  }
}

/** Of one replica: renewals, claims and watches, what faults make of them, and the start of a process. */
const REQUESTS_IN_TEN_SECONDS = 80;

/** A lease, in strict mode two, and what a replica and a busy machine add. */
function leaderlessLimitMs({ strict }: ChaosOptions): number {
  return (strict ? 2 : 1) * LEASE_DURATION_MS + 5_000;
}

interface Outcome {
  readonly directory: RunDirectory;
  readonly world: ChaosWorld;
  readonly run: ChaosRun;
  readonly audited: readonly AuditEntry[];
  readonly judgement: Judgement | undefined;
  readonly interrupted: boolean;
}

function judge(
  options: ChaosOptions,
  { directory, world, run, audited, judgement, interrupted }: Outcome,
): ChaosReport {
  const { register, fleet, clockSteps } = world;
  const { injector } = run;
  const processes = fleet.processes.map(({ name }) => name);
  const histories = processes.map((name) => directory.history(name));
  const { accepted } = register;
  const verdict = checkHistory({ histories, accepted, termsMayRestart: options.strict });
  const beliefs = histories.flatMap((history) => history.beliefs);
  const api = checkApiHistory({
    entries: audited,
    replicas: `system:serviceaccount:${NAMESPACE}:${SERVICE_ACCOUNT}`,
    leaseName: world.cluster?.leaseName ?? '',
    budget: options.replicas * REQUESTS_IN_TEN_SECONDS,
  });
  const logged = histories.flatMap((history) => history.logged);
  const violations = [
    ...verdict.violations,
    ...api.violations,
    ...(run.time === undefined
      ? []
      : leaderlessViolations(beliefs, injector.injected, run.time, leaderlessLimitMs(options))),
    ...(run.healthyFailover === undefined ? [] : errorsWithin(run.healthyFailover, logged)),
    ...(verdict.ticks === 0 && !interrupted ? ['no tick was ever started'] : []),
    ...(judgement?.lock.violations ?? []).map((violation) => `second judge: ${violation}`),
    ...(judgement?.register.violations ?? []).map((violation) => `second judge: ${violation}`),
    ...(judgement?.requests.violations ?? []).map((violation) => `second judge: ${violation}`),
    ...run.complaints,
    ...fleet.complaints,
  ];
  const { json: _json, changes: _changes, judge: _judge, ...described } = options;
  const report: ChaosReport = {
    ...described,
    elapsedSeconds: Math.round(run.elapsedSeconds),
    interrupted,
    ...leadershipFigures(beliefs, injector.injected),
    overlaps: verdict.overlaps,
    tokensOutOfOrder: verdict.tokensOutOfOrder,
    ticks: verdict.ticks,
    doubleTicks: verdict.doubleTicks,
    processes: processes.length,
    faults: counted(injector.injected.map(({ kind }) => kind)),
    faultsMissed: injector.missed,
    wallClockStepsBy: clockSteps.library === undefined ? 'Date.now' : 'libfaketime',
    registerWrites: {
      accepted: accepted.reduce((sum, { count }) => sum + count, 0),
      refused: register.refusals,
    },
    leaderAfterHealingMs: run.leaderAfterHealingMs,
    leaderAfterCrashMs: run.leaderAfterCrashMs,
    secondJudge:
      judgement === undefined
        ? 'not asked'
        : {
            lock: judgement.lock.operations,
            register: judgement.register.operations,
            requests: judgement.requests.counts,
          },
    api: {
      writes: api.writes,
      takeovers: api.takeovers,
      mostRequestsInTenSeconds: api.mostRequestsInTenSeconds,
    },
    violations,
  };
  if (violations.length === 0) return report;
  const kept = directory.keep(options.seed, { report, faults: injector.injected, accepted });
  return { ...report, kept };
}
