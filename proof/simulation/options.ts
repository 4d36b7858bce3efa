import { tryOptions } from './option-trial.js';
import { parseSimulationArguments } from './simulation-arguments.js';

/** `npm run simulate:options`: options that are accepted must be safe wherever the server is cut off. */
Error.stackTraceLimit = 0;
const { schedules, seed, json } = parseSimulationArguments();
let accepted = 0;
let violations = 0;
for (let next = seed; next < seed + schedules; next++) {
  const trial = await tryOptions(next);
  if (trial.accepted) accepted++;
  if (trial.violations.length === 0) continue;
  violations++;
  if (!json) console.log(next, trial.options, trial.violations);
}
const summary = { tried: schedules, accepted, refused: schedules - accepted, violations };
console.log(json ? JSON.stringify(summary) : summary);
if (violations > 0 || accepted === 0) process.exitCode = 1;
