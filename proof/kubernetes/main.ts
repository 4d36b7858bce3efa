import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../fleet/election-cluster.js';
import { RULES_WITH_PODS } from '../fleet/readme-role.js';
import { balance } from './balance.js';
import { containerDeaths } from './container-deaths.js';
import { handovers, handoversBesideClientGo, mixedHandovers } from './handovers.js';
import type { Row } from './report.js';
import { requests } from './requests.js';
import { rollouts } from './rollouts.js';

/** `npm run e2e:kubernetes`: what an election costs and how soon it reacts, on a real API server. */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** Names of figures, with commas between. */
    only: { type: 'string' },
    /** A checkout of another version of this library, in which `npm run build:tools` has run. */
    beside: { type: 'string' },
  },
});
const { beside } = values;

const FIGURES: Record<string, (cluster: ElectionCluster) => Promise<Row[]>> = {
  containerDeaths,
  rollouts,
  balance,
  requests: (cluster) => requests(cluster, RULES_WITH_PODS),
  handovers,
  handoversBesideClientGo,
  ...(beside !== undefined && {
    mixedHandovers: (cluster: ElectionCluster) =>
      mixedHandovers(cluster, pathToFileURL(`${resolve(beside)}/.tools/lib/`).href),
  }),
};

const wanted = values.only?.split(',') ?? Object.keys(FIGURES);
const unknown = wanted.filter((name) => FIGURES[name] === undefined);
if (unknown.length > 0) {
  throw new Error(`no figures ${unknown.join(', ')}; there are ${Object.keys(FIGURES).join(', ')}`);
}

const results: Record<string, Row[]> = {};
const cluster = await ElectionCluster.start();
try {
  await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, RULES_WITH_PODS);
  for (const name of wanted) {
    process.stderr.write(`[figures] ${name} …\n`);
    results[name] = await FIGURES[name]!(cluster);
    if (values.json) continue;
    console.log(name);
    console.table(results[name]);
  }
} finally {
  await cluster.stop();
}
if (values.json) console.log(JSON.stringify(results));
