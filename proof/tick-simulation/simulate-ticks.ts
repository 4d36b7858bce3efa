import { parseArgs } from 'node:util';
import { RunAsker } from '../../lib/schedule/ledger/run-asker.js';
import { SpreadLedger } from '../../lib/schedule/ledger/spread-ledger.js';
import { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import { MutantBuild } from '../mutants/mutant-build.js';
import { FaultCount, SOMETIMES } from './network-faults.js';
import type { ScheduleEngine } from './simulated-process.js';
import { engineOf, SIMULATED_PARTS, TICK_MUTANTS } from './tick-mutants.js';
import { type Fault, FAULTS, faultsOf, simulateTicks, type TickRun } from './tick-simulation.js';

/** `npm run simulate:ticks`: no tick is started twice, though everybody believes; and wrong claims are found out. */
const SECONDS_PER_RUN = 250;
/** From so many ticks on everything that may happen does. */
const TICKS_FOR_ALL = 50_000;
const LABELS: Readonly<Record<Fault, string>> = {
  doubled: 'started twice',
  contradicted: 'started and reported as not started',
  silent: 'neither started nor reported',
  overlapped: 'overlapped',
  astray: 'triggers and cancels astray',
  unheard: 'cancels not heard of',
  unmeant: 'cancelled and not meant',
  occupied: 'cancelled and still in the way',
  unled: 'started without leading',
  early: 'started before they were due',
  late: 'started too late',
  retold: 'reported twice by a process',
  unrecorded: 'good ends recorded nowhere',
  unlimited: 'attempts that were not to follow',
  unfounded: 'attempts out of order',
  forsaken: 'attempts forgotten',
  unsuspended: 'claimed while suspended for all',
  mistaken: 'missed ticks against the policy',
  misremembered: 'past runs told wrongly',
  repeated: 'requests with more than one run',
  expired: 'requests started too late',
  untrue: 'requests answered wrongly',
  unanswered: 'requests not answered',
  misinformed: 'requests told wrongly',
  dead: 'jobs dead after the faults',
  hasty: 'processes that ask too often',
};
const { values } = parseArgs({
  options: {
    ticks: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    'no-mutants': { type: 'boolean', default: false },
    /** Only the mutants whose names contain this. */
    mutants: { type: 'string', default: '' },
  },
});

const own: ScheduleEngine = { RoleSchedule, SpreadLedger, RunAsker };
const firstSeed = Number(values.seed ?? 1);
const total = {
  ticks: 0,
  started: 0,
  missed: 0,
  excused: 0,
  writes: 0,
};
const broken = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
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
  console.log(
    JSON.stringify({ ...total, ...broken, seconds, badSeeds, faults: faults.counts, mutants }),
  );
} else {
  const percent = (part: number): string => `${((100 * part) / total.ticks).toFixed(2)} %`;
  console.log(
    `${total.ticks} ticks, 3 processes that all believe, ${seconds.toFixed(0)} s (seed ${firstSeed})`,
  );
  console.log(`  started           ${total.started} (${percent(total.started)})`);
  console.log(`  reported missed   ${total.missed} (${percent(total.missed)})`);
  console.log(`  owed by nobody    ${total.excused} (${percent(total.excused)})`);
  console.log(`  writes            ${total.writes}`);
  for (const fault of FAULTS) console.log(`  ${LABELS[fault].padEnd(34)} ${broken[fault]}`);
  if (badSeeds.length > 0) console.log(`  BAD SEEDS         ${badSeeds.join(' ')}`);
  for (const what of SOMETIMES)
    console.log(`  sometimes: ${what.padEnd(22)} ${faults.counts[what] ?? 'NEVER'}`);
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
  total.missed += run.missed;
  total.excused += run.excused;
  total.writes += run.writes;
  for (const fault of FAULTS) broken[fault] += run[fault].length;
  faults.merge(run.faults);
  if (isBad(run)) badSeeds.push(run.seed);
}

function isBad(run: TickRun): boolean {
  return Object.values(faultsOf(run)).some((found) => found.length > 0);
}

async function huntMutants() {
  const build = await MutantBuild.open(SIMULATED_PARTS);
  try {
    const verdicts = [];
    for (const mutant of TICK_MUTANTS.filter((each) => each.name.includes(values.mutants))) {
      const { name, breaks } = mutant;
      verdicts.push({
        name,
        breaks,
        killedAfter: await ticksToKill(
          await engineOf(build, mutant),
          values.seed === undefined ? (mutant.seed ?? 1) : firstSeed,
        ),
      });
    }
    return verdicts;
  } finally {
    await build.close();
  }
}

async function ticksToKill(engine: ScheduleEngine, from: number): Promise<number | null> {
  let ticks = 0;
  for (let seed = from; ticks < Number(values.ticks); seed += 1) {
    const run = await simulateTicks(engine, seed, SECONDS_PER_RUN);
    ticks += run.ticks;
    if (isBad(run)) return ticks;
  }
  return null;
}
