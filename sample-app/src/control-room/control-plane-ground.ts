import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Connection, Ground } from './ground.js';

const REPOSITORY = new URL('../../../', import.meta.url);
const CLUSTER = new URL('.tools/proof/fleet/election-cluster.js', REPOSITORY);

/** What is used of `proof/fleet/election-cluster.ts`, which is compiled to another folder. */
interface Cluster {
  readonly kubeConfigFile: string;
  readonly leaseName: string;
  readonly server: {
    applyRole(namespace: string, account: string, rules: readonly object[]): Promise<void>;
  };
  connect(): Promise<{
    readonly kubeConfigFile: string;
    readonly proxy: { shape(direction: 'both', condition: object): void; heal(): void };
  }>;
  stop(): Promise<void>;
}
interface ClusterModule {
  readonly NAMESPACE: string;
  readonly SERVICE_ACCOUNT: string;
  readonly ElectionCluster: { start(tokenSeconds: number): Promise<Cluster> };
}
interface RoleModule {
  readmeRole(): { readonly rules: readonly object[] };
}

const TOKEN_SECONDS = 24 * 3_600;

/**
 * A real kube-apiserver with a Lease. Each lane has a proxy of its own to it, which swallows all bytes while the network of
 * the lane is cut.
 */
export async function controlPlaneGround(
  say: (line: string) => void,
  isBuilt: boolean,
): Promise<Ground> {
  say('Builds the test control plane. The first time this takes some minutes, and needs Go.');
  if (!isBuilt) buildTools();
  const { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } = (await import(
    CLUSTER.href
  )) as ClusterModule;
  const role = (await import(new URL('readme-role.js', CLUSTER).href)) as RoleModule;
  const cluster = await ElectionCluster.start(TOKEN_SECONDS);
  await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [
    ...role.readmeRole().rules,
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: [`${cluster.leaseName}-schedule`],
      verbs: ['get', 'update'],
    },
  ]);
  return {
    lock: 'lease',
    connect: async (): Promise<Connection> => {
      const { kubeConfigFile, proxy } = await cluster.connect();
      return {
        env: { LOCK: 'lease', KUBECONFIG: kubeConfigFile, NAMESPACE },
        // What a process writes into the void arrives when it heals, as packets that are sent again do.
        cut: () => proxy.shape('both', { kind: 'blackhole', bytes: 'keep' }),
        heal: () => proxy.heal(),
      };
    },
    stop: () => cluster.stop(),
  };
}

function buildTools(): void {
  const { status } = spawnSync('npm', ['run', '-s', 'build:tools'], {
    cwd: fileURLToPath(REPOSITORY),
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('npm run build:tools has failed');
}
