import { setTimeout as delay } from 'node:timers/promises';
import type { ElectionCluster } from '../fleet/election-cluster.js';
import { Deployment } from './deployment.js';
import type { Row } from './report.js';
import { until } from './until.js';

/** Roles and pods. */
const CASES = [
  [3, 10],
  [10, 3],
  [23, 6],
] as const;
/** As long as two rounds of moves, so that one that goes on and on is seen. */
const QUIET_MS = 65_000;

/** How roles spread over the pods that come, and over those that remain when one goes. */
export async function balance(cluster: ElectionCluster): Promise<Row[]> {
  return (await Promise.all(CASES.map(([roles, pods]) => spread(cluster, roles, pods)))).flat();
}

async function spread(cluster: ElectionCluster, roleCount: number, pods: number): Promise<Row[]> {
  const roles = Array.from({ length: roleCount }, (_, index) => `role-${index}`);
  const name = `spread-${roleCount}-${pods}`;
  const deployment = new Deployment(cluster, { name, roles, options: { placement: 'spread' } });
  const begin = async (): Promise<void> => (await deployment.create()).pod.begin();
  const rows: Row[] = [];
  /** @param act answers how many moves it takes at least */
  const change = async (what: string, act: () => Promise<number>): Promise<void> => {
    const since = performance.now();
    const before = deployment.grants.length;
    const fewestMoves = await act();
    await until('balance', () => isBalanced(deployment, roleCount));
    const seconds = Math.round((performance.now() - since) / 100) / 10;
    const moves = deployment.grants.length - before;
    await delay(QUIET_MS);
    const movesInTheMinuteAfter = deployment.grants.length - before - moves;
    const load = deployment.load.join(' ');
    const { lostTerms } = deployment;
    rows.push({
      roles: roleCount,
      pods: what,
      load,
      moves,
      fewestMoves,
      seconds,
      movesInTheMinuteAfter,
      lostTerms,
    });
  };
  try {
    await begin();
    await until('leaders', () => deployment.load[0] === roleCount);
    await change(`1, then ${pods}`, async () => {
      await Promise.all(Array.from({ length: pods - 1 }, begin));
      return roleCount - Math.ceil(roleCount / pods);
    });
    await change(`then ${pods - 1}`, async () => {
      const busiest = deployment.running.toSorted((a, b) => ledBy(b) - ledBy(a))[0]!;
      const freed = ledBy(busiest);
      await deployment.end(busiest);
      return freed;
    });
  } finally {
    await deployment.close();
  }
  return rows;
}

function ledBy({ services }: Deployment['running'][number]): number {
  return services.filter((service) => service.isLeader()).length;
}

function isBalanced({ load, running }: Deployment, roles: number): boolean {
  const led = load.reduce((sum, count) => sum + count, 0);
  const least = Math.floor(roles / running.length);
  return led === roles && load.every((count) => count === least || count === least + 1);
}
