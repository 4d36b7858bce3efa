import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderElectionOptionsError } from '../../../lib/core/errors.js';
import { isCleanRelease, type LeaseRecord } from '../../../lib/core/lease-record.js';
import type { LockRequester, ResourceLock } from '../../../lib/core/resource-lock.js';
import { configMapAddress } from '../../../lib/kubernetes/object-request.js';
import { PodEnvironment } from '../../../lib/kubernetes/connection/pod-environment.js';
import {
  configMapLock,
  configMapLockIn,
  type ConfigMapLockOptions,
} from '../../../lib/locks/kubernetes/config-map.lock.js';
import { ConfigMapRecordCodec } from '../../../lib/locks/kubernetes/config-map-record.codec.js';
import { DOCUMENT_ANNOTATION } from '../../../lib/locks/kubernetes/lease-store.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import { describeDocumentStore } from '../document-store.contract.js';
import { held, NOW_MICROS } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { storeFaultsOf } from '../emulated-faults.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const CLIENT_GO = 'control-plane.alpha.kubernetes.io/leader';
const ADDRESS = configMapAddress('default', 'leaders');
const REQUESTER: LockRequester = { leaseName: 'plan', namespace: 'default', identity: 'first' };
const NO_POD = new PodEnvironment({}, '/nowhere');

interface ConfigMap {
  metadata: { annotations?: Record<string, string>; uid: string; resourceVersion: string };
  data?: Record<string, string>;
  immutable?: boolean;
}

const stored = (emulator: ApiEmulator, name = 'leaders') =>
  emulator.configMaps.get('default', name) as unknown as ConfigMap;

/** As an operator would, with kubectl. */
function edit(emulator: ApiEmulator, change: object, name = 'leaders'): void {
  emulator.configMaps.patch('default', name, change as never, 'kubectl-edit');
}

function lockTo(
  emulator: ApiEmulator,
  requester: Partial<LockRequester> = {},
  options: ConfigMapLockOptions = {},
  pod = NO_POD,
): Promise<ResourceLock> {
  const kubeConfig = kubeConfigTo(emulator.url);
  const made = configMapLockIn(pod, { kubeConfig, ...options });
  return Promise.resolve(made({ ...REQUESTER, ...requester }));
}

describe.each([
  ['its own annotation', false],
  ["client-go's annotation", true],
])('configMapLock() in %s', (_, isClientGo) => {
  describeResourceLock(
    'on the API emulator',
    async () => {
      const emulator = await ApiEmulator.start();
      const entry = { leaseName: 'plan', role: 'plan', isClientGo, podName: undefined };
      const codec = new ConfigMapRecordCodec(entry);
      return {
        first: await lockTo(emulator, {}, { clientGo: isClientGo }),
        firstIdentity: 'first',
        second: await lockTo(emulator, { identity: 'second' }, { clientGo: isClientGo }),
        secondIdentity: 'second',
        name: 'default/leaders',
        deleteByHand: async () => void emulator.configMaps.delete('default', 'leaders'),
        editByHand: async (change) => {
          const found = codec.decode(stored(emulator), ADDRESS);
          if (found.kind === 'unusable') throw new Error(found.problem);
          const body = codec.replaced({ ...found.lease.record, ...change }, found.lease, ADDRESS);
          emulator.configMaps.update('default', 'leaders', body as never, 'kubectl-edit');
        },
        ...storeFaultsOf(emulator),
        dispose: () => emulator.stop(),
      };
    },
    ['competitors'],
  );
});

describeDocumentStore(
  'configMapLock().sibling() on the API emulator',
  async () => {
    const emulator = await ApiEmulator.start();
    return {
      first: await lockTo(emulator),
      second: await lockTo(emulator, { identity: 'second' }),
      deleteByHand: async () => void emulator.configMaps.delete('default', 'plan-schedule'),
      spoilByHand: async () => {
        const annotations = { [DOCUMENT_ANNOTATION]: 'not json' };
        edit(emulator, { metadata: { annotations } }, 'plan-schedule');
      },
      ...storeFaultsOf(emulator),
      dispose: () => emulator.stop(),
    };
  },
  [],
);

