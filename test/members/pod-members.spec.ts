import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ContainerEnd } from '../../lib/core/container.js';
import type { MembersUnknownError } from '../../lib/core/errors.js';
import type { Member } from '../../lib/core/member.js';
import { PodMembers } from '../../lib/members/pod-members.js';
import { ManualClock } from '../support/manual-clock.js';
import { failure, pod, podObject, ScriptedPods } from './scripted-pods.js';

let clock: ManualClock;
let api: ScriptedPods;
let source: PodMembers;
let lists: (readonly Member[])[];
let errors: MembersUnknownError[];
let ends: ContainerEnd[];

beforeEach(() => {
  clock = new ManualClock();
  api = new ScriptedPods();
  lists = [];
  errors = [];
  ends = [];
});

afterEach(() => source.close());

const START_MS = Date.UTC(2026, 0, 1);
const ID = `containerd://${'a'.repeat(64)}`;
const RUNNING = {
  name: 'app',
  containerID: ID,
  state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
};
const terminated = {
  containerID: ID,
  reason: 'Error',
  exitCode: 137,
  finishedAt: '2026-01-01T00:01:00Z',
};
const ENDED = { name: 'app', containerID: ID, state: { terminated } };
const END = { podUid: 'uid of b', containerId: ID, finishedAtMicros: (START_MS + 60_000) * 1_000 };

async function start(options: { labelSelector?: string; isPodNameCertain?: boolean } = {}) {
  source = new PodMembers({
    api,
    clock,
    random: () => 0.5,
    labelSelector: options.labelSelector,
    podName: 'a',
    isPodNameCertain: options.isPodNameCertain ?? true,
    facts: () => ({ platform: 'linux', podUid: 'uid of a', firstProcessStartMs: START_MS }),
  });
  source.start({
    members: (members) => lists.push(members),
    unknown: (error) => errors.push(error),
    containerEnded: (end) => ends.push(end),
  });
  await clock.settle();
}

const names = () => lists.at(-1)?.map(({ name }) => name);
const asked = (verb: string) => api.asked.filter((each) => each.startsWith(verb)).length;

