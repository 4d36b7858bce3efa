import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, expect } from '@jest/globals';
import { LeaderElectionOptionsError, type OptionFault } from '../../../lib/core/errors.js';
import type { LockRequester, ResourceLock } from '../../../lib/core/resource-lock.js';
import { PodEnvironment } from '../../../lib/kubernetes/connection/pod-environment.js';
import { leaseAddress } from '../../../lib/kubernetes/object-request.js';
import {
  decodeLease,
  encodeReplacement,
} from '../../../lib/locks/kubernetes/lease-record.codec.js';
import {
  leaseLock,
  leaseLockIn,
  type LeaseLockOptions,
} from '../../../lib/locks/kubernetes/lease.lock.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { selfSignedCertificate } from '../../../proof/api-emulator/certificate.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import type { FaultKind } from '../../../proof/api-emulator/fault.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { storeFaultsOf } from '../emulated-faults.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const REQUESTER: LockRequester = { leaseName: 'plan', namespace: 'default', identity: 'first' };
const RECORD = held('first');
const ADDRESS = leaseAddress('default', 'plan');

describeResourceLock(
  'leaseLock() on the API emulator',
  async () => {
    const emulator = await ApiEmulator.start();
    const lock = () => leaseLock({ kubeConfig: kubeConfigTo(emulator.url) });
    return {
      first: await lock()(REQUESTER),
      firstIdentity: 'first',
      second: await lock()({ ...REQUESTER, identity: 'second' }),
      secondIdentity: 'second',
      name: 'default/plan',
      deleteByHand: async () => void emulator.store.delete('default', 'plan'),
      editByHand: async (change) => {
        const stored = decodeLease(emulator.store.get('default', 'plan'), ADDRESS);
        if (stored.kind === 'unusable') throw new Error(stored.problem);
        const { lease } = stored;
        const body = encodeReplacement({ ...lease.record, ...change }, lease, ADDRESS);
        emulator.store.update('default', 'plan', body, 'kubectl-edit');
      },
      ...storeFaultsOf(emulator),
      dispose: () => emulator.stop(),
    };
  },
  ['competitors'],
);

