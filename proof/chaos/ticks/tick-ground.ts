import type { ElectionCluster } from '../../fleet/election-cluster.js';
import { NAMESPACE } from '../../fleet/election-cluster.js';
import type { TickGround } from './tick-fleet.js';
import { ONCE_KEYS } from './tick-replica-settings.js';

const RESOURCE = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };

export const TOKEN_SECONDS = 14_400;

/** On a real API server an account with exactly the rights that the docs name. The fleet's name is that of its lease too. */
export async function groundOn(cluster: ElectionCluster, fleet: string): Promise<TickGround> {
  const kubeConfigFile = await cluster.addAccount(fleet, [
    { ...RESOURCE, verbs: ['create'] },
    { ...RESOURCE, resourceNames: [fleet], verbs: ['get', 'update', 'watch'] },
    {
      ...RESOURCE,
      resourceNames: [`${fleet}-schedule`, `${fleet}-once`],
      verbs: ['get', 'update'],
    },
    {
      ...RESOURCE,
      resourceNames: ONCE_KEYS.map((key) => `${fleet}-once-${key}`),
      verbs: ['get', 'update', 'watch'],
    },
  ]);
  const cliOptions = { lease: fleet, kubeconfig: kubeConfigFile, namespace: NAMESPACE };
  return { leaseName: fleet, connect: () => cluster.connect(kubeConfigFile), cliOptions };
}

/** Requests of all replicas for their lease and for their schedule, from the server's own log. */
export async function requestsOn({ server }: ElectionCluster): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { user, verb, name } of await server.auditLog()) {
    if (!user.startsWith(`system:serviceaccount:${NAMESPACE}:`)) continue;
    const what = `${verb} ${/-(schedule|once|once-fail|once-rerun)$/.exec(name ?? '')?.[1] ?? 'lease'}`;
    counts[what] = (counts[what] ?? 0) + 1;
  }
  return counts;
}
