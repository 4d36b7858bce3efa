/**
 * `npm run bench`: this library beside its peers, all in one run on one real API server. Writes docs/performance.md, its
 * figures as JSON and a picture of how they grow; with `--quick` or `--only` nothing but what it prints. Alone on the machine,
 * or what it measures is the company.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { benchmark } from './benchmark.js';
import type { Part } from './measure.js';
import { growthPicture } from './growth-picture.js';
import { apiCost } from './parts/api-cost.js';
import { failover } from './parts/failover.js';
import { handover } from './parts/handover.js';
import { handoverTrace } from './parts/handover-trace.js';
import { processCost } from './parts/process-cost.js';
import { gateCost } from './parts/gate.js';
import { claims } from './parts/claims.js';
import { memoryGrowth } from './parts/memory.js';
import { performanceFigures, performancePage, sections } from './performance-page.js';

/** In the order of the page. Each has the machine to itself. */
const PARTS: readonly Part[] = [
  handover,
  handoverTrace,
  failover,
  apiCost,
  processCost,
  gateCost,
  claims,
  memoryGrowth,
];

const PAGE = 'docs/performance.md';
const FIGURES = 'docs/results/performance.json';
const PICTURE = 'docs/images/performance-growth.svg';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const report = await benchmark(chosen(values.only), {
  isQuick: values.quick,
  print: async (found) => {
    console.log(values.json ? JSON.stringify(found, undefined, 2) : await sections(found));
  },
});
if (values.only === undefined && !values.quick) await record();

function chosen(only: string | undefined): readonly Part[] {
  if (only === undefined) return PARTS;
  return only.split(',').map((key) => {
    const part = PARTS.find((each) => each.key === key);
    if (part !== undefined) return part;
    throw new Error(`--only ${key}: it is one of ${PARTS.map((each) => each.key).join(', ')}.`);
  });
}

async function record(): Promise<void> {
  writeFileSync(FIGURES, await performanceFigures(report));
  writeFileSync(PICTURE, growthPicture(report.parts.flatMap(({ growth = [] }) => growth)));
  writeFileSync(PAGE, await performancePage(report));
}
