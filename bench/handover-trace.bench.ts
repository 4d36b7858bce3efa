/**
 * The part of `npm run bench` about the stages of a handover, by itself. `--beside` names another checkout in which
 * `npm run build:tools` has run, which takes turns with this one; `--quick` only tries it.
 */
import { parseArgs } from 'node:util';
import { ElectionCluster } from '../proof/fleet/election-cluster.js';
import { handoverTrace, traceHandovers } from './parts/handover-trace.js';
import { machine, sections } from './performance-page.js';

const { values } = parseArgs({
  options: {
    beside: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
  },
});

const cluster = await ElectionCluster.start(7_200);
try {
  const ground = { cluster, isQuick: values.quick, say: (line: string) => console.error(line) };
  const { key, title } = handoverTrace;
  const parts = [{ key, title, ...(await traceHandovers(ground, values.beside)) }];
  console.log(await sections({ machine: await machine(cluster), minutes: 0, parts }));
} finally {
  await cluster.stop();
}
