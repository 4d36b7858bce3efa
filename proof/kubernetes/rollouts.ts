import { setTimeout as delay } from 'node:timers/promises';
import type { ElectionCluster } from '../fleet/election-cluster.js';
import { until } from './until.js';
import { Deployment, type RunningPod } from './deployment.js';
import type { Row } from './report.js';

interface Rollout {
  readonly replicas: number;
  readonly surge: number;
  readonly unavailable: number;
  readonly placement: 'newest' | 'any';
}

const SIZES = [3, 10, 50];
const ROLE = 'plans';

/** How often leadership moves in a rolling update: the pods are real objects, and each has an application of its own. */
export async function rollouts(cluster: ElectionCluster): Promise<Row[]> {
  const rows: Row[] = [];
  for (const replicas of SIZES) {
    const quarter = { surge: Math.ceil(replicas / 4), unavailable: Math.floor(replicas / 4) };
    for (const pace of [{ surge: 1, unavailable: 0 }, quarter]) {
      const name = `rollout-${rows.length}`;
      const play = (placement: 'newest' | 'any'): Promise<Row> =>
        rollOut(cluster, `${name}-${placement}`, { replicas, ...pace, placement });
      rows.push(...(await Promise.all([play('newest'), play('any')])));
    }
  }
  return rows;
}

async function rollOut(cluster: ElectionCluster, name: string, rollout: Rollout): Promise<Row> {
  const { replicas, surge, unavailable, placement } = rollout;
  const deployment = new Deployment(cluster, { name, roles: [ROLE], options: { placement } });
  try {
    const old = await createReady(deployment, replicas);
    await until('leader', () => deployment.leaderOf(ROLE) !== undefined);
    await until('known members', () => deployment.isKnownToAll);
    // Whoever came first leads: any pod of the old version may be the next to end.
    shuffle(old);
    const before = deployment.grants.length;
    let fresh = 0;
    while (old.length > 0) {
      const ending = old.splice(0, deployment.running.length - (replicas - unavailable));
      if (ending.length > 0) await deployment.end(...ending);
      const room = Math.min(replicas + surge - deployment.running.length, replicas - fresh);
      fresh += (await createReady(deployment, room)).length;
      await until('leader', () => deployment.leaderOf(ROLE) !== undefined);
      await until('known members', () => deployment.isKnownToAll);
    }
    const { grants, lostTerms } = deployment;
    return { ...rollout, moves: grants.length - before, lostTerms };
  } finally {
    await deployment.close();
  }
}

async function createReady(deployment: Deployment, count: number): Promise<RunningPod[]> {
  // Pods tell their age in whole seconds, and no real one is ready as soon as these.
  await delay(1_000 - (Date.now() % 1_000));
  const pods = await Promise.all(Array.from({ length: count }, () => deployment.create()));
  await Promise.all(pods.map(({ pod }) => pod.begin()));
  return pods;
}

function shuffle(pods: RunningPod[]): void {
  for (let last = pods.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [pods[last], pods[other]] = [pods[other]!, pods[last]!];
  }
}
