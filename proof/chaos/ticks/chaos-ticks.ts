import { mkdirSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { INTERRUPTED, onInterruption } from '../interruption.js';
import { RunDirectory } from '../run-directory.js';
import { readChaosTicksOptions, type TickLock } from './chaos-ticks-options.js';
import { ElectionCluster } from '../../fleet/election-cluster.js';
import { TickFleet, type TickGround } from './tick-fleet.js';
import { groundOn, requestsOn, TOKEN_SECONDS } from './tick-ground.js';
import { describeLock, type LockReport } from './tick-report.js';
import { runFleets } from './tick-run.js';
import { totalsOf } from './tick-totals.js';

/**
 * `npm run chaos:ticks`: real processes, jobs of every kind each second, and handovers of every kind, on the real API
 * server and on the file lock. Exit code 1 if a job did anything against what is promised (job-check.ts), if a graceful
 * handover missed a tick of a plain job in its turn, if what runs once ran twice, or if a process ended that nobody had ended; and in
 * a run of some length if something never happened, as it is not shown then.
 */
const PATIENCE_MS = 30_000;
/** From so many handovers of a kind on everything happens that is to be shown. */
const HANDOVERS_FOR_ALL = 10;

const options = readChaosTicksOptions(process.argv.slice(2));
const abort = new AbortController();
let interrupted = false;
onInterruption(() => {
  interrupted = true;
  abort.abort();
});

process.stderr.write(`seed ${options.seed}\n`);
const begun = performance.now();
const directory = new RunDirectory();
const reports: LockReport[] = [];
let kept: string | undefined;
try {
  for (const lock of options.locks) {
    if (abort.signal.aborted) break;
    const report = lock === 'lease' ? await runOnLease() : await runOnFile();
    process.stderr.write(`\n${describeLock(report)}\n`);
    reports.push(report);
  }
} finally {
  const found = reports.length < options.locks.length || reports.some(isBad);
  if (found || options.keep) kept = directory.keep(options.seed, { options, reports });
  await directory.remove();
  if (kept !== undefined) process.stderr.write(`histories: ${kept}\n`);
}
const seconds = secondsSince(begun);
if (options.json) {
  const { keep: _keep, json: _json, ...asked } = options;
  const result = { ...asked, seconds, interrupted, results: reports };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} else {
  process.stdout.write(`${Math.round(seconds)} s, seed ${options.seed}\n`);
}
process.exitCode = reports.some(isBad) ? 1 : interrupted ? INTERRUPTED : 0;

async function runOnLease(): Promise<LockReport> {
  const cluster = await ElectionCluster.start(TOKEN_SECONDS);
  try {
    const report = await runOn('lease', (fleet) => groundOn(cluster, fleet));
    return { ...report, requests: await requestsOn(cluster) };
  } finally {
    await cluster.stop();
  }
}

function runOnFile(): Promise<LockReport> {
  const lockDirectory = join(directory.path, 'locks');
  return runOn('file', (fleet) => {
    return {
      leaseName: fleet,
      lockDirectory,
      cliOptions: { lease: fleet, lock: 'file', directory: lockDirectory },
    };
  });
}

async function runOn(
  lock: TickLock,
  groundOf: (fleet: string) => TickGround | Promise<TickGround>,
): Promise<LockReport> {
  const started = performance.now();
  const fleets: TickFleet[] = [];
  for (let index = 0; index < options.fleets; index += 1) {
    const name = `${lock}-ticks-${index + 1}`;
    const home = join(directory.path, name);
    mkdirSync(home);
    fleets.push(
      new TickFleet({
        name,
        directory: home,
        ground: await groundOf(name),
        jobs: options.jobs,
        startingDeadlineSeconds: options.deadlines[index % options.deadlines.length]!,
        lifeline: directory.lifeline,
        signal: abort.signal,
        patienceMs,
      }),
    );
  }
  const kinds = options.kinds.filter((kind) => kind !== 'partition' || lock === 'lease');
  const outcomes = await runFleets(fleets, { ...options, kinds }, abort);
  const seconds = secondsSince(started);
  return { lock, seconds, requests: undefined, ...totalsOf(outcomes) };
}

/** A machine that has more to do than it has processors is waited for as much longer. */
function patienceMs(): number {
  const processors = availableParallelism();
  return PATIENCE_MS * Math.max(1, options.fleets / processors, loadavg()[0]! / processors);
}

function isBad({ violations, notShown, handovers }: LockReport): boolean {
  const isShort = (handovers['kill -9']?.handovers ?? 0) < HANDOVERS_FOR_ALL;
  return violations.length > 0 || (notShown.length > 0 && !isShort);
}

function secondsSince(instant: number): number {
  return Math.round(performance.now() - instant) / 1_000;
}