describe('leaseLock(), when it talks to the API server', () => {
  let emulator: ApiEmulator;
  let lock: ResourceLock;

  beforeEach(async () => {
    emulator = await ApiEmulator.start();
    lock = await leaseLock({ kubeConfig: kubeConfigTo(emulator.url) })(REQUESTER);
  });

  afterEach(async () => {
    await lock.close?.();
    await emulator.stop();
  });

  async function created() {
    const outcome = await lock.create(RECORD, request());
    if (outcome.kind !== 'applied') throw new Error(outcome.kind);
    return outcome.stored;
  }

  it('sends no POST with createLease: false, and names the object and the manifest to apply', async () => {
    const locked = await leaseLock({ kubeConfig: kubeConfigTo(emulator.url) })({
      ...REQUESTER,
      createLease: false,
    });
    const manifest = (name: string) =>
      `Lease default/${name} does not exist, and createLease: false leaves it to whoever deploys the application. ` +
      'The replicas take it as soon as it is there. Apply this manifest, or set createLease: true and allow create:\n' +
      `apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: ${name}\n  namespace: default`;
    const document = locked.sibling!('schedule');
    expect([
      await locked.create(RECORD, request()),
      await document.create({ jobs: {} }, request()),
    ]).toEqual([
      { kind: 'not-applied', error: expect.objectContaining({ message: manifest('plan') }) },
      {
        kind: 'not-applied',
        error: expect.objectContaining({ message: manifest('plan-schedule') }),
      },
    ]);
    expect(emulator.requests).toEqual([]);

    const lease = await created();
    expect(await locked.replace(RECORD, lease, request())).toMatchObject({ kind: 'applied' });
    await locked.close?.();
  });

  it('reads from etcd and not from a cache: it names no resourceVersion', async () => {
    await lock.read(request());
    expect([...(emulator.requests[0]?.query.keys() ?? [])]).toEqual(['timeout']);
  });

  it('names version and uid in every replacement, and keeps what it does not know', async () => {
    const lease = await created();
    const metadata = { labels: { team: 'x' }, annotations: { note: 'n' } };
    emulator.store.patch('default', 'plan', { metadata, spec: { strategy: 'S' } }, 'kubectl');
    const read = await lock.read(request());
    if (read.kind !== 'found') throw new Error(read.kind);
    await lock.replace({ ...RECORD, renewTimeMicros: 2_000_000 }, read.stored, request());
    const [put] = emulator.requestsOf('update');
    expect(put?.body).toMatchObject({
      metadata: { uid: lease.uid, resourceVersion: String(read.stored.revision) },
    });
    const stored = emulator.store.get('default', 'plan');
    expect(stored).toMatchObject({ metadata, spec: { strategy: 'S' } });
    expect(stored?.spec['renewTime']).toBe('1970-01-01T00:00:02.000000Z');
  });

  it('uses get, create and update and nothing else', async () => {
    const lease = await created();
    await lock.read(request());
    await lock.replace({ ...RECORD, leaseTransitions: 2 }, lease, request());
    expect(emulator.requests.map(({ verb }) => verb)).toEqual(['create', 'get', 'update']);
    expect(emulator.connections).toBe(1);
  });

  it('gives the watch a connection of its own, and requests go on over theirs', async () => {
    await lock.read(request());
    const recorded = new RecordedWatch();
    const watch = lock.watch?.(recorded, { silenceLimitMs: 60_000 });
    await recorded.until(({ openings }) => openings === 1);
    await lock.read(request());
    const [before, watching, after] = emulator.requests.map(({ connection }) => connection);
    expect(watching).not.toBe(before);
    expect(after).toBe(before);
    watch?.close();
  });

  it.each<[FaultKind, boolean, string]>([
    [{ kind: 'answer', status: 500, body: 'x' }, true, 'unknown'],
    [{ kind: 'answer', status: 504, body: 'x' }, true, 'unknown'],
    [{ kind: 'reset' }, true, 'unknown'],
    [{ kind: 'reset-in-body' }, true, 'unknown'],
    [{ kind: 'hang' }, true, 'unknown'],
    [{ kind: 'answer', status: 200, body: '<html>' }, false, 'unknown'],
    [{ kind: 'answer', status: 403, body: 'x' }, false, 'not-applied'],
    [{ kind: 'answer', status: 429, body: 'x' }, false, 'not-applied'],
  ])(
    'when a write meets %j, the outcome is honest and it is not repeated',
    async (fault, applies, kind) => {
      const lease = await created();
      emulator.fail({ fault, applies });
      const record = { ...RECORD, renewTimeMicros: 2_000_000 };
      expect(
        (await lock.replace(record, lease, request(fault.kind === 'hang' ? 500 : undefined))).kind,
      ).toBe(kind);
      expect(emulator.requestsOf('update')).toHaveLength(1);
      const read = await lock.read(request());
      const expected = applies ? record : RECORD;
      expect(read).toMatchObject({ kind: 'found', stored: { record: expected } });
    },
  );

  it('when a PUT is delivered twice, the second is a conflict', async () => {
    const lease = await created();
    const record = { ...RECORD, renewTimeMicros: 2_000_000 };
    const first = await lock.replace(record, lease, request());
    expect(first.kind).toBe('applied');
    expect((await lock.replace(record, lease, request())).kind).toBe('conflict');
  });

  it('when the namespace is missing, reads absent and explains the refused creation', async () => {
    emulator.store.namespaces.clear();
    expect((await lock.read(request())).kind).toBe('absent');
    const outcome = await lock.create(RECORD, request());
    expect(outcome).toMatchObject({ kind: 'not-applied', error: { reason: 'rejected' } });
    expect(String('error' in outcome && outcome.error)).toContain('Create the namespace default');
  });

  it('when the server is away, reports it and finds it again', async () => {
    const { port, store } = emulator;
    const lease = await created();
    await emulator.stop();
    const away = await lock.replace({ ...RECORD, leaseTransitions: 2 }, lease, request());
    expect(away.kind).toMatch(/not-applied|unknown/);
    expect(await lock.create(RECORD, request())).toMatchObject({
      kind: 'not-applied',
      error: { reason: 'unreachable', code: 'ERR_LOCK_REQUEST' },
    });
    emulator = await ApiEmulator.start({ port, store });
    expect((await lock.read(request())).kind).toBe('found');
  });

  it('never tells the token', async () => {
    await emulator.stop();
    await lock.close?.();
    const certificate = selfSignedCertificate();
    emulator = await ApiEmulator.start({ certificate });
    const credentials = { token: 'very-secret-token', ca: certificate.cert };
    const kubeConfig = kubeConfigTo(emulator.url, undefined, credentials);
    lock = await leaseLock({ kubeConfig })(REQUESTER);
    emulator.fail({ fault: { kind: 'answer', status: 401 } });
    emulator.fail({ fault: { kind: 'answer', status: 401, body: 'bad: very-secret-token' } });
    const outcome = await lock.read(request());
    if (outcome.kind !== 'failed') throw new Error(outcome.kind);
    expect(outcome.error.message).toContain('401');
    expect(`${outcome.error.stack}${JSON.stringify(outcome.error)}`).not.toContain('very-secret');
  });
});

