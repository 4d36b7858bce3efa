import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { configMapAddress, objectPath } from '../../../lib/kubernetes/object-request.js';
import { configMapLock } from '../../../lib/locks/kubernetes/config-map.lock.js';
import { ConfigMapRecordCodec } from '../../../lib/locks/kubernetes/config-map-record.codec.js';
import { DOCUMENT_ANNOTATION } from '../../../lib/locks/kubernetes/lease-store.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../../proof/control-plane/control-plane.js';
import { describeDocumentStore } from '../document-store.contract.js';
import { held, NOW_MICROS } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const NAMESPACE = 'config-map-lock';

let controlPlane: ControlPlane;
let made = 0;

beforeAll(async () => {
  controlPlane = await ControlPlane.start();
  await controlPlane.createNamespace(NAMESPACE);
}, FIRST_START_LIMIT_MS);

afterAll(() => controlPlane?.stop());

const requester = (identity: string, leaseName = 'plan') => ({
  leaseName,
  namespace: NAMESPACE,
  identity,
});

/** Two candidates of one lease, with a connection each. */
async function contenders(name: string, clientGo = false, leaseName = 'plan') {
  const lock = () =>
    configMapLock({ kubeConfigFile: controlPlane.adminKubeconfig, name, clientGo });
  return {
    first: await lock()(requester('first', leaseName)),
    second: await lock()(requester('second', leaseName)),
  };
}

describe.each([
  ['its own annotation', false],
  ["client-go's annotation", true],
])('configMapLock() in %s', (_, isClientGo) => {
  describeResourceLock(
    'on a real API server',
    async () => {
      const name = `contract-${++made}`;
      // The leases beside it are objects that are named after it, and stay.
      const leaseName = `plan-${made}`;
      const address = configMapAddress(NAMESPACE, name);
      const path = objectPath(address);
      const entry = { leaseName, role: leaseName, isClientGo, podName: undefined };
      const codec = new ConfigMapRecordCodec(entry);
      const remove = async () => void (await controlPlane.request('DELETE', path));
      return {
        ...(await contenders(name, isClientGo, leaseName)),
        firstIdentity: 'first',
        secondIdentity: 'second',
        name: `${NAMESPACE}/${name}`,
        deleteByHand: remove,
        editByHand: async (change) => {
          const { body } = await controlPlane.request('GET', path);
          const stored = codec.decode(body, address);
          if (stored.kind === 'unusable') throw new Error(stored.problem);
          const record = { ...stored.lease.record, ...change };
          await controlPlane.request('PUT', path, codec.replaced(record, stored.lease, address));
        },
        dispose: remove,
      };
    },
    ['competitors', 'lost-answers', 'outages'],
  );
});

describeDocumentStore(
  'configMapLock().sibling() on a real API server',
  async () => {
    const leaseName = `document-${++made}`;
    const path = objectPath(configMapAddress(NAMESPACE, `${leaseName}-schedule`));
    const remove = async () => void (await controlPlane.request('DELETE', path));
    return {
      ...(await contenders('leaders', false, leaseName)),
      deleteByHand: remove,
      spoilByHand: async () => {
        const annotations = { [DOCUMENT_ANNOTATION]: 'not json' };
        await controlPlane.request('PATCH', path, { metadata: { annotations } });
      },
      dispose: remove,
    };
  },
  ['lost-answers', 'outages'],
);

describe('configMapLock(), on a real API server', () => {
  const rule = (...verbs: string[]) => ({ apiGroups: [''], resources: ['configmaps'], verbs });

  async function lockOf(account: string, name: string, rules: ReturnType<typeof rule>[]) {
    await controlPlane.createServiceAccount(NAMESPACE, account);
    await controlPlane.applyRole(NAMESPACE, account, rules);
    const token = await controlPlane.createToken(NAMESPACE, account);
    const kubeConfigFile = controlPlane.kubeconfigFor(token, NAMESPACE);
    return configMapLock({ kubeConfigFile, name })({ ...requester('first'), namespace: undefined });
  }

  it('when a right is missing, names the account and the rule to add', async () => {
    const lock = await lockOf('without-rights', 'denied', []);
    const read = await lock.read(request());
    const write = await lock.create(held('first'), request());
    await lock.close?.();
    if (read.kind !== 'failed' || write.kind !== 'not-applied') throw new Error(write.kind);
    expect(read.error.message).toContain('service account without-rights of namespace');
    expect(read.error.message).toContain('resourceNames: ["denied"]\n    verbs: ["get"]');
    expect(write.error.message).toContain('resources: ["configmaps"]\n    verbs: ["create"]');
  });

  it('when it has exactly the rules that the messages name, can do everything', async () => {
    const limited = { ...rule('get', 'update', 'watch'), resourceNames: ['allowed'] };
    const lock = await lockOf('least-rights', 'allowed', [rule('create'), limited]);
    const recorded = new RecordedWatch();
    const watch = lock.watch?.(recorded, { silenceLimitMs: 60_000 });
    await recorded.until(({ openings }) => openings === 1);
    const created = await lock.create(held('first'), request());
    if (created.kind !== 'applied') throw new Error(created.kind);
    await recorded.untilShows(held('first'));
    const next = held('first', { renewTimeMicros: NOW_MICROS + 1 });
    expect((await lock.replace(next, created.stored, request())).kind).toBe('applied');
    await recorded.untilShows(next);
    watch?.close();
    await lock.close?.();
  });

  it('when the ConfigMap is immutable, says that it cannot hold a lock', async () => {
    const path = objectPath(configMapAddress(NAMESPACE, ''));
    const body = { metadata: { name: 'locked' }, immutable: true, data: { a: 'b' } };
    await controlPlane.request('POST', path.replace(/\/$/, ''), body);
    const { first, second } = await contenders('locked');
    const read = await first.read(request());
    if (read.kind !== 'found') throw new Error(read.kind);
    const outcome = await first.replace(held('first'), read.stored, request());
    await first.close?.();
    await second.close?.();
    expect(outcome.kind).toBe('not-applied');
    expect('error' in outcome && outcome.error.message).toContain('without immutable: true');
  });

  it('keeps the leases of several roles and what Spring reads of each', async () => {
    const { first: plans, second: spare } = await contenders('leaders', false, 'plans');
    const { first: mails, second } = await contenders('leaders', false, 'mails');
    for (const lock of [plans, mails]) {
      const read = await lock.read(request());
      const outcome =
        read.kind === 'found'
          ? await lock.replace(held('first'), read.stored, request())
          : await lock.create(held('first'), request());
      expect(outcome.kind).toBe('applied');
    }
    const path = objectPath(configMapAddress(NAMESPACE, 'leaders'));
    const { body } = await controlPlane.request('GET', path);
    expect(body).toMatchObject({
      data: { 'leader.id.plans': 'first', 'leader.id.mails': 'first' },
    });
    for (const lock of [plans, spare, mails, second]) await lock.close?.();
  });
});
