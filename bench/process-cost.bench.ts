/**
 * The part of `npm run bench` about processes, by itself: what loading, starting and running an application costs, bare and
 * with each elector. `--root` measures another checkout that has been built, in turn with this one; `--only loading` leaves
 * the other tables out; `--quick` only tries it.
 */
import { parseArgs } from 'node:util';
import { benchmark } from './benchmark.js';
import type { Ground } from './measure.js';
import { measureProcessCost, processCost, STAGES } from './parts/process-cost.js';
import { sections } from './performance-page.js';

const { values } = parseArgs({
  options: {
    root: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: STAGES.join(',') },
    quick: { type: 'boolean', default: false },
  },
});

const stages = STAGES.filter((stage) => values.only.split(',').includes(stage));
const run = (ground: Ground) => measureProcessCost(ground, values.root, stages);
await benchmark([{ ...processCost, run }], {
  isQuick: values.quick,
  print: async (report) => console.log(await sections(report)),
});
