import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it, expect } from '@jest/globals';
import { leaseAddress, objectPath } from '../../../lib/kubernetes/object-request.js';
import {
  decodeLease,
  encodeReplacement,
} from '../../../lib/locks/kubernetes/lease-record.codec.js';
import { DOCUMENT_ANNOTATION } from '../../../lib/locks/kubernetes/lease-store.js';
import { leaseLock } from '../../../lib/locks/kubernetes/lease.lock.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../../proof/control-plane/control-plane.js';
import { HttpFaultFront } from '../../../proof/fault-proxy/http-fault-front.js';
import { describeDocumentStore } from '../document-store.contract.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const NAMESPACE = 'lease-lock';
const RECORD = held('first');

let controlPlane: ControlPlane;
/** A load balancer on the way of the first candidate to the server. */
let front: HttpFaultFront;
let firstKubeconfig: string;
let leases = 0;

beforeAll(async () => {
  controlPlane = await ControlPlane.start();
  await controlPlane.createNamespace(NAMESPACE);
  const { directory, caFile, adminKubeconfig, ports } = controlPlane;
  const [cert, key, ca] = [
    join(directory, 'apiserver.crt'),
    join(directory, 'apiserver.key'),
    caFile,
  ].map((path) => readFileSync(path, 'utf8')) as [string, string, string];
  front = await HttpFaultFront.start({ cert, key, ca }, () => ports[0]!);
  const config = JSON.parse(readFileSync(adminKubeconfig, 'utf8'));
  config.clusters[0].cluster.server = `https://127.0.0.1:${front.port}`;
  firstKubeconfig = join(directory, 'first.kubeconfig');
  writeFileSync(firstKubeconfig, JSON.stringify(config), { mode: 0o600 });
}, FIRST_START_LIMIT_MS);

afterAll(async () => {
  await front?.stop();
  await controlPlane?.stop();
});

function requester(leaseName: string, identity = 'first') {
  return { leaseName, namespace: NAMESPACE, identity };
}

/** Two candidates of one lease, with a connection each. */
async function contenders(leaseName: string) {
  const lock = (kubeConfigFile: string) => leaseLock({ kubeConfigFile });
  return {
    first: await lock(firstKubeconfig)(requester(leaseName)),
    second: await lock(controlPlane.adminKubeconfig)(requester(leaseName, 'second')),
  };
}

/** The load balancer fails after or before the server has the request. */
const faults = {
  loseAnswer: async () => front.answer({ status: 503, reachesServer: true }),
  interrupt: async () => {
    front.answer({ status: 503, reachesServer: false });
    return async () => front.answer(undefined);
  },
};

describeResourceLock(
  'leaseLock() on a real API server',
  async () => {
    front.answer(undefined);
    const leaseName = `contract-${++leases}`;
    const address = leaseAddress(NAMESPACE, leaseName);
    const path = objectPath(address);
    const remove = async () => void (await controlPlane.request('DELETE', path));
    return {
      ...(await contenders(leaseName)),
      firstIdentity: 'first',
      secondIdentity: 'second',
      name: `${NAMESPACE}/${leaseName}`,
      deleteByHand: remove,
      editByHand: async (change) => {
        const { body } = await controlPlane.request('GET', path);
        const stored = decodeLease(body, address);
        if (stored.kind === 'unusable') throw new Error(stored.problem);
        const { record } = stored.lease;
        const edited = encodeReplacement({ ...record, ...change }, stored.lease, address);
        await controlPlane.request('PUT', path, edited);
      },
      ...faults,
      dispose: remove,
    };
  },
  ['competitors'],
);

describeDocumentStore(
  'leaseLock().sibling() on a real API server',
  async () => {
    front.answer(undefined);
    const leaseName = `contract-${++leases}`;
    const path = objectPath(leaseAddress(NAMESPACE, `${leaseName}-schedule`));
    const remove = async () => void (await controlPlane.request('DELETE', path));
    return {
      ...(await contenders(leaseName)),
      deleteByHand: remove,
      spoilByHand: async () => {
        const annotations = { [DOCUMENT_ANNOTATION]: 'not json' };
        await controlPlane.request('PATCH', path, { metadata: { annotations } });
      },
      ...faults,
      dispose: remove,
    };
  },
  [],
);

describe('leaseLock(), as a service account of a real API server', () => {
  const rule = (...verbs: string[]) => ({
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs,
  });

  async function lockOf(account: string, leaseName: string, rules: ReturnType<typeof rule>[]) {
    await controlPlane.createServiceAccount(NAMESPACE, account);
    await controlPlane.applyRole(NAMESPACE, account, rules);
    const token = await controlPlane.createToken(NAMESPACE, account);
    const kubeConfigFile = controlPlane.kubeconfigFor(token, NAMESPACE);
    return leaseLock({ kubeConfigFile })({ ...requester(leaseName), namespace: undefined });
  }

  it('when a right is missing, names the account and the rule to add', async () => {
    const lock = await lockOf('without-rights', 'denied', []);
    const read = await lock.read(request());
    const write = await lock.create(RECORD, request());
    await lock.close?.();
    if (read.kind !== 'failed' || write.kind !== 'not-applied') throw new Error(write.kind);
    expect(read.error.message).toContain('service account without-rights of namespace lease-lock');
    expect(read.error.message).toContain('resourceNames: ["denied"]\n    verbs: ["get"]');
    expect(write.error.message).toContain('verbs: ["create"]');
    expect(write.error.message).toContain('cannot be limited by resourceNames');
  });

  it('when it has exactly the rules that the messages name, can do everything', async () => {
    const limited = { ...rule('get', 'update', 'watch'), resourceNames: ['allowed'] };
    const lock = await lockOf('least-rights', 'allowed', [rule('create'), limited]);
    const recorded = new RecordedWatch();
    const watch = lock.watch?.(recorded, { silenceLimitMs: 60_000 });
    await recorded.until(({ openings }) => openings === 1);
    const created = await lock.create(RECORD, request());
    if (created.kind !== 'applied') throw new Error(created.kind);
    await recorded.untilShows(RECORD);
    const next = { ...RECORD, renewTimeMicros: 2_000_000 };
    expect((await lock.replace(next, created.stored, request())).kind).toBe('applied');
    expect((await lock.read(request())).kind).toBe('found');
    await recorded.untilShows(next);
    watch?.close();
    await lock.close?.();
  });

  it('when the server was killed and is back, the watch and the requests go on', async () => {
    const lock = await leaseLock({ kubeConfigFile: controlPlane.adminKubeconfig })(
      requester('outage'),
    );
    const recorded = new RecordedWatch();
    const watch = lock.watch?.(recorded, { silenceLimitMs: 60_000 });
    await recorded.until(({ openings }) => openings === 1);
    await controlPlane.killApiServer();
    expect((await lock.create(RECORD, request())).kind).toMatch(/unknown|not-applied/);
    await controlPlane.startApiServer();
    await recorded.until(({ openings }) => openings >= 2);
    expect((await lock.create(RECORD, request())).kind).toBe('applied');
    await recorded.untilShows(RECORD);
    watch?.close();
    await lock.close?.();
  });
});
