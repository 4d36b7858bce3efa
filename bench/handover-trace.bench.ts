/**
 * The part of `npm run bench` about the stages of a handover, by itself. `--beside` names another checkout in which
 * `npm run build:tools` has run, which takes turns with this one; `--handovers 20` makes so
 * many of each kind; `--quick` only tries it.
 */
import { parseArgs } from 'node:util';
import { ElectionCluster } from '../proof/fleet/election-cluster.js';
import { handoverTrace, traceHandovers } from './parts/handover-trace.js';
import { machine, sections } from './performance-page.js';

const { values } = parseArgs({
  options: {
    beside: { type: 'string', multiple: true, default: [] },
    handovers: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});

const cluster = await ElectionCluster.start(7_200);
try {
  const ground = { cluster, isQuick: values.quick, say: (line: string) => console.error(line) };
  const { key, title } = handoverTrace;
  const handovers = values.handovers === undefined ? undefined : Number(values.handovers);
  const found = await traceHandovers(ground, values.beside, handovers);
  const parts = [{ key, title, ...found }];
  console.log(await sections({ machine: await machine(cluster), minutes: 0, parts }));
} finally {
  await cluster.stop();
}
