import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../lib/cli/cli.js';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import type { PolicyRule } from '../../proof/control-plane/access-control.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';
import { Figures } from './support/figures.js';

let cluster: ElectionCluster;
const figures = new Figures();

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterEach(() => cluster.deleteLease());

afterAll(async () => {
  figures.print();
  await cluster?.stop();
});

async function doctor(kubeConfigFile: string, ...args: string[]) {
  let out = '';
  const stdout = { write: (text: string) => void (out += text) };
  const begun = performance.now();
  const all = ['doctor', '--json', '--lease', cluster.leaseName, '--namespace', NAMESPACE];
  const surroundings = { env: {}, stdout, stderr: process.stderr };
  const code = await runCli([...all, '--kubeconfig', kubeConfigFile, ...args], surroundings);
  const tookMs = performance.now() - begun;
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  const bad = findings.filter(({ severity }) => severity !== 'ok');
  return { code, codes: bad.map((each) => each.code), bad, tookMs };
}

const LEASES = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
const named = (...verbs: string[]): PolicyRule => ({
  ...LEASES,
  resourceNames: [cluster.leaseName],
  verbs,
});
const CREATE: PolicyRule = { ...LEASES, verbs: ['create'] };

describe('when a service account has exactly the README’s Role', () => {
  it('is told that nothing is wrong, and the lease is not touched', async () => {
    const { code, codes, tookMs } = await doctor(cluster.kubeConfigFile);
    expect(codes).toEqual([]);
    expect(code).toBe(0);
    figures.note(`doctor of a healthy cluster: ${Math.round(tookMs)} ms`);
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    const { items } = (await cluster.server.request('GET', path)).body as { items?: unknown[] };
    expect(items).toEqual([]);
  });
});

describe('when a right is missing or too wide on a real API server', () => {
  it.each<[string, string, () => PolicyRule[]]>([
    ['no-get', 'rights.missing-get-leases', () => [named('update', 'watch'), CREATE]],
    ['no-create', 'rights.missing-create-leases', () => [named('get', 'update', 'watch')]],
    ['no-update', 'rights.missing-update-leases', () => [named('get', 'watch'), CREATE]],
    ['no-watch', 'rights.missing-watch-leases', () => [named('get', 'update'), CREATE]],
    [
      'any-lease',
      'rights.any-lease',
      () => [{ ...LEASES, verbs: ['get', 'create', 'update', 'watch'] }],
    ],
    ['delete', 'rights.delete', () => [...readmeRole().rules, named('delete')]],
    [
      'secrets',
      'rights.secrets',
      () => [...readmeRole().rules, { apiGroups: [''], resources: ['secrets'], verbs: ['get'] }],
    ],
  ])('%s: finds %s', async (account, code, rules) => {
    const file = await cluster.addAccount(account, rules());
    const { codes, bad } = await doctor(file);
    expect(codes).toContain(code);
    expect(bad.find((each) => each.code === code)!.fix).not.toBe('');
  });
});

describe('when the lease of a real API server is not as it should be', () => {
  const create = (spec: Record<string, unknown>) =>
    cluster.server.request('POST', cluster.leasePath.replace(/\/[^/]*$/, ''), {
      metadata: { name: cluster.leaseName },
      spec,
    });
  const at = (agoMs: number) => new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z');

  it.each<[string, Record<string, unknown>]>([
    [
      'lease.expired',
      {
        holderIdentity: 'plan-1_x',
        leaseDurationSeconds: 15,
        renewTime: at(120_000),
        acquireTime: at(300_000),
      },
    ],
    ['lease.without-holder', { leaseDurationSeconds: 15 }],
    [
      'lease.mixed-settings',
      {
        holderIdentity: 'plan-1_x',
        leaseDurationSeconds: 60,
        renewTime: at(0),
        acquireTime: at(0),
      },
    ],
  ])('finds %s', async (code, spec) => {
    await create(spec);
    expect((await doctor(cluster.kubeConfigFile)).codes).toContain(code);
  });
});

describe('when the namespace is missing', () => {
  it('finds namespace.missing', async () => {
    const admin = await doctor(cluster.server.adminKubeconfig, '--namespace', 'nowhere');
    expect(admin.codes).toContain('namespace.missing');
    expect(admin.codes).toContain('rights.everything');
    expect(admin.code).toBe(1);
  });
});
