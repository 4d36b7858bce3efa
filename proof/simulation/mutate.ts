import { parseArgs } from 'node:util';
import { MutantBuild } from '../mutants/mutant-build.js';
import { FAULT_KINDS } from './fault.js';
import { engineOf, SIMULATED_PARTS } from './mutant.js';
import { killMutant } from './mutant-hunt.js';
import { MUTANTS } from './mutants.js';
import { RULES } from './world.js';

/** `npm run simulate:mutants`: how many schedules it takes to find each wrong election out. */
Error.stackTraceLimit = 0;
const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '3000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    'until-overlap': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const build = await MutantBuild.open(SIMULATED_PARTS);
const verdicts = [];
try {
  for (const mutant of MUTANTS) {
    if (values.only !== undefined && !mutant.name.includes(values.only)) continue;
    const engine = await engineOf(build, mutant);
    const verdict = await killMutant(mutant, engine, {
      firstSeed: Number(values.seed),
      schedules: Number(values.schedules),
      kinds: FAULT_KINDS,
      untilOverlap: values['until-overlap'],
    });
    verdicts.push(verdict);
    if (!values.json) {
      const { seedsToKill, seedsToOverlap, rule } = verdict;
      const fate = seedsToKill === null ? 'SURVIVED' : `${seedsToKill} (${rule})`;
      const overlap = String(seedsToOverlap ?? '-');
      console.log(
        `${mutant.name.padEnd(28)} ${fate.padEnd(32)} ${overlap.padEnd(6)} ${mutant.breaks}`,
      );
    }
  }
} finally {
  await build.close();
}
const survivors = verdicts.filter(
  ({ seedsToKill, explained }) => seedsToKill === null && !explained,
);
// A rule that no wrong election breaks might as well not be there.
const found = new Set(verdicts.map(({ rule }) => rule));
const idle = values.only === undefined ? RULES.filter((rule) => !found.has(rule)) : [];
if (values.json) console.log(JSON.stringify({ verdicts, survivors: survivors.length, idle }));
else if (idle.length > 0) console.log(`no mutant is found by: ${idle.join(', ')}`);
process.exitCode = survivors.length + idle.length > 0 ? 1 : 0;
