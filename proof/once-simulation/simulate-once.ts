import { parseArgs } from 'node:util';
import { OnceLedger } from '../../lib/schedule/once/once-ledger.js';
import { OnceRole } from '../../lib/schedule/once/once-role.js';
import { MutantBuild } from '../mutants/mutant-build.js';
import { FaultCount } from '../tick-simulation/network-faults.js';
import { engineOf, ONCE_MUTANTS, SIMULATED_PARTS } from './once-mutants.js';
import { type OnceEngine, simulateOnce, SOMETIMES } from './once-simulation.js';

/** `npm run simulate:once`: no version runs twice, though everybody believes; and wrong claims are found out. */
const SECONDS_PER_RUN = 120;
/** From so many runs on everything that may happen does. */
const RUNS_FOR_ALL = 40;

const { values } = parseArgs({
  options: {
    /** Of three replicas each, 120 s with faults and 90 s without. */
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    'no-mutants': { type: 'boolean', default: false },
    /** Only the mutants whose names contain this. */
    mutants: { type: 'string', default: '' },
  },
});

const runs = whole('runs', values.runs);
const firstSeed = whole('seed', values.seed);
const faults = new FaultCount();
const broken: { readonly seed: number; readonly what: string }[] = [];
let starts = 0;
const begun = performance.now();
for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
  const run = await simulateOnce({ OnceRole, OnceLedger }, seed, SECONDS_PER_RUN);
  starts += run.starts;
  faults.merge(run.faults);
  broken.push(...run.broken.map((what) => ({ seed, what })));
}
const seconds = (performance.now() - begun) / 1_000;
const mutants = values['no-mutants'] ? [] : await huntMutants();
const survivors = mutants.filter(({ killedAfter }) => killedAfter === null);
const never = SOMETIMES.filter((what) => faults.counts[what] === undefined);

if (values.json) {
  console.log(JSON.stringify({ runs, starts, seconds, broken, faults: faults.counts, mutants }));
} else {
  console.log(
    `${runs} runs, 3 replicas that believe that they lead, ${seconds.toFixed(0)} s (seed ${firstSeed})`,
  );
  console.log(`  runs of the work  ${starts}`);
  console.log(`  against the rules ${broken.length}`);
  for (const { seed, what } of broken) console.log(`  BROKEN with seed ${seed}: ${what}`);
  for (const what of SOMETIMES)
    console.log(`  sometimes: ${what.padEnd(22)} ${faults.counts[what] ?? 'NEVER'}`);
  for (const { name, breaks, killedAfter } of mutants) {
    const fate = killedAfter === null ? 'SURVIVED' : `killed after ${killedAfter} runs`;
    console.log(`  mutant: ${name.padEnd(28)} ${fate.padEnd(26)} (${breaks})`);
  }
}
const isTooTame = runs >= RUNS_FOR_ALL && never.length > 0;
process.exitCode = broken.length > 0 || isTooTame || survivors.length > 0 ? 1 : 0;

async function huntMutants() {
  const build = await MutantBuild.open(SIMULATED_PARTS);
  try {
    const verdicts = [];
    for (const mutant of ONCE_MUTANTS.filter(({ name }) => name.includes(values.mutants))) {
      const { name, breaks } = mutant;
      verdicts.push({ name, breaks, killedAfter: await runsToKill(await engineOf(build, mutant)) });
    }
    return verdicts;
  } finally {
    await build.close();
  }
}

async function runsToKill(engine: OnceEngine): Promise<number | null> {
  for (let run = 1; run <= runs; run += 1) {
    const { broken: found } = await simulateOnce(engine, firstSeed + run - 1, SECONDS_PER_RUN);
    if (found.length > 0) return run;
  }
  return null;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not "${text}"`);
}
