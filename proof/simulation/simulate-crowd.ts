import { parseArgs } from 'node:util';
import { MutantBuild } from '../mutants/mutant-build.js';
import { PRODUCTION } from './batch.js';
import { type CrowdHandover, type CrowdResult, runCrowd } from './crowd-run.js';
import { withLightAborts } from './light-abort-controller.js';
import { engineOf, SIMULATED_PARTS } from './mutant.js';
import { BEFORE_CROWDS } from './mutants-of-crowds.js';
import type { Engine } from './world.js';

/** `npm run simulate:crowd`: what a handover costs 3, 30, 300 and 1,000 candidates, beside one window for all. */
const WARM_UP = 10;

Error.stackTraceLimit = 0;
const { values } = parseArgs({
  options: {
    candidates: { type: 'string', default: '3,30,100,300,1000' },
    handovers: { type: 'string', default: '30' },
    seeds: { type: 'string', default: '3' },
    'round-trip': { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const rows: Record<string, unknown>[] = [];
const build = await MutantBuild.open(SIMULATED_PARTS);
let violations = 0;
try {
  const before = await engineOf(build, BEFORE_CROWDS);
  for (const candidates of values.candidates.split(',').map(Number)) {
    await measure('one window of 10 ms for all', candidates, before);
    await measure('window by the record', candidates, PRODUCTION);
    await measure('members known', candidates, PRODUCTION, { membersKnown: true });
    await measure('directed', candidates, PRODUCTION, { directed: true });
  }
} finally {
  await build.close();
}
if (values.json) console.log(JSON.stringify(rows));
if (violations > 0) process.exitCode = 1;

async function measure(
  variant: string,
  candidates: number,
  engine: Engine,
  change: { readonly directed?: boolean; readonly membersKnown?: boolean } = {},
): Promise<void> {
  const results: CrowdResult[] = [];
  for (let seed = 1; seed <= Number(values.seeds); seed++) {
    const wishes = {
      seed,
      candidates,
      handovers: Number(values.handovers),
      roundTripMs: Number(values['round-trip']),
      directed: false,
      membersKnown: false,
      ...change,
    };
    results.push(await withLightAborts(() => runCrowd(wishes, engine)));
  }
  for (const { violations: found } of results) {
    violations += found.length;
    for (const text of found.slice(0, 3)) console.error(`${candidates} candidates: ${text}`);
  }
  const creations = results.map(({ creation }) => creation.wastedWrites);
  const row = {
    candidates,
    variant,
    creationConflicts: quantile(creations, 0.5),
    ...costs(results),
  };
  rows.push(row);
  if (!values.json) console.log(Object.values(row).join('\t'));
}

function costs(results: readonly CrowdResult[]): Record<string, unknown> {
  const warm = results.flatMap(({ handovers }) => handovers.slice(WARM_UP));
  const first = results[0]!.handovers.slice(0, WARM_UP).map(({ wastedWrites }) => wastedWrites);
  const wasted = warm.map(({ wastedWrites }) => wastedWrites);
  const latencies = warm.map(({ latencyMs }) => latencyMs ?? Infinity);
  const named = warm.filter(({ cameAsNamed }) => cameAsNamed !== undefined);
  return {
    firstHandovers: first.join(' '),
    wastedP50: quantile(wasted, 0.5),
    wastedP90: quantile(wasted, 0.9),
    wastedMax: Math.max(...wasted),
    readsP50: quantile(
      warm.map(({ reads }: CrowdHandover) => reads),
      0.5,
    ),
    latencyMs: [0.5, 0.9, 0.99].map((share) => Math.round(quantile(latencies, share))).join('/'),
    asNamed: `${named.filter(({ cameAsNamed }) => cameAsNamed).length}/${named.length}`,
  };
}

function quantile(values: readonly number[], share: number): number {
  const inOrder = values.toSorted((a, b) => a - b);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(share * inOrder.length))]!;
}
