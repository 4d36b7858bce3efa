import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { leaseLock } from '../../../lib/locks/kubernetes/lease.lock.js';
import type { ResourceLock } from '../../../lib/core/resource-lock.js';
import { AdmissionWebhook } from '../../support/admission-webhook.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../../proof/control-plane/control-plane.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';

const RECORD = held('first');
const NEXT = { ...RECORD, renewTimeMicros: 2_000_000 };

let controlPlane: ControlPlane;
const locks: ResourceLock[] = [];

beforeAll(async () => {
  controlPlane = await ControlPlane.start();
}, FIRST_START_LIMIT_MS);

afterAll(async () => {
  for (const lock of locks) await lock.close?.();
  await controlPlane?.stop();
});

async function lockIn(
  namespace: string,
  leaseName = 'plan',
  kubeConfigFile = controlPlane.adminKubeconfig,
): Promise<ResourceLock> {
  const lock = await leaseLock({ kubeConfigFile })({ leaseName, namespace, identity: 'first' });
  locks.push(lock);
  return lock;
}

async function created(lock: ResourceLock) {
  const outcome = await lock.create(RECORD, request());
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return outcome.stored;
}

function messageOf(outcome: { kind: string; error?: Error }): string {
  return `${outcome.kind}: ${outcome.error?.message}`;
}

describe('when a webhook refuses what a real API server is asked', () => {
  it.each<[string, object | undefined, RegExp]>([
    [
      'as Gatekeeper does',
      { code: 403, message: '[owner] you cannot do this' },
      /answered 403: .*\[owner\] you cannot/,
    ],
    ['with 409', { code: 409, message: 'too many' }, /answered 409: .*too many/],
    [
      'with 409 and the reason Conflict',
      { code: 409, reason: 'Conflict', message: 'too many' },
      /answered 409: .*too many/,
    ],
    [
      'with 404 and the reason NotFound',
      { code: 404, reason: 'NotFound', message: 'gone' },
      /answered 404: .*gone/,
    ],
    ['with 429', { code: 429, message: 'slowly' }, /answered 429: .*slowly/],
    ['without a word', undefined, /answered 400: .*without explanation/],
  ])('%s, says so, advises no Role, and takes it for no conflict', async (name, status, text) => {
    const namespace = `denied-${name.replace(/\W+/g, '-').toLowerCase()}`;
    await controlPlane.createNamespace(namespace);
    const webhook = await AdmissionWebhook.start(controlPlane, 'Validating', namespace);
    const lock = await lockIn(namespace);
    const lease = await created(lock);
    webhook.answer = { allowed: false, ...(status && { status }) };
    const outcomes = [
      await lock.replace(NEXT, lease, request()),
      await (await lockIn(namespace, 'other')).create(RECORD, request()),
    ];
    await webhook.stop();
    for (const outcome of outcomes) {
      expect(messageOf(outcome)).toMatch(/^not-applied/);
      expect(messageOf(outcome)).toMatch(text);
      expect(messageOf(outcome)).toContain('This comes from admission');
      expect(messageOf(outcome)).not.toContain('rules:');
    }
  });

  it('by being dead, knows that it does not know', async () => {
    await controlPlane.createNamespace('dead-webhook');
    const webhook = await AdmissionWebhook.start(controlPlane, 'Validating', 'dead-webhook');
    await webhook.stop();
    const outcome = await (await lockIn('dead-webhook')).create(RECORD, request());
    expect(messageOf(outcome)).toMatch(/^unknown: .*failed calling webhook "leases\.acme\.test"/);
  });
});

describe('when something else refuses what a real API server is asked', () => {
  it('a quota, says so', async () => {
    const namespace = 'quota';
    await controlPlane.createNamespace(namespace);
    const hard = { 'count/leases.coordination.k8s.io': '0' };
    const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
    const quota = { metadata: { name: 'none' }, spec: { hard } };
    await controlPlane.request('POST', quotas, quota);
    // What the controller would do.
    const status = { hard, used: hard };
    await controlPlane.request('PATCH', `${quotas}/none/status`, { status });
    let leases = 0;
    await eventually(async () => {
      const lock = await lockIn(namespace, `plan-${++leases}`);
      const message = messageOf(await lock.create(RECORD, request()));
      expect(message).toMatch(/^not-applied: .*exceeded quota: none.*comes from admission/);
      expect(message).not.toContain('rules:');
    }, 20_000);
  });

  it('the right to impersonate is missing, says that and not that of the Lease', async () => {
    await controlPlane.createNamespace('impersonation');
    await controlPlane.createServiceAccount('impersonation', 'modest');
    const token = await controlPlane.createToken('impersonation', 'modest');
    const file = controlPlane.kubeconfigForUser({
      token,
      as: 'admin',
      'as-groups': ['system:masters'],
    });
    const outcome = await (await lockIn('impersonation', 'plan', file)).read(request());
    expect(messageOf(outcome)).toMatch(
      /may not act as another user.*impersonate on (users|groups)/,
    );
    expect(messageOf(outcome)).not.toContain('rules:');
  });
});

describe('when a webhook changes what a real API server stores', () => {
  it('answers with what is stored, not with what was sent', async () => {
    const namespace = 'mutated';
    await controlPlane.createNamespace(namespace);
    const webhook = await AdmissionWebhook.start(controlPlane, 'Mutating', namespace);
    webhook.answer = {
      allowed: true,
      patch: [
        { op: 'replace', path: '/spec/leaseDurationSeconds', value: 7 },
        { op: 'replace', path: '/spec/holderIdentity', value: 'somebody' },
      ],
    };
    const lock = await lockIn(namespace);
    const lease = await created(lock);
    const read = await lock.read(request());
    await webhook.stop();
    expect(lease.record).toMatchObject({ leaseDurationSeconds: 7, holderIdentity: 'somebody' });
    expect(read).toMatchObject({ kind: 'found', stored: { record: lease.record } });
  });
});
