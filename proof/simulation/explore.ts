import { Exploration } from './exploration.js';
import { MODELS } from './models.js';

/** `npm run simulate:explore`: every state of the small models, and how many there were. */
const MOST_STATES = 4_000_000;

let total = 0;
for (const [name, bounds] of Object.entries(MODELS)) {
  const started = performance.now();
  const { broken, ...figures } = new Exploration(bounds).run(MOST_STATES);
  total += figures.states;
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  console.log(JSON.stringify({ model: name, ...figures, seconds, violations: broken ? 1 : 0 }));
  if (broken !== null) for (const action of broken) console.log(`  ${action}`);
  if (broken !== null || !figures.complete) process.exitCode = 1;
}
console.log(JSON.stringify({ states: total, peakMiB: process.resourceUsage().maxRSS >> 10 }));