const TEXT: unknown = expect.stringMatching(/./);

function faultsOf(options: unknown): readonly OptionFault[] {
  try {
    leaseLock(options as LeaseLockOptions);
  } catch (error) {
    if (error instanceof LeaderElectionOptionsError) return error.faults;
    throw error;
  }
  return [];
}

describe('leaseLock(), when its options are wrong', () => {
  it.each<[string, unknown, string[]]>([
    ['null', null, ['leaseLock']],
    ['a text', 'default', ['leaseLock']],
    ['an unknown kubeConfig', { kubeConfig: 'laptop' }, ['leaseLock.kubeConfig']],
    ['a path for a kubeConfig', { kubeConfig: '/home/me/.kube/config' }, ['leaseLock.kubeConfig']],
    ['an object that is no KubeConfig', { kubeConfig: {} }, ['leaseLock.kubeConfig']],
    ['null for a kubeConfig', { kubeConfig: null }, ['leaseLock.kubeConfig']],
    ['an empty file', { kubeConfigFile: '' }, ['leaseLock.kubeConfigFile']],
    ['a number for a file', { kubeConfigFile: 1 }, ['leaseLock.kubeConfigFile']],
    [
      'two kubeconfigs',
      { kubeConfig: 'default', kubeConfigFile: 'f' },
      ['leaseLock.kubeConfigFile'],
    ],
    ['a context of nothing', { context: 'c' }, ['leaseLock.context']],
    ['a context in the pod', { kubeConfig: 'in-cluster', context: 'c' }, ['leaseLock.context']],
    ['an empty context', { kubeConfig: 'default', context: ' ' }, ['leaseLock.context']],
    ['a misspelt option', { kubeconfig: 'default' }, ['leaseLock.kubeconfig']],
    [
      'several at once',
      { kubeConfig: 1, kubeConfigFile: 2, context: 3 },
      ['leaseLock.kubeConfig', 'leaseLock.kubeConfigFile', 'leaseLock.context'],
    ],
  ])('%s, throws at the call and names every fault', (_, options, fields) => {
    const faults = faultsOf(options);
    expect(faults.map(({ field }) => field)).toEqual(fields);
    for (const fault of faults) expect(fault).toMatchObject({ rule: TEXT, fix: TEXT });
  });
});

