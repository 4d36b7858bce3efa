import { setTimeout as delay } from 'node:timers/promises';
import type { AuditEntry } from '../control-plane/audit-log.js';
import type { PolicyRule } from '../control-plane/access-control.js';
import type { ElectionCluster } from '../fleet/election-cluster.js';
import { Deployment } from './deployment.js';
import type { Row } from './report.js';
import { until } from './until.js';

const ROLE_COUNTS = [1, 10, 50];
const MINUTE_MS = 60_000;

/** What one process with several roles asks the API server for, with the members on, as it begins and in a quiet minute. */
export async function requests(
  cluster: ElectionCluster,
  rules: readonly PolicyRule[],
): Promise<Row[]> {
  const rows = ROLE_COUNTS.map(async (roleCount) => {
    const leader = await cluster.addAccount(`leader-of-${roleCount}`, rules);
    const standby = await cluster.addAccount(`standby-of-${roleCount}`, rules);
    return countRequests(cluster, roleCount, { leader, standby });
  });
  return (await Promise.all(rows)).flat();
}

async function countRequests(
  cluster: ElectionCluster,
  roleCount: number,
  accounts: { readonly leader: string; readonly standby: string },
): Promise<Row[]> {
  const roles = Array.from({ length: roleCount }, (_, index) => `role-${index}`);
  const name = `requests-${roleCount}`;
  const deployment = new Deployment(cluster, { name, roles });
  try {
    await (await deployment.create(accounts.leader)).pod.begin();
    await until('leaders', () => deployment.load[0] === roleCount);
    await (await deployment.create(accounts.standby)).pod.begin();
    await delay(5_000);
    const from = new Date();
    await delay(MINUTE_MS);
    const to = new Date();
    await delay(500);
    const entries = await cluster.server.auditLog();
    return (['leader', 'standby'] as const).map((what) => {
      const own = entries.filter(({ user }) => user.endsWith(`:${what}-of-${roleCount}`));
      const at = (entry: AuditEntry): Date => new Date(entry.requestReceivedTimestamp);
      return {
        roles: roleCount,
        process: what,
        toBegin: summary(own.filter((entry) => at(entry) < from)),
        inTheMinuteAfter: summary(own.filter((entry) => at(entry) >= from && at(entry) < to)),
      };
    });
  } finally {
    await deployment.close();
  }
}

/** Such as "10 create leases, 1 watch pods". */
function summary(entries: readonly AuditEntry[]): string {
  const counts = new Map<string, number>();
  for (const { verb, resource } of entries) {
    const what = `${verb} ${resource}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const parts = [...counts].toSorted(([a], [b]) => a.localeCompare(b));
  return parts.map(([what, count]) => `${count} ${what}`).join(', ') || 'none';
}
