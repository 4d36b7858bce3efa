import { PRODUCTION } from './batch.js';
import { drawScenario } from './scenario-draw.js';
import { runSchedule } from './schedule-run.js';
import { shrink } from './shrink.js';
import { parseSimulationArguments } from './simulation-arguments.js';

/** `npm run simulate:replay -- --seed S`: the trace of one schedule; of the smallest one that fails, if it fails. */
Error.stackTraceLimit = 0;
const wishes = parseSimulationArguments();
let scenario = drawScenario(wishes);
const quiet = { trace: 'none', checkSettled: false } as const;
const first = await runSchedule(scenario, PRODUCTION, quiet);
const rule = first.violations[0]?.rule;
if (rule !== undefined) {
  const before = scenario.faults.length;
  scenario = await shrink(scenario, async (candidate) => {
    const { violations } = await runSchedule(candidate, PRODUCTION, quiet);
    return violations.some((violation) => violation.rule === rule);
  });
  console.error(`${rule}: ${before} faults shrunk to ${scenario.faults.length}`);
}
const { faults, candidates, ...traits } = scenario;
console.log({ ...traits, faults: faults.length });
for (const candidate of candidates) console.log(candidate);
const { lines, violations } = await runSchedule(scenario, PRODUCTION, {
  trace: 'lines',
  checkSettled: true,
});
for (const line of lines) console.log(line);
for (const violation of violations) console.log(violation);
if (violations.length > 0) process.exitCode = 1;
