import { Worker } from 'node:worker_threads';
import { type Batch, type BatchResult, emptyResult, merge, runBatch } from './batch.js';
import { FAILED_ONCE } from './failed-once.js';
import { parseSimulationArguments, type SimulationArguments } from './simulation-arguments.js';
import { SITUATIONS } from './sometimes.js';

/** `npm run simulate`: plays schedules, first those that failed once, and fails when a rule was violated. */
const SLICE = 500;

/** A run this long must have been in every situation at least once. */
const LONG_RUN = 5_000;

Error.stackTraceLimit = 0;
const wishes = parseSimulationArguments();
const sum = emptyResult();
const started = performance.now();
const usedBefore = process.cpuUsage();
for (const seed of FAILED_ONCE) merge(sum, await runBatch({ ...wishes, seed, schedules: 1 }));
await Promise.all(shares(wishes).map((batches) => runShare(batches, sum)));
// Of all threads together: a thread cannot tell its own share.
const { user, system } = process.cpuUsage(usedBefore);
report(wishes, sum, {
  seconds: (performance.now() - started) / 1_000,
  cpuMs: (user + system) / 1_000,
});

function shares({ schedules, seed, workers, ...rest }: SimulationArguments): Batch[][] {
  const all: Batch[][] = Array.from({ length: workers }, () => []);
  for (let done = 0, turn = 0; done < schedules; done += SLICE, turn++) {
    const size = Math.min(SLICE, schedules - done);
    all[turn % workers]!.push({ ...rest, seed: seed + done, schedules: size });
  }
  return all;
}

async function runShare(batches: readonly Batch[], into: BatchResult): Promise<void> {
  const take = (result: BatchResult): void => {
    merge(into, result);
    for (const { seed, rule, detail } of result.failures) {
      console.error(`seed ${seed}: ${rule}: ${detail}`);
    }
    console.error(`${into.schedules} schedules, ${into.failures.length} violations`);
  };
  const worker = new Worker(new URL('./batch-worker.js', import.meta.url), {
    workerData: { batches },
    // Nearly everything dies young: a larger nursery saves an eighth of the time, and helpers of the collector only wait.
    resourceLimits: { maxYoungGenerationSizeMb: 192 },
  });
  worker.on('message', take);
  await new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}

function report(
  wished: SimulationArguments,
  result: BatchResult,
  { seconds, cpuMs }: { readonly seconds: number; readonly cpuMs: number },
): void {
  const never = SITUATIONS.filter((name) => result.situations[name] === 0);
  const tooTame = wished.schedules >= LONG_RUN && never.length > 0;
  const { nearSeeds, failures, ...figures } = result;
  const cpuSeconds = cpuMs / 1_000;
  const summary = {
    ...wished,
    ...figures,
    cpuMs,
    seconds,
    virtualHours: (result.schedules * wished.minutes) / 60,
    schedulesPerSecond: result.schedules / seconds,
    schedulesPerCpuSecond: result.schedules / cpuSeconds,
    eventsPerCpuSecond: result.events / cpuSeconds,
    nearestSeeds: nearSeeds.slice(0, 20),
    neverHappened: never,
    violations: failures.length,
    failures: failures.slice(0, 20),
  };
  if (wished.json) console.log(JSON.stringify(summary));
  else console.log(summary);
  for (const { seed } of failures.slice(0, 1)) {
    console.error(`npm run simulate:replay -- --seed ${seed} --candidates ${wished.candidates}`);
  }
  if (failures.length > 0 || tooTame) process.exitCode = 1;
}
