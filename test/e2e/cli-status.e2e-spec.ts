import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { runCli } from '../../lib/cli/cli.js';
import { createLeaderElection, type LeaderElection } from '../../lib/election/index.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { configMapLockIn } from '../../lib/locks/kubernetes/config-map.lock.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const nowhere = new PodEnvironment({}, '/nowhere');

let cluster: ElectionCluster;
let application: string;
let elections: LeaderElection[];

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  const verbs = ['get', 'list', 'create', 'update', 'watch'];
  application = await cluster.addAccount('application', [
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs },
    { apiGroups: [''], resources: ['configmaps'], verbs },
  ]);
}, FIRST_START_LIMIT_MS);
afterAll(() => cluster?.stop());

beforeEach(() => {
  elections = [];
});
afterEach(async () => {
  for (const election of elections) await election.stop();
});

async function leader(
  role: string,
  identity: string,
  isConfigMap = false,
): Promise<LeaderElection> {
  const place = { kubeConfigFile: application };
  const lock = isConfigMap ? configMapLockIn(nowhere, place) : leaseLockIn(nowhere, place);
  const options = { role, namespace: NAMESPACE, identity, application: 'shop', lock };
  const election = await createLeaderElection({ ...options, profile: 'fast' });
  elections.push(election);
  election.start();
  await election.waitForLeadership();
  return election;
}

const place = (file = application) => ['--kubeconfig', file, '--namespace', NAMESPACE];

async function status(...args: string[]) {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const code = await runCli(['status', '--json', ...args], { env: {}, stdout, stderr });
  return { code, err, ...(JSON.parse(out) as { leases?: Record<string, unknown>[] }) };
}

describe('when a real API server has leases of several programs', () => {
  it('shows those that this library has written, without their names', async () => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    const foreign = { metadata: { name: 'foreign' }, spec: { holderIdentity: 'x' } };
    await cluster.server.request('POST', path, foreign);
    await leader('plan', 'plan-1');
    await leader('mail', 'mail-1');
    const { code, leases = [] } = await status(...place());
    expect(leases.map(({ lease, leader: holder }) => [lease, holder])).toEqual([
      ['mail', 'mail-1'],
      ['plan', 'plan-1'],
    ]);
    expect(leases[0]).toMatchObject({ application: 'shop', exists: true, problem: null });
    expect(leases[0]!['validForMs']).toBeGreaterThan(0);
    expect(code).toBe(0);
  });

  it('says that the right to list is missing, and what to do without it', async () => {
    const { code, err } = await status(...place(cluster.kubeConfigFile));
    expect(err).toContain('403. It needs the verb list; name the leases with --lease');
    expect(code).toBe(1);
  });

  it('shows a lease that is named, with the README’s Role alone', async () => {
    const { leases } = await status(...place(cluster.kubeConfigFile), '--lease', cluster.leaseName);
    expect(leases).toMatchObject([{ lease: cluster.leaseName, exists: false }]);
  });

  it('shows a lease that is in a ConfigMap', async () => {
    await leader('cache', 'cache-1', true);
    const { leases } = await status(...place(), '--lock', 'config-map', '--lease', 'cache');
    expect(leases).toMatchObject([{ lease: 'cache', leader: 'cache-1' }]);
  });
});

describe('when it is watched', () => {
  it('shows the next leader, and ends with 0 on SIGINT', async () => {
    const first = await leader('watched', 'first');
    const args = ['status', '--watch', '--lease', 'watched', ...place()];
    const watching = new NodeProgram({ name: 'status', program: CLI, args });
    await watching.line(/^watched +first /);
    await first.stop();
    await watching.line(/^watched +\(none\) /);
    await leader('watched', 'second');
    await watching.line(/^watched +second /);
    watching.signal('SIGINT');
    await eventually(() => expect(watching.hasExited).toBe(true));
    expect(watching.outcome).toBe(0);
  });
});
