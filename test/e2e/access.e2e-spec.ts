import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../../proof/fleet/election-cluster.js';
import { ProbeFleet } from './support/probe-fleet.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';

let cluster: ElectionCluster;
let fleet: ProbeFleet | undefined;
let serviceAccountDirectory: string;

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  serviceAccountDirectory = mkdtempSync(join(tmpdir(), 'service-account-'));
  copyFileSync(cluster.server.caFile, join(serviceAccountDirectory, 'ca.crt'));
  writeFileSync(join(serviceAccountDirectory, 'namespace'), NAMESPACE);
  await rotateToken();
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  await fleet?.stop();
  fleet = undefined;
  await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, readmeRole().rules);
});

afterAll(async () => {
  await cluster?.stop();
  rmSync(serviceAccountDirectory, { recursive: true, force: true });
});

/** A new token in the place of the old one, swapped as the kubelet does: never a half-written file. */
async function rotateToken(account = SERVICE_ACCOUNT): Promise<void> {
  const token = await cluster.server.createToken(NAMESPACE, account, 600);
  writeFileSync(join(serviceAccountDirectory, 'token.new'), token);
  renameSync(join(serviceAccountDirectory, 'token.new'), join(serviceAccountDirectory, 'token'));
}

/** Replicas that find the server and their token as in a pod. */
function podFleet(): ProbeFleet {
  const { hostname, port } = new URL(cluster.server.url);
  return new ProbeFleet(
    { leaseName: cluster.leaseName, serviceAccountDirectory },
    { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  );
}

describe('when a service account has exactly the README’s Role', () => {
  it('leads, hands over and takes over, in a pod’s environment', async () => {
    await cluster.deleteLease();
    fleet = podFleet();
    const first = fleet.add();
    await first.event('granted');
    const second = fleet.add();
    await second.event('leader');
    const at = first.signal('SIGTERM');
    expect((await fleet.grantedSince(at)).replica).toBe(second);
    expect(
      fleet.replicas.flatMap(({ events }) => events).filter((e) => e.event === 'error'),
    ).toEqual([]);
  }, 60_000);
});

describe('when a verb is missing from the Role', () => {
  const without = (verb: string): ReturnType<typeof readmeRole>['rules'] =>
    readmeRole()
      .rules.map((rule) => ({
        ...rule,
        verbs: rule.verbs.filter((allowed) => allowed !== verb),
      }))
      .filter(({ verbs }) => verbs.length > 0);

  it.each(['get', 'create', 'update'])(
    'names %s, the resource and the rule to add, and goes on trying',
    async (verb) => {
      await cluster.deleteLease();
      await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, without(verb));
      fleet = podFleet();
      const replica = fleet.add();
      const { message } = await replica.event('error');
      expect(message).toContain(`verbs: ["${verb}"]`);
      expect(message).toContain('leases');
      expect(message).toContain('coordination.k8s.io');
      expect(message).toContain(NAMESPACE);
      expect(
        replica.log.filter((line) => line.includes(`"${verb}"`)).length,
      ).toBeGreaterThanOrEqual(1);
      await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, readmeRole().rules);
      await fleet.leader(20_000);
      const { resourceVersion } = (await cluster.lease()).metadata!;
      await eventually(async () =>
        expect((await cluster.lease()).metadata!.resourceVersion).not.toBe(resourceVersion),
      );
    },
    60_000,
  );

  it('works without watch, by polling, and says what to add', async () => {
    await cluster.deleteLease();
    await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, without('watch'));
    fleet = podFleet();
    const [one, two] = [fleet.add(), fleet.add()];
    await fleet.leader();
    await Promise.all([one.event('error'), two.event('error')]);
    expect(one.events.find(({ event }) => event === 'error')?.message).toContain(
      'verbs: ["watch"]',
    );
    const leader = await fleet.leader();
    await delay(3_000);
    const at = leader.signal('SIGTERM');
    const granted = await fleet.grantedSince(at);
    // By polling, and not because the lease of 15 s expired.
    expect(granted.at - at).toBeLessThan(10_000);
  }, 60_000);
});

describe('when the token is rotated', () => {
  it('stays leader with the new one, also after the old one stopped working', async () => {
    const account = 'rotated';
    await cluster.server.createServiceAccount(NAMESPACE, account);
    await cluster.server.applyRole(NAMESPACE, account, readmeRole().rules);
    await cluster.deleteLease();
    await rotateToken(account);
    fleet = podFleet();
    const replica = fleet.add();
    await replica.event('granted');
    await rotateToken();
    // Deleting the account makes its tokens invalid at once.
    await cluster.server.request(
      'DELETE',
      `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}`,
    );
    await delay(12_000);
    expect(replica.leads).toBe(true);
    expect(replica.events.filter(({ event }) => event === 'revoked')).toEqual([]);
    const { spec } = await cluster.lease();
    const renewed = Date.parse(String(spec?.['renewTime']));
    expect(Date.now() - renewed).toBeLessThan(8_000);
  }, 60_000);
});

describe('when the namespace does not exist', () => {
  it('says so and goes on trying until it does', async () => {
    const namespace = 'not-yet';
    const admin = cluster.server.kubeconfigFor(cluster.server.adminToken, namespace);
    fleet = new ProbeFleet({ leaseName: 'probe', kubeConfigFile: admin });
    const replica = fleet.add();
    expect((await replica.event('error')).message).toContain(namespace);
    await cluster.server.createNamespace(namespace);
    await replica.event('granted', { withinMs: 20_000 });
  }, 60_000);
});