describe('leaseLock(), when it looks for its cluster', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lease-lock-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const ENV = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' };
  const inPod = (options: LeaseLockOptions, env: Record<string, string> = ENV) =>
    leaseLockIn(new PodEnvironment(env, directory), options);
  const mount = (file: string) => writeFileSync(join(directory, file), 'plans');

  it('outside a pod, does not start and names the choices', async () => {
    const outside = new PodEnvironment({}, join(directory, 'absent'));
    const starting = leaseLockIn(outside, {})(REQUESTER) as Promise<unknown>;
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(/- leaseLock\.kubeConfig: this process does not run/);
    await expect(starting).rejects.toThrow(/kubeConfig: 'default'/);
    // It may be a container, which shares no default directory with another.
    await expect(starting).rejects.not.toThrow(/lock: 'file'/);
  });

  it('in half a pod, does not start and names what is missing, and no other lock', async () => {
    const starting = inPod({}, {})(REQUESTER) as Promise<unknown>;
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(/KUBERNETES_SERVICE_HOST is not set(.|\n)*no .*token/);
    await expect(starting).rejects.not.toThrow(/'file'|fileLock|'memory'/);
  });

  it('inside a pod, takes the namespace of the pod', async () => {
    mount('token');
    mount('ca.crt');
    mount('namespace');
    const lock = await inPod({})({ ...REQUESTER, namespace: undefined });
    expect(lock.describe()).toBe('Lease plans/plan');
  });

  it('inside a pod, prefers the namespace that is asked for', async () => {
    mount('token');
    mount('ca.crt');
    mount('namespace');
    expect((await inPod({})(REQUESTER)).describe()).toBe('Lease default/plan');
  });

  it('and nothing tells the namespace, asks for the option', async () => {
    mount('token');
    mount('ca.crt');
    const starting = inPod({})({ ...REQUESTER, namespace: undefined });
    await expect(starting).rejects.toThrow(/set the option namespace/);
  });

  it('inside a pod without a token, reports that with every request', async () => {
    const lock = await inPod({ kubeConfig: 'in-cluster' })(REQUESTER);
    const outcomes = [await lock.read(request()), await lock.create(RECORD, request())];
    expect(outcomes).toMatchObject([
      { kind: 'failed', error: { reason: 'unreachable' } },
      { kind: 'not-applied', error: { reason: 'unreachable' } },
    ]);
    expect(JSON.stringify(outcomes.map((each) => 'error' in each && each.error.message))).toContain(
      join(directory, 'token'),
    );
  });

  it('in a KubeConfig, takes the namespace of its context', async () => {
    const kubeConfig = kubeConfigTo('http://127.0.0.1:1', 'from-context');
    const lock = await leaseLock({ kubeConfig })({ ...REQUESTER, namespace: undefined });
    expect(lock.describe()).toBe('Lease from-context/plan');
  });

  it('in a KubeConfig whose context names no namespace, asks for the option', async () => {
    const kubeConfig = kubeConfigTo('http://127.0.0.1:1');
    const starting = leaseLock({ kubeConfig })({ ...REQUESTER, namespace: undefined });
    await expect(starting).rejects.toThrow(/set the option namespace/);
  });

  it('in a KubeConfig without the asked context, names those it has', async () => {
    const kubeConfig = kubeConfigTo('http://127.0.0.1:1');
    const starting = leaseLock({ kubeConfig, context: 'other' })(REQUESTER);
    await expect(starting).rejects.toThrow(/name one of: test/);
  });

  it('in a file that is not there yet, starts, reports it, and goes on once it is', async () => {
    const emulator = await ApiEmulator.start();
    const kubeConfigFile = join(directory, 'config');
    const requester = { ...REQUESTER, namespace: undefined };
    const lock = await leaseLock({ kubeConfigFile })(requester);
    expect(lock.describe()).toBe('Lease (namespace of the kubeconfig)/plan');
    const before = await lock.create(RECORD, request());
    expect(before).toMatchObject({ kind: 'not-applied', error: { reason: 'unreachable' } });
    const cluster = { server: emulator.url, 'insecure-skip-tls-verify': true };
    const context = { cluster: 'c', user: 'u', namespace: 'default' };
    writeFileSync(
      kubeConfigFile,
      JSON.stringify({
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user: { token: 't' } }],
        contexts: [{ name: 'c', context }],
        'current-context': 'c',
      }),
    );
    expect((await lock.create(RECORD, request())).kind).toBe('applied');
    expect(lock.describe()).toBe('Lease default/plan');
    await lock.close?.();
    await emulator.stop();
  });
});