describe('when it starts', () => {
  it('asks for its own pod, lists the pods with the same labels once, and watches from there', async () => {
    await start();
    expect(api.asked).toEqual(['get', 'list app=plan', 'watch app=plan from 50']);
    expect(names()).toEqual(['a', 'b']);
    expect(lists[0]![0]).toMatchObject({ name: 'a', isSelf: true, templateHash: 'abc' });
    expect(lists[0]![1]).toMatchObject({ name: 'b', isSelf: false, node: 'node-1' });
  });

  it('asks page by page for as many as there are', async () => {
    api.pods = Array.from({ length: 5 }, (_, index) => pod(`p${index}`));
    api.podsPerPage = 2;
    await start();
    expect(api.asked.slice(1, 4)).toEqual([
      'list app=plan',
      'list app=plan from 2',
      'list app=plan from 4',
    ]);
    expect(names()).toHaveLength(5);
  });

  it('leaves out pods that have ended for good', async () => {
    api.pods = [pod('a'), pod('evicted', { phase: 'Failed' }), pod('b', { phase: 'Succeeded' })];
    await start();
    expect(names()).toEqual(['a']);
  });

  it.each([
    'pod-template-hash',
    'pod-template-generation',
    'controller-revision-hash',
    'rollouts-pod-template-hash',
    'statefulset.kubernetes.io/pod-name',
    'apps.kubernetes.io/pod-index',
    'controller-uid',
    'job-name',
    'batch.kubernetes.io/controller-uid',
    'batch.kubernetes.io/job-name',
    'batch.kubernetes.io/job-completion-index',
    'topology.kubernetes.io/region',
    'topology.kubernetes.io/zone',
    'app.kubernetes.io/version',
    'version',
    'tags.datadoghq.com/version',
    'service.istio.io/canonical-revision',
    'helm.sh/chart',
    'nestjs-leader-election/plan-scheduler',
  ])('does not select by %s, which differs between pods of one deployment', async (label) => {
    api.pods = [pod('a', { labels: { app: 'plan', [label]: 'x' } })];
    await start();
    expect(api.asked[1]).toBe('list app=plan');
  });

  it.each(['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'tier', 'version-of'])(
    'selects by %s, which people give to all pods of a deployment',
    async (label) => {
      api.pods = [pod('a', { labels: { app: 'plan', [label]: 'x' } })];
      await start();
      expect(api.asked[1]).toBe(`list app=plan,${label}=x`);
    },
  );

  it('takes a selector as it is given', async () => {
    await start({ labelSelector: 'tier in (a,b)' });
    expect(api.asked[1]).toBe('list tier in (a,b)');
  });

  it('says that the pod has no label of its deployment, and what to do', async () => {
    api.pods = [pod('a', { labels: { 'pod-template-hash': 'abc' } })];
    await start();
    expect(errors[0]!.message).toMatch(/no label that all pods.*labelSelector/s);
  });

  it.each([
    [true, /there is no such pod.*Set POD_NAME and POD_NAMESPACE/s],
    [false, /there is no such pod.*POD_NAME is not set/s],
  ])('says that its own pod is missing (POD_NAME set: %s)', async (isPodNameCertain, expected) => {
    api.failures.get.push(failure('get Pod default/a: 404.', 404));
    await start({ isPodNameCertain });
    expect(errors.map(({ message }) => message)).toEqual([expect.stringMatching(expected)]);
    await clock.advance(1_000);
    expect(names()).toEqual(['a', 'b']);
  });

  it('begins the list again when it breaks off between two pages', async () => {
    api.pods = [pod('a'), pod('b'), pod('c')];
    api.podsPerPage = 2;
    api.failures.list.push(undefined, failure('the continue token has expired', 410));
    await start();
    expect(lists).toEqual([]);
    await clock.advance(1_000);
    expect(api.asked.filter((each) => each.startsWith('list'))).toEqual([
      'list app=plan',
      'list app=plan from 2',
      'list app=plan',
      'list app=plan from 2',
    ]);
    expect(names()).toEqual(['a', 'b', 'c']);
  });
});

describe('when a pod changes', () => {
  it.each([
    ['appears', () => api.opened!.changed(pod('c')), ['a', 'b', 'c']],
    ['is deleted', () => api.opened!.deleted(pod('b')), ['a']],
    ['has ended for good', () => api.opened!.changed(pod('b', { phase: 'Failed' })), ['a']],
  ])('tells the members when one %s', async (_, change, expected) => {
    await start();
    change();
    expect(names()).toEqual(expected);
  });

  it.each([{ isReady: true }, { isTerminating: true }])('tells that it is %j', async (fields) => {
    await start();
    api.opened!.changed(pod('b', fields));
    expect(lists.at(-1)![1]).toMatchObject(fields);
  });

  it('tells nothing when what a member is has not changed', async () => {
    await start();
    api.opened!.changed(pod('b'));
    expect(lists).toHaveLength(1);
  });
});

describe('when the selector does not match this pod', () => {
  it('says so with the selector, and tells no members', async () => {
    await start({ labelSelector: 'app=other' });
    expect(names()).toEqual(['a', 'b']);
    api.opened!.deleted(pod('a'));
    expect(errors[0]!.message).toMatch(/app=other matches 1 pod, and this pod \(a\) is not among/);
    api.opened!.changed(pod('c'));
    expect(lists).toHaveLength(1);
  });
});

describe('when the watch ends', () => {
  it('continues from the version of the last event or bookmark, and keeps the members', async () => {
    await start();
    api.opened!.changed(pod('b', { isReady: true }));
    api.opened!.bookmark('777');
    api.opened!.end();
    await clock.advance(1_000);
    expect(api.asked.at(-1)).toBe('watch app=plan from 777');
    expect([asked('list'), errors]).toEqual([1, []]);
  });

  it('lists again when the server no longer has the history (410)', async () => {
    await start();
    api.pods = [pod('a'), pod('d')];
    api.opened!.end({ error: failure('too old', 410).error, status: 410 });
    await clock.advance(1_000);
    expect([asked('list'), errors, names()]).toEqual([2, [], ['a', 'd']]);
  });

  it('opens it again when it has heard nothing for 90 s', async () => {
    await start();
    await clock.advance(89_000);
    api.opened!.heard();
    await clock.advance(89_000);
    expect(asked('watch')).toBe(1);
    await clock.advance(2_000);
    expect([asked('watch'), asked('list'), errors]).toEqual([2, 1, []]);
  });

  it('opens it again when no headers have come for 10 s', async () => {
    await start();
    api.isSlow = true;
    api.opened!.end();
    await clock.advance(9_000);
    expect(asked('watch')).toBe(2);
    await clock.advance(4_000);
    expect(asked('watch')).toBe(3);
  });

  it('trusts what it knew for 10 s, and then says that the members are unknown, and why', async () => {
    await start();
    api.failures.watch.push(...Array.from({ length: 9 }, () => failure('refused: ECONNREFUSED')));
    api.failures.list.push(...Array.from({ length: 9 }, () => failure('refused: ECONNREFUSED')));
    api.opened!.end({ error: failure('reset').error });
    await clock.advance(9_900);
    expect(errors).toEqual([]);
    await clock.advance(200);
    expect(errors).toHaveLength(1);
  });

  it('lists again before it tells members once it has said that they are unknown', async () => {
    await start();
    api.failures.watch.push(...Array.from({ length: 2 }, () => failure('refused: ECONNREFUSED')));
    api.isSlow = true;
    api.opened!.end();
    await clock.advance(10_100);
    expect(errors).toHaveLength(1);
    api.pods = [pod('a'), pod('d')];
    api.isSlow = false;
    // The watch from the old version opens at last.
    api.open();
    await clock.advance(3_000);
    expect([asked('list'), lists.length, names()]).toEqual([2, 2, ['a', 'd']]);
    expect(errors).toHaveLength(1);
  });

  it('lists as soon as the server has forgotten the version, as that says nothing about the server', async () => {
    await start();
    await clock.advance(5_000);
    api.failures.watch.push(failure('too old', 410));
    api.opened!.end();
    await clock.advance(1_100);
    expect([asked('list'), errors]).toEqual([2, []]);
  });

  it('asks less and less often when the server has forgotten also the version of its list', async () => {
    await start();
    api.failures.watch.push(...Array.from({ length: 99 }, () => failure('too old', 410)));
    api.opened!.end();
    await clock.advance(60_000);
    const before = asked('list');
    await clock.advance(300_000);
    expect(asked('list') - before).toBeLessThanOrEqual(12);
  });

  it('lists again when the version it continues from does not work three times', async () => {
    await start();
    api.failures.watch.push(...Array.from({ length: 3 }, () => failure('too large version', 504)));
    api.opened!.end();
    await clock.advance(14_000);
    expect([asked('list'), names()]).toEqual([2, ['a', 'b']]);
  });

  it.each([401, 403, 429])('does not list again and again for a refusal (%i)', async (status) => {
    await start();
    const refused = failure('refused', status);
    api.failures.watch.push(...Array.from({ length: 30 }, () => refused));
    api.opened!.end();
    await clock.advance(300_000);
    expect(asked('watch')).toBeGreaterThan(6);
    // The other time as the list was no longer trusted.
    expect(asked('list')).toBe(2);
  });

  it('tries less and less often while nothing helps, at last every 30 s', async () => {
    await start();
    api.failures.watch.push(...Array.from({ length: 99 }, () => failure('down')));
    api.failures.list.push(...Array.from({ length: 99 }, () => failure('down')));
    api.opened!.end();
    await clock.advance(60_000);
    const before = asked('list') + asked('watch');
    await clock.advance(300_000);
    expect(asked('list') + asked('watch') - before).toBeLessThanOrEqual(12);
  });
});

describe('when a right is missing', () => {
  it.each(['get', 'list', 'watch'] as const)(
    'says so once (%s), tries again, and knows the members once it is granted',
    async (verb) => {
      const denied = failure(`${verb} pods of namespace default: 403`, 403);
      api.failures[verb].push(denied, denied, denied);
      await start();
      await clock.advance(5_000);
      expect(errors.map(({ message }) => message)).toEqual([
        `The members of this deployment are unknown: ${denied.error.message}`,
      ]);
      expect(lists).toEqual([]);
      await clock.advance(10_000);
      expect(names()).toEqual(['a', 'b']);
    },
  );

  it('trusts what it knew for 10 s: a server that has just started refuses what Roles grant', async () => {
    await start();
    const denied = failure('watch pods of namespace default: 403', 403);
    api.failures.watch.push(denied);
    api.opened!.end({ error: failure('reset').error });
    await clock.advance(5_000);
    expect([errors, asked('watch')]).toEqual([[], 3]);
    api.failures.watch.push(...Array.from({ length: 9 }, () => denied));
    api.opened!.end();
    await clock.advance(11_000);
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('403')]);
  });
});

