/**
 * The part of `npm run bench` about the stages of a handover, by itself. `--beside` names another checkout in which
 * `npm run build:tools` has run, which takes turns with this one; `--handovers 20` makes so
 * many of each kind; `--quick` only tries it.
 */
import { parseArgs } from 'node:util';
import { benchmark } from './benchmark.js';
import type { Ground } from './measure.js';
import { handoverTrace, traceHandovers } from './parts/handover-trace.js';
import { sections } from './performance-page.js';

const { values } = parseArgs({
  options: {
    beside: { type: 'string', multiple: true, default: [] },
    handovers: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});

const handovers = values.handovers === undefined ? undefined : Number(values.handovers);
const run = (ground: Ground) => traceHandovers(ground, values.beside, handovers);
await benchmark([{ ...handoverTrace, run }], {
  isQuick: values.quick,
  print: async (report) => console.log(await sections(report)),
});