describe('configMapLock(), when it talks to the API server', () => {
  let emulator: ApiEmulator;
  let locks: ResourceLock[];

  beforeEach(async () => {
    emulator = await ApiEmulator.start();
    locks = [];
  });

  afterEach(async () => {
    for (const lock of locks) await lock.close?.();
    await emulator.stop();
  });

  async function lockOf(
    ...given: Parameters<typeof lockTo> extends [unknown, ...infer R] ? R : never
  ) {
    const lock = await lockTo(emulator, ...given);
    locks.push(lock);
    return lock;
  }

  async function created(lock: ResourceLock, record: LeaseRecord) {
    const outcome = await lock.create(record, request());
    if (outcome.kind !== 'applied') throw new Error(outcome.kind);
    return outcome.stored;
  }

  async function found(lock: ResourceLock) {
    const outcome = await lock.read(request());
    if (outcome.kind !== 'found') throw new Error(outcome.kind);
    return outcome.stored;
  }

  const RELEASE: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 1 };

  describe("for the readers of Spring's first integration", () => {
    it.each<[string, Record<string, string>, string]>([
      ['POD_NAME', { POD_NAME: 'plan-7' }, 'plan-7'],
      ['what stands before the underscore of the identity', {}, 'pod-a'],
    ])('names the pod of the leader of the role, by %s', async (_, env, podName) => {
      const pod = new PodEnvironment(env, '/nowhere');
      const lock = await lockOf({ role: 'planScheduler', identity: 'pod-a_1' }, {}, pod);
      await created(lock, held('pod-a_1'));
      expect(stored(emulator).data).toEqual({ 'leader.id.planScheduler': podName });
    });

    it('takes the name away with the release, as Spring does, and leaves those of other roles', async () => {
      const lock = await lockOf();
      await created(lock, held('first'));
      edit(emulator, { data: { 'leader.id.other': 'pod-b' } });
      await lock.replace(held('first', RELEASE), await found(lock), request());
      expect(stored(emulator).data).toEqual({ 'leader.id.other': 'pod-b' });
    });

    it('leaves the name of another pod that Spring has written meanwhile', async () => {
      const lock = await lockOf();
      await created(lock, held('first'));
      edit(emulator, { data: { 'leader.id.plan': 'pod-of-spring' } });
      await lock.replace(held('first', RELEASE), await found(lock), request());
      expect(stored(emulator).data).toEqual({ 'leader.id.plan': 'pod-of-spring' });
    });

    it('says it again with the next renewal when it was changed, and keeps its timing', async () => {
      const lock = await lockOf();
      const before = await created(lock, held('first'));
      edit(emulator, { data: { 'leader.id.plan': 'pod-of-spring' } });
      const edited = await found(lock);
      expect(edited.timingKey).toBe(before.timingKey);
      await lock.replace(held('first', { renewTimeMicros: NOW_MICROS + 1 }), edited, request());
      expect(stored(emulator).data).toEqual({ 'leader.id.plan': 'first' });
    });
  });

  describe('for several roles in one ConfigMap', () => {
    it('keeps the record of each, and one that is renewed is news to that role alone', async () => {
      const plans = await lockOf();
      const mails = await lockOf({ leaseName: 'mails', identity: 'second' });
      const lease = await created(plans, held('first'));
      expect((await mails.create(held('second'), request())).kind).toBe('conflict');
      expect((await found(mails)).record.holderIdentity).toBe('');
      await mails.replace(held('second', { leaseTransitions: 5 }), await found(mails), request());

      const after = await found(plans);
      expect(after.record).toEqual(lease.record);
      expect(after.timingKey).toBe(lease.timingKey);
      expect(after.revision > lease.revision).toBe(true);
      const renewal = held('first', { renewTimeMicros: NOW_MICROS + 1 });
      expect((await plans.replace(renewal, after, request())).kind).toBe('applied');
      expect((await found(mails)).record.leaseTransitions).toBe(5);
      expect(stored(emulator).data).toEqual({
        'leader.id.plan': 'first',
        'leader.id.mails': 'second',
      });
    });

    async function renewedByAnother() {
      const plans = await lockOf();
      const mails = await lockOf({ leaseName: 'mails', identity: 'second' });
      const lease = await created(plans, held('first'));
      const recorded = new RecordedWatch();
      return {
        plans,
        lease,
        recorded,
        renewal: held('first', { renewTimeMicros: NOW_MICROS + 1 }),
        renew: async () => mails.replace(held('second'), await found(mails), request()),
      };
    }

    it('without a watch, reads the present version before it replaces what it expects of its lease', async () => {
      const { plans, lease, renewal, renew } = await renewedByAnother();
      await renew();
      const before = emulator.requests.length;
      expect((await plans.replace(renewal, lease, request())).kind).toBe('applied');
      expect((await plans.replace(renewal, lease, request())).kind).toBe('conflict');
      const verbs = emulator.requests.slice(before).map(({ verb }) => verb);
      expect(verbs).toEqual(['get', 'update', 'get']);
      expect(stored(emulator).data).toMatchObject({ 'leader.id.mails': 'second' });
    });

    it('with a watch, is told of the present version and replaces it at once', async () => {
      const { plans, lease, recorded, renewal, renew } = await renewedByAnother();
      const watch = plans.watch!(recorded, { silenceLimitMs: 60_000 });
      await recorded.until(({ openings }) => openings === 1);
      await renew();
      await recorded.until(({ last }) => (last?.revision ?? 0n) > lease.revision);
      const before = emulator.requests.length;
      expect((await plans.replace(renewal, lease, request())).kind).toBe('conflict');
      expect((await plans.replace(renewal, recorded.last!.lease!, request())).kind).toBe('applied');
      const verbs = emulator.requests.slice(before).map(({ verb }) => verb);
      expect(verbs).toEqual(['update', 'update']);
      expect(recorded.last!.lease!.timingKey).toBe(lease.timingKey);
      watch.close();
    });

    it.each<[string, (names: ConfigMap) => void]>([
      ['was deleted', () => void emulator.configMaps.delete('default', 'leaders')],
      [
        'was deleted and made again',
        (config) => {
          emulator.configMaps.delete('default', 'leaders');
          const { metadata, ...rest } = config;
          const body = {
            ...rest,
            metadata: { name: 'leaders', annotations: metadata.annotations },
          };
          emulator.configMaps.create('default', body as never, 'kubectl');
        },
      ],
      [
        'says that the lease was released',
        ({ metadata }) => {
          const [[key, text]] = Object.entries(metadata.annotations!) as [[string, string]];
          const record = {
            ...(JSON.parse(text) as object),
            'nestjs-leader-election/released': '1',
          };
          edit(emulator, { metadata: { annotations: { [key]: JSON.stringify(record) } } });
        },
      ],
    ])('writes nothing where the ConfigMap %s', async (_, change) => {
      const { plans, lease, renewal } = await renewedByAnother();
      change(stored(emulator));
      const outcome = await plans.replace(renewal, lease, request());
      expect(['absent', 'conflict']).toContain(outcome.kind);
      expect(emulator.requestsOf('update')).toEqual([]);
    });

    describe('of one process', () => {
      async function ofOneProcess() {
        const makeLock = configMapLockIn(NO_POD, { kubeConfig: kubeConfigTo(emulator.url) });
        const plans = await makeLock(REQUESTER);
        const mails = await makeLock({ ...REQUESTER, leaseName: 'mails' });
        locks.push(plans, mails);
        await created(plans, held('first'));
        await mails.replace(held('first'), await found(mails), request());
        const [ofPlans, ofMails] = [await found(plans), await found(mails)];
        const renewal = held('first', { renewTimeMicros: NOW_MICROS + 1 });
        emulator.requests.splice(0);
        return {
          renewPlans: (timeoutMs = 5_000) => plans.replace(renewal, ofPlans, request(timeoutMs)),
          renewMails: () => mails.replace(renewal, ofMails, request(5_000)),
        };
      }

      it('writes one after the other, each over the version of the last', async () => {
        const { renewPlans, renewMails } = await ofOneProcess();
        const outcomes = await Promise.all([renewPlans(), renewMails()]);
        expect(outcomes.map(({ kind }) => kind)).toEqual(['applied', 'applied']);
        expect(emulator.requestsOf('update')).toHaveLength(2);
        expect(Object.keys(stored(emulator).data!)).toHaveLength(2);
      });

      it('does not wait for a write that takes long', async () => {
        const { renewPlans, renewMails } = await ofOneProcess();
        emulator.fail({ fault: { kind: 'hang' }, on: ({ verb }) => verb === 'update' });
        const order: string[] = [];
        const slow = renewPlans(2_000).then(({ kind }) => order.push(kind));
        const quick = renewMails().then(({ kind }) => order.push(kind));
        await Promise.all([slow, quick]);
        expect(order).toEqual(['applied', 'unknown']);
      });
    });

    it('is honest about a read that fails before the write', async () => {
      const { plans, lease, renewal } = await renewedByAnother();
      emulator.fail({ fault: { kind: 'answer', status: 500, body: 'x' } });
      expect((await plans.replace(renewal, lease, request())).kind).toBe('not-applied');
      emulator.fail({ fault: { kind: 'hang' } });
      expect((await plans.replace(renewal, lease, request(300))).kind).toBe('not-applied');
      expect(emulator.requestsOf('update')).toEqual([]);
    });

    it('names version and uid in every replacement, and keeps what it does not know', async () => {
      const lock = await lockOf();
      const lease = await created(lock, held('first'));
      const others = { labels: { team: 'x' }, annotations: { note: 'n' } };
      edit(emulator, { metadata: others, data: { 'application.yaml': 'x: 1' } });
      const read = await found(lock);
      await lock.replace(held('first', { renewTimeMicros: 2_000_000 }), read, request());
      expect(emulator.requestsOf('update')[0]?.body).toMatchObject({
        metadata: { uid: lease.uid, resourceVersion: String(read.revision) },
      });
      expect(stored(emulator)).toMatchObject({
        metadata: others,
        data: { 'application.yaml': 'x: 1' },
      });
      expect(emulator.requests.map(({ verb }) => verb)).toEqual(['create', 'get', 'get', 'update']);
    });
  });

  describe('with the annotation of client-go', () => {
    const WRITTEN_BY_GO =
      '{"holderIdentity":"go_1","leaseDurationSeconds":15,"acquireTime":"2026-01-02T03:04:05Z",' +
      '"renewTime":"2026-01-02T03:04:07Z","leaderTransitions":3}';

    it('reads what client-go writes, and writes the same fields with times that Go parses', async () => {
      const lock = await lockOf({}, { clientGo: true });
      await created(lock, held('first'));
      const record = JSON.parse(stored(emulator).metadata.annotations![CLIENT_GO]!) as object;
      expect(record).toEqual({
        holderIdentity: 'first',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-02T03:04:05.678901Z',
        renewTime: '2026-01-02T03:04:05.678901Z',
        leaderTransitions: 1,
      });
      edit(emulator, { metadata: { annotations: { [CLIENT_GO]: WRITTEN_BY_GO } } });
      expect((await found(lock)).record).toMatchObject({
        holderIdentity: 'go_1',
        leaseDurationSeconds: 15,
        renewTimeMicros: Date.UTC(2026, 0, 2, 3, 4, 7) * 1_000,
        leaseTransitions: 3,
      });
    });

    it("takes client-go's release for a clean one", async () => {
      const lock = await lockOf({}, { clientGo: true });
      await created(lock, held('first'));
      const released = {
        ...(JSON.parse(WRITTEN_BY_GO) as object),
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: '2026-01-02T03:04:07Z',
      };
      edit(emulator, { metadata: { annotations: { [CLIENT_GO]: JSON.stringify(released) } } });
      expect(isCleanRelease((await found(lock)).record)).toBe(true);
    });
  });

  describe('with what people write by hand', () => {
    const KEY = 'leader.nestjs-leader-election/plan';

    it.each(['no record', '[]', '7', 'null', ''])(
      'takes %j for the record of a holder that it does not know, until it is replaced',
      async (text) => {
        const lock = await lockOf();
        const before = await created(lock, held('first'));
        edit(emulator, { metadata: { annotations: { [KEY]: text } } });
        const read = await found(lock);
        expect(read.record).toMatchObject({
          holderIdentity: `unreadable record: ${JSON.stringify(text)}`,
          leaseDurationSeconds: null,
        });
        expect(read.timingKey).not.toBe(before.timingKey);
        expect((await lock.replace(held('first'), read, request())).kind).toBe('applied');
        expect((await found(lock)).record).toEqual(held('first'));
      },
    );

    it('finds no holder in a ConfigMap that was there before, whatever is in it', async () => {
      const data = { 'leader.id.plan': 'pod-of-spring', other: 'x' };
      emulator.configMaps.create('default', { metadata: { name: 'leaders' }, data }, 'spring');
      const lock = await lockOf();
      const read = await found(lock);
      expect(read.record.holderIdentity).toBe('');
      await lock.replace(held('first'), read, request());
      expect(stored(emulator).data).toEqual({ 'leader.id.plan': 'first', other: 'x' });
    });

    it('explains that an immutable ConfigMap cannot hold a lock', async () => {
      const body = { metadata: { name: 'leaders' }, immutable: true };
      emulator.configMaps.create('default', body, 'kubectl');
      const lock = await lockOf();
      const outcome = await lock.replace(held('first'), await found(lock), request());
      expect(outcome).toMatchObject({ kind: 'not-applied', error: { reason: 'rejected' } });
      expect('error' in outcome && outcome.error.message).toMatch(
        /^update ConfigMap default\/leaders: .*Delete this ConfigMap, and create it without immutable: true/,
      );
    });

    it('names the manifest of the ConfigMap with createLease: false', async () => {
      const lock = await lockOf({ createLease: false });
      const outcome = await lock.create(held('first'), request());
      expect('error' in outcome && outcome.error.message).toMatch(
        /^ConfigMap default\/leaders does not exist[^]*\napiVersion: v1\nkind: ConfigMap\nmetadata:\n {2}name: leaders\n/,
      );
      expect(emulator.requests).toEqual([]);
    });
  });

  it.each([
    ['get', 'resourceNames: ["leaders"]\n    verbs: ["get"]'],
    ['update', 'resourceNames: ["leaders"]\n    verbs: ["update"]'],
    ['create', 'resources: ["configmaps"]\n    verbs: ["create"]'],
  ] as const)('when %s is refused, names the rule to add', async (verb, rule) => {
    const lock = await lockOf();
    const lease = verb === 'create' ? undefined : await created(lock, held('first'));
    emulator.forbidden.add(verb);
    const outcome =
      verb === 'get'
        ? await lock.read(request())
        : lease === undefined
          ? await lock.create(held('first'), request())
          : await lock.replace(held('first'), lease, request());
    const message = 'error' in outcome ? outcome.error.message : outcome.kind;
    expect(message).toContain(`may not ${verb} configmaps "leaders" in namespace default`);
    expect(message).toContain('- apiGroups: [""]');
    expect(message).toContain(rule);
  });
});