describe('when it is closed', () => {
  it('leaves no timer and no watch, and tells nothing more', async () => {
    await start();
    const { opened } = api;
    await source.close();
    await clock.settle();
    expect([clock.pendingTimers, api.opened, api.isClosed]).toEqual([0, undefined, true]);
    expect(opened).toBeDefined();
    await clock.advance(100_000);
    expect([lists.length, errors]).toEqual([1, []]);
  });
});

describe('when the status of a pod proves the end of a container', () => {
  it('tells of it where the list shows it', async () => {
    api.pods = [pod('a'), pod('b', { containerStatuses: [ENDED] })];
    await start();
    expect(ends).toEqual([END]);
  });

  it('tells of it where the watch shows it', async () => {
    await start();
    api.opened!.changed(pod('b', { containerStatuses: [ENDED] }));
    expect(ends).toEqual([END]);
  });

  it('tells of it where only the last status before the deletion of the pod shows it', async () => {
    await start();
    api.opened!.deleted(pod('b', { containerStatuses: [ENDED] }));
    expect(ends).toEqual([END]);
  });

  it('tells of it though the phase of the pod says that it is over, which leaves the list of members', async () => {
    await start();
    api.opened!.changed(pod('b', { phase: 'Failed', containerStatuses: [ENDED] }));
    expect([ends, names()]).toEqual([[END], ['a']]);
  });

  it.each<[string, () => void]>([
    ['is deleted', () => api.opened!.deleted(pod('b', { containerStatuses: [RUNNING] }))],
    [
      'is not Ready any more',
      () => api.opened!.changed(pod('b', { containerStatuses: [RUNNING] })),
    ],
    [
      'is declared Failed by a controller',
      () => api.opened!.changed(pod('b', { phase: 'Failed', containerStatuses: [RUNNING] })),
    ],
  ])('tells of nothing where the pod %s', async (_, change) => {
    await start();
    change();
    expect(ends).toEqual([]);
  });

  it('tells of nothing where the pod is missing in a new list', async () => {
    await start();
    api.pods = [pod('a')];
    api.opened!.end({ status: 410 });
    await clock.advance(60_000);
    expect([names(), ends]).toEqual([['a'], []]);
  });
});

describe('when it is asked for its own container', () => {
  const own = () => source.ownContainer(new AbortController().signal);

  it('reads its pod each time, and finds the container that began with this process', async () => {
    api.own = podObject({ name: 'a', containerStatuses: [RUNNING] });
    await start();
    const container = { podUid: 'uid of a', containerName: 'app', containerId: ID };
    expect([await own(), await own()]).toEqual([container, container]);
    expect(asked('get all of it')).toBe(2);
  });

  it('says why it cannot be told', async () => {
    await start();
    expect(await own()).toEqual({
      why: expect.stringMatching(/^0 running containers/),
      mayPass: true,
    });
  });

  it('says why the pod cannot be read', async () => {
    await start();
    api.failures.get.push(failure('get Pod plans/a: forbidden.', 403));
    expect(await own()).toEqual({
      why: 'its pod cannot be read: get Pod plans/a: forbidden.',
      mayPass: true,
    });
  });
});
