import { parseArgs } from 'node:util';
import { RoleSchedule } from '../../../lib/schedule/runner/role-schedule.js';
import { ScheduleLedger } from '../../../lib/schedule/runner/schedule-ledger.js';
import { FaultCount, SOMETIMES } from './network-faults.js';
import { TickMutantBuild } from './tick-mutant-build.js';
import { TICK_MUTANTS } from './tick-mutants.js';
import { faultsOf, simulateTicks, type TickRun } from './tick-simulation.js';
import type { ScheduleEngine } from './simulated-process.js';

/** `npm run simulate:ticks`: no tick is started twice, though everybody believes; and wrong claims are found out. */
const SECONDS_PER_RUN = 250;
/** From so many ticks on everything that may happen does. */
const TICKS_FOR_ALL = 10_000;
const { values } = parseArgs({
  options: {
    ticks: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    'no-mutants': { type: 'boolean', default: false },
  },
});

const own: ScheduleEngine = { RoleSchedule, ScheduleLedger };
const firstSeed = Number(values.seed);
const total = {
  ticks: 0,
  started: 0,
  missed: 0,
  excused: 0,
  writes: 0,
  doubled: 0,
  contradicted: 0,
  silent: 0,
  overlapped: 0,
  astray: 0,
};
const faults = new FaultCount();
const badSeeds: number[] = [];
const begun = performance.now();
for (let seed = firstSeed; total.ticks < Number(values.ticks); seed += 1) {
  add(await simulateTicks(own, seed, SECONDS_PER_RUN));
}
const seconds = (performance.now() - begun) / 1_000;
const mutants = values['no-mutants'] ? [] : await huntMutants();
const never = SOMETIMES.filter((what) => faults.counts[what] === undefined);
const survivors = mutants.filter(({ killedAfter }) => killedAfter === null);

if (values.json) {
  console.log(JSON.stringify({ ...total, seconds, badSeeds, faults: faults.counts, mutants }));
} else {
  const percent = (part: number): string => `${((100 * part) / total.ticks).toFixed(2)} %`;
  console.log(
    `${total.ticks} ticks, 3 processes that all believe, ${seconds.toFixed(0)} s (seed ${firstSeed})`,
  );
  console.log(`  started           ${total.started} (${percent(total.started)})`);
  console.log(`  started twice     ${total.doubled}`);
  console.log(`  contradicted      ${total.contradicted}`);
  console.log(`  reported missed   ${total.missed} (${percent(total.missed)})`);
  console.log(`  neither           ${total.silent} (${percent(total.silent)})`);
  console.log(`  owed by nobody    ${total.excused} (${percent(total.excused)})`);
  console.log(`  overlapped        ${total.overlapped}`);
  console.log(`  triggers astray   ${total.astray}`);
  console.log(`  writes            ${total.writes}`);
  if (badSeeds.length > 0) console.log(`  BAD SEEDS         ${badSeeds.join(' ')}`);
  for (const what of SOMETIMES)
    console.log(`  sometimes: ${what.padEnd(18)} ${faults.counts[what] ?? 'NEVER'}`);
  for (const { name, breaks, killedAfter } of mutants) {
    const fate = killedAfter === null ? 'SURVIVED' : `killed after ${killedAfter} ticks`;
    console.log(`  mutant: ${name.padEnd(28)} ${fate.padEnd(26)} (${breaks})`);
  }
}
const isTooTame = total.ticks >= TICKS_FOR_ALL && never.length > 0;
process.exitCode = badSeeds.length > 0 || isTooTame || survivors.length > 0 ? 1 : 0;

function add(run: TickRun): void {
  total.ticks += run.ticks;
  total.started += run.started;
  total.doubled += run.doubled.length;
  total.contradicted += run.contradicted.length;
  total.missed += run.missed;
  total.silent += run.silent.length;
  total.overlapped += run.overlapped.length;
  total.astray += run.astray.length;
  total.excused += run.excused;
  total.writes += run.writes;
  faults.merge(run.faults);
  if (isBad(run)) badSeeds.push(run.seed);
}

function isBad(run: TickRun): boolean {
  return Object.values(faultsOf(run)).some((found) => found.length > 0);
}

async function huntMutants() {
  const build = await TickMutantBuild.open();
  try {
    const verdicts = [];
    for (const mutant of TICK_MUTANTS) {
      const { name, breaks } = mutant;
      verdicts.push({ name, breaks, killedAfter: await ticksToKill(await build.engineOf(mutant)) });
    }
    return verdicts;
  } finally {
    await build.close();
  }
}

async function ticksToKill(engine: ScheduleEngine): Promise<number | null> {
  let ticks = 0;
  for (let seed = firstSeed; ticks < Number(values.ticks); seed += 1) {
    const run = await simulateTicks(engine, seed, SECONDS_PER_RUN);
    ticks += run.ticks;
    if (isBad(run)) return ticks;
  }
  return null;
}