describe('configMapLock(), when its options are wrong', () => {
  const fieldsOf = (call: () => unknown): string[] => {
    try {
      call();
    } catch (error) {
      if (error instanceof LeaderElectionOptionsError)
        return error.faults.map(({ field }) => field);
      throw error;
    }
    return [];
  };

  it.each<[string, unknown, string[]]>([
    ['null', null, ['configMapLock']],
    ['a name with capitals', { name: 'Leaders' }, ['configMapLock.name']],
    ['an empty name', { name: '' }, ['configMapLock.name']],
    ['a name that is too long', { name: 'a'.repeat(254) }, ['configMapLock.name']],
    ['a text for clientGo', { clientGo: 'yes' }, ['configMapLock.clientGo']],
    ['an unknown kubeConfig', { kubeConfig: 'laptop' }, ['configMapLock.kubeConfig']],
    ['a misspelt option', { configMap: 'leaders' }, ['configMapLock.configMap']],
    [
      'several at once',
      { name: 1, clientGo: 2, context: 3 },
      ['configMapLock.context', 'configMapLock.name', 'configMapLock.clientGo'],
    ],
  ])('%s, throws at the call and names every fault', (_, options, fields) => {
    expect(fieldsOf(() => configMapLock(options as ConfigMapLockOptions))).toEqual(fields);
  });

  const starting = async (requester: Partial<LockRequester>, options: ConfigMapLockOptions) =>
    configMapLock({ kubeConfig: kubeConfigTo('http://127.0.0.1:1'), ...options })({
      ...REQUESTER,
      ...requester,
    });

  it.each<[string, Partial<LockRequester>, RegExp]>([
    ['makes no key of a ConfigMap', { role: 'plan a' }, /role = "plan a": must make a key/],
    ['makes too long a key', { role: 'r'.repeat(244) }, /at most 243 characters/],
    ['has too long a leaseName', { leaseName: 'a'.repeat(64) }, /leaseName = .*at most 63/],
  ])('when the role %s, says so at the start', async (_, requester, message) => {
    await expect(starting(requester, {})).rejects.toThrow(message);
  });

  it.each<[string, Partial<LockRequester>, ConfigMapLockOptions]>([
    ['makes the longest key', { role: 'r'.repeat(243) }, {}],
    ['has the longest leaseName', { leaseName: 'a'.repeat(63) }, {}],
    ['has a longer leaseName, with clientGo', { leaseName: 'a'.repeat(64) }, { clientGo: true }],
  ])('when the role %s, starts', async (_, requester, options) => {
    const lock = await starting(requester, options);
    expect(lock.describe()).toBe('ConfigMap default/leaders');
    await lock.close?.();
  });

  it('outside a pod, names the choices that this lock has', async () => {
    const lock = async () => configMapLockIn(NO_POD, {})(REQUESTER);
    await expect(lock()).rejects.toThrow(
      /configMapLock\.kubeConfig: .*configMapLock\(\{ kubeConfig: 'default' \}\)/s,
    );
  });
});
