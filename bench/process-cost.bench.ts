/**
 * The part of `npm run bench` about processes, by itself: what loading, starting and running an application costs, bare and
 * with each elector. `--root` measures another checkout that has been built, in turn with this one; `--only loading` leaves
 * the other tables out; `--quick` only tries it.
 */
import { parseArgs } from 'node:util';
import { ElectionCluster } from '../proof/fleet/election-cluster.js';
import { measureProcessCost, processCost, STAGES } from './parts/process-cost.js';
import { machine, sections } from './performance-page.js';

const { values } = parseArgs({
  options: {
    root: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: STAGES.join(',') },
    quick: { type: 'boolean', default: false },
  },
});

const stages = STAGES.filter((stage) => values.only.split(',').includes(stage));
const cluster = await ElectionCluster.start();
try {
  const ground = { cluster, isQuick: values.quick, say: (line: string) => console.error(line) };
  const { key, title } = processCost;
  const found = await measureProcessCost(ground, values.root, stages);
  const parts = [{ key, title, ...found }];
  console.log(await sections({ machine: await machine(cluster), minutes: 0, parts }));
} finally {
  await cluster.stop();
}
