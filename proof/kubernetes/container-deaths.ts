import { CONTAINER_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import { type ElectionCluster, NAMESPACE } from '../fleet/election-cluster.js';
import { Deployment } from './deployment.js';
import { median } from '../../test/e2e/support/figures.js';
import type { Row } from './report.js';
import { until } from './until.js';

const LEASES_MS = [15_000, 60_000];
const ROUNDS = 9;
const ROLE = 'plans';

/** From the request that says that the leader's container has ended to the grant of another pod. */
export async function containerDeaths(cluster: ElectionCluster): Promise<Row[]> {
  const rows: Row[] = [];
  for (const leaseDurationMs of LEASES_MS) {
    const took = await takeoversAfterDeath(cluster, leaseDurationMs, ROUNDS);
    rows.push({
      leaseDurationMs,
      takeovers: took.length,
      medianMs: Math.round(median(took)),
      mostMs: Math.round(Math.max(...took)),
    });
  }
  return rows;
}

/** @param kubeConfigFile of a service account that may read pods */
export async function takeoversAfterDeath(
  cluster: ElectionCluster,
  leaseDurationMs: number,
  rounds: number,
  kubeConfigFile = cluster.kubeConfigFile,
): Promise<number[]> {
  const name = `deaths-${leaseDurationMs}`;
  const options = { podWatch: true, leaseDurationMs };
  const deployment = new Deployment(cluster, { name, roles: [ROLE], options });
  const took: number[] = [];
  try {
    for (let pod = 0; pod < 2; pod++) await (await deployment.create(kubeConfigFile)).pod.begin();
    for (let round = 0; round < rounds; round++) {
      await until('leader', () => deployment.leaderOf(ROLE) !== undefined);
      const { pod } = deployment.running.find(
        (each) => each.pod.name === deployment.leaderOf(ROLE),
      )!;
      await until('name of the container', async () =>
        (await namedContainer(cluster, `${name}-${ROLE}`)).includes(pod.marks),
      );
      const before = deployment.grants.length;
      const since = performance.now();
      const lastState = await pod.end();
      await until('takeover', () => deployment.grants.length > before);
      took.push(deployment.grants[before]! - since);
      await pod.begin(lastState);
    }
  } finally {
    await deployment.close();
  }
  return took;
}

async function namedContainer({ server }: ElectionCluster, lease: string): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${lease}`;
  const annotations = (await server.request('GET', path)).body.metadata?.['annotations'];
  return (annotations as Record<string, string> | undefined)?.[CONTAINER_ANNOTATION] ?? '';
}
