import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import {
  LeaderElectionOptionsError,
  type LeadershipService,
  memoryLock,
  type ResourceLock,
  type ResourceLockFactory,
} from '../../lib/index.js';
import type { MemberObserver, MemberView } from '../../lib/core/member.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { memoryLeaseKey } from '../../lib/locks/memory/memory.lock.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { hostileValues } from '../support/hostile-values.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

let elections: Elections;

beforeEach(() => {
  elections = new Elections();
});

afterEach(() => elections.end());

function seen(leadership: LeadershipService): (string[] | undefined)[] {
  const all: (string[] | undefined)[] = [];
  leadership.members$.subscribe((members) => all.push(members?.map(described)));
  return all;
}

const described = ({ name, isSelf, isLeader }: MemberView) =>
  name + (isSelf ? ' self' : '') + (isLeader ? ' leads' : '');

describe('when members are not asked for', () => {
  it('has none', async () => {
    const leadership = (await elections.leading()).leadership();
    expect([leadership.members, seen(leadership)]).toEqual([undefined, [undefined]]);
  });
});

describe('when members are asked for', () => {
  const asking = (identity: string) => ({
    imports: [elections.module({ identity, members: true })],
  });

  it('shows the processes that compete, and which of them leads, at once and after each change', async () => {
    const one = (await elections.start(asking('one'))).leadership();
    await elections.clock.settle();
    expect(one.members).toEqual([
      {
        name: 'one',
        uid: 'one',
        isReady: true,
        isTerminating: false,
        createdAt: expect.any(Date),
        isSelf: true,
        isLeader: true,
        leads: [ROLE],
      },
    ]);
    const all = seen(one);
    const two = await elections.start(asking('two'));
    await elections.clock.settle();
    expect(seen(two.leadership())).toEqual([['one leads', 'two self']]);
    await two.close();
    expect(all).toEqual([['one self leads'], ['one self leads', 'two'], ['one self leads']]);
  });

  it('shows another leader when leadership moves', async () => {
    const one = await elections.start(asking('one'));
    await elections.clock.settle();
    await elections.start(asking('two'));
    await elections.clock.settle();
    const all = seen(one.leadership());
    one.leadership().stepDown();
    await elections.clock.advance(3_000);
    expect(all.at(-1)).toEqual(['one self', 'two leads']);
  });

  it('shows in each role that another role has another leader, also where each has a source of its own', async () => {
    const roles = ['plans', 'mails'];
    const both = (identity: string) => ({
      imports: roles.map((role) => elections.module({ role, identity, members: true })),
    });
    const one = await elections.start(both('one'));
    await elections.clock.settle();
    await elections.start(both('two'));
    await elections.clock.settle();
    const all: string[] = [];
    one
      .leadership('plans')
      .members$.subscribe((members) =>
        all.push(members!.map(({ name, leads }) => `${name}: ${leads.join()}`).join('; ')),
      );
    one.leadership('mails').stepDown();
    await elections.clock.advance(3_000);
    expect(all.at(-1)).toBe('one: plans; two: mails');
  });

  it('has none once the application has shut down', async () => {
    const application = await elections.start(asking('one'));
    await elections.clock.settle();
    const leadership = application.leadership();
    expect(leadership.members).toHaveLength(1);
    await application.close();
    expect([leadership.members, seen(leadership)]).toEqual([undefined, [undefined]]);
  });

  it('tells the elector how many may stand', async () => {
    const setCrowd = jest.spyOn(LeaderElector.prototype, 'setCrowd');
    await elections.start(asking('one'));
    await elections.clock.settle();
    const key = memoryLeaseKey({ leaseName: ROLE, namespace: undefined });
    const observer = { members: () => undefined, unknown: () => undefined };
    const leave = elections.store.competitors.join(
      key,
      { identity: 'two', since: new Date() },
      observer,
    );
    await elections.clock.settle();
    leave();
    await elections.clock.settle();
    expect(setCrowd.mock.calls).toEqual([[1], [2], [1]]);
    setCrowd.mockRestore();
  });

  it('completes members$ with the application', async () => {
    const application = await elections.start(asking('one'));
    let isComplete = false;
    application.leadership().members$.subscribe({ complete: () => (isComplete = true) });
    await application.close();
    expect(isComplete).toBe(true);
  });

  it('logs one line when the set changes, and none when only a leader does', async () => {
    const log = new RecordedLog();
    const one = await elections.create(asking('one'));
    one.useLogger(log);
    await one.init();
    await elections.clock.settle();
    const key = memoryLeaseKey({ leaseName: ROLE, namespace: undefined });
    const leave = elections.store.competitors.join(
      key,
      { identity: 'two', since: new Date() },
      { members: () => undefined, unknown: () => undefined },
    );
    await elections.clock.settle();
    one.leadership().stepDown();
    await elections.clock.advance(20_000);
    leave();
    await elections.clock.settle();
    expect(log.texts('log').filter((text) => text.startsWith('members'))).toEqual([
      'members (1): one',
      'members (2): one, two; joined: two',
      'members (1): one; left: two',
    ]);
  });
});

describe('when the option members is', () => {
  it.each([
    ['text', 'app=plan', /members = "app=plan": must be a boolean or an object/],
    [
      'an empty selector',
      { labelSelector: '' },
      /members\.labelSelector = "": must be a non-empty/,
    ],
    [
      'a selector that is an object without a prototype',
      { labelSelector: Object.create(null) },
      /members\.labelSelector = an object: must be a non-empty/,
    ],
    [
      'an unknown field',
      { labelSelector: 'a=b', namespace: 'x' },
      /members\.namespace.*not an option/,
    ],
  ])('%s, stops the start and says why', async (_, members, message) => {
    const module = elections.module({ members: members as never });
    const failed = elections.create({ imports: [module] });
    await expect(failed).rejects.toThrow(LeaderElectionOptionsError);
    await expect(failed).rejects.toThrow(message);
  });

  it('true for a lock that does not know who competes, stops the start and says why', async () => {
    const lock = {
      read: async () => ({ kind: 'absent' }) as const,
      create: async () => ({ kind: 'conflict' }) as const,
      replace: async () => ({ kind: 'conflict' }) as const,
      describe: () => 'the lock of the test',
    };
    const failed = elections.create({ imports: [elections.module({ lock, members: true })] });
    await expect(failed).rejects.toThrow(/the lock of the test has no competitors\(\)/);
  });
});

describe('when the source of the members throws', () => {
  const fails = (): never => {
    throw new Error('no directory of services');
  };

  it.each([
    ['as it is made', fails],
    ['in start()', () => ({ start: fails, close: async () => undefined })],
  ])(
    '%s, reports that the members are unknown and why, and leads without',
    async (_, competitors) => {
      const lock: ResourceLockFactory = async (requester) =>
        Object.assign(await memoryLock(elections.store)(requester), { competitors });
      const application = await elections.create({
        imports: [elections.module({ lock, members: true })],
      });
      const leadership = application.leadership();
      const problems: string[] = [];
      leadership.errors$.subscribe(({ message }) => problems.push(message));
      await application.init();
      await elections.clock.settle();
      expect(problems).toEqual([
        'The members of this deployment are unknown: their source threw: no directory of services',
      ]);
      expect([leadership.isLeader(), leadership.members]).toEqual([true, undefined]);
    },
  );

  it('names in the log the roles and the selector whose members are unknown', async () => {
    const store = elections.store;
    const shared = Object.assign(
      memoryLock(store)({ leaseName: ROLE, identity: 'one' } as never) as ResourceLock,
      { competitors: fails },
    );
    const members = { labelSelector: 'app=plan' };
    const roles = ['plans', 'mails'];
    const application = await elections.create({
      imports: roles.map((role) => elections.module({ role, lock: shared, members })),
    });
    const log = new RecordedLog();
    application.useLogger(log);
    await application.init();
    await elections.clock.settle();
    const said = log.entries.map(String).filter((text) => text.includes('are unknown'));
    expect(said).toEqual([
      expect.stringMatching(
        /^The members of this deployment are unknown: .* \[plans, mails; members app=plan\]$/,
      ),
    ]);
  });
});

describe('when the source of the members belongs to a lock of the application', () => {
  const createdAt = new Date(0);
  const member = {
    name: 'one',
    uid: '1',
    isReady: true,
    isTerminating: false,
    createdAt,
    isSelf: true,
  };

  async function startedWith(source: object) {
    const lock: ResourceLockFactory = async (requester) =>
      Object.assign(await memoryLock(elections.store)(requester), { competitors: () => source });
    const application = await elections.create({
      imports: [elections.module({ identity: 'one', lock, members: true, podWatch: true })],
    });
    const log = new RecordedLog();
    application.useLogger(log);
    const leadership = application.leadership();
    const problems: string[] = [];
    leadership.errors$.subscribe(({ message }) => problems.push(message));
    await application.init();
    await elections.clock.settle();
    return { leadership, problems, log };
  }

  const telling = (tell: (observer: MemberObserver) => void, more = {}) => {
    let observer: MemberObserver | undefined;
    return {
      start: (its: MemberObserver) => (observer = its),
      close: async () => undefined,
      again: () => tell(observer!),
      ...more,
    };
  };

  it.each<[string, unknown, string]>([
    [
      'undefined',
      undefined,
      'members: must be a list. Fix: call members() with a list of all members.',
    ],
    ['a set', new Set([member]), 'members = an object: must be a list'],
    ['a name', ['one'], 'members[0] = "one": must be an object'],
    ['a hole', Array(1), 'members[0]: must be an object'],
    [
      'a member without uid',
      [member, { ...member, uid: undefined }],
      'members[1].uid: must be a non-empty string',
    ],
    ['a uid that is a number', [{ ...member, uid: 7 }], 'members[0].uid = 7: must be a non-empty'],
    ['no name', [{ ...member, name: '' }], 'members[0].name = "": must be a non-empty string'],
    [
      'isReady as text',
      [{ ...member, isReady: 'yes' }],
      'members[0].isReady = "yes": must be a boolean',
    ],
    ['no isTerminating', [{ ...member, isTerminating: null }], 'isTerminating = null: must be'],
    ['no isSelf', [{ ...member, isSelf: undefined }], 'members[0].isSelf: must be a boolean'],
    [
      'a time as text',
      [{ ...member, createdAt: '2026-01-01T00:00:00Z' }],
      'members[0].createdAt = "2026-01-01T00:00:00Z": must be a valid Date. Fix: give new Date(…).',
    ],
    ['a time that is none', [{ ...member, createdAt: new Date('never') }], 'must be a valid Date'],
    ['a node that is a number', [{ ...member, node: 7 }], 'members[0].node = 7: must be a string'],
    [
      'a template hash that is null',
      [{ ...member, templateHash: null }],
      'templateHash = null: must',
    ],
    [
      'what throws when it is looked at',
      [hostileValues()['a proxy whose traps throw']],
      'do not look at me',
    ],
  ])('and tells %s, reports that they are unknown and why, and leads on', async (_, told, why) => {
    const source = telling((observer) => observer.members(told as never));
    const { leadership, problems } = await startedWith(source);
    expect(source.again).not.toThrow();
    expect(problems).toEqual([expect.stringContaining(why)]);
    expect(problems[0]).toContain('The members of this deployment are unknown: ');
    await elections.clock.advance(20_000);
    expect([leadership.isLeader(), leadership.members]).toEqual([true, undefined]);
    source.again();
    expect(problems).toHaveLength(1);
  });

  it.each(Object.entries(hostileValues()))(
    'and says that they are unknown with %s, says so and leads on',
    async (_, thrown) => {
      const source = telling((observer) => observer.unknown(thrown as never));
      const { leadership, problems } = await startedWith(source);
      expect(source.again).not.toThrow();
      expect(problems).toEqual([expect.stringContaining('are unknown: ')]);
      await elections.clock.advance(20_000);
      expect(leadership.isLeader()).toBe(true);
    },
  );

  it.each(Object.entries({ ...hostileValues(), 'an object without its fields': {} }))(
    'and tells of the end of a container with %s, does nothing',
    async (_, end) => {
      const source = telling((observer) => observer.containerEnded!(end as never));
      const { leadership } = await startedWith(source);
      expect(source.again).not.toThrow();
      await elections.clock.advance(20_000);
      expect(leadership.isLeader()).toBe(true);
    },
  );

  it('and changes its list later, does not change what the application sees', async () => {
    const own = { ...member };
    const list = [own];
    const source = telling((observer) => observer.members(list));
    const { leadership } = await startedWith(source);
    source.again();
    own.name = 'two';
    list.length = 0;
    expect(leadership.members).toMatchObject([{ name: 'one', uid: '1' }]);
  });

  it('and has an async start() that rejects, reports that they are unknown', async () => {
    const start = async () => {
      throw new Error('no directory of services');
    };
    const { problems } = await startedWith({ start, close: async () => undefined });
    expect(problems).toEqual([expect.stringContaining('no directory of services')]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a number', 7, /ownContainer\(\) = 7: must be an object/],
    ['null', null, /ownContainer\(\) = null: must be an object/],
    [
      'a part of it',
      { podUid: 'a', containerName: 'b' },
      /ownContainer\(\)\.containerId: must be a non-empty string/,
    ],
  ])(
    'and answers with %s in which container it runs, says what is wrong',
    async (_, answer, said) => {
      const own = { ownContainer: async () => answer };
      const { leadership, log } = await startedWith(telling(() => undefined, own));
      await elections.clock.advance(120_000);
      expect(leadership.isLeader()).toBe(true);
      expect(log.texts('warn').join('\n')).toMatch(said);
    },
  );

  it.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a promise', async () => ({ start: () => undefined, close: () => undefined })],
    ['a promise that rejects', () => Promise.reject(new Error('late'))],
    ['an object without close()', () => ({ start: () => undefined })],
  ])('and is %s, says what it must be', async (_, make) => {
    const { problems } = await startedWith(make() as object);
    expect(problems).toEqual([
      expect.stringMatching(
        /competitors\(\)( = an object)?: must return an object with start\(\) and close\(\)/,
      ),
    ]);
  });

  it('and never says anything, keeps no failover waiting', async () => {
    const { leadership } = await startedWith(telling(() => undefined));
    await elections.clock.advance(7_000);
    expect([leadership.isLeader(), leadership.isEligible]).toEqual([true, true]);
    leadership.stepDown({ cooldownMs: 0 });
    await elections.clock.advance(3_000);
    expect(leadership.isLeader()).toBe(true);
  });

  it('and tells them in the context of a request, keeps none of it', async () => {
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const source = telling((observer) => observer.members([member]));
    const { leadership } = await startedWith(source);
    leadership.members$.subscribe(() => seen.push(request.getStore()));
    request.run('request 7', () => source.again());
    expect(seen).toEqual([undefined, undefined]);
  });
});

describe('on a Lease', () => {
  let emulator: ApiEmulator;

  beforeEach(async () => {
    emulator = await ApiEmulator.start();
  });

  afterEach(() => emulator.stop());

  const lockOf = (env: Record<string, string>) =>
    leaseLockIn(new PodEnvironment(env, '/nowhere'), {
      kubeConfig: kubeConfigTo(emulator.url, 'default'),
    });

  const createPod = (name: string) =>
    emulator.pods.create(
      'default',
      { metadata: { name, labels: { app: 'plan' } }, spec: { containers: [{ name: 'c' }] } },
      'test',
    );

  const makeReady = (name: string) =>
    fetch(`${emulator.url}/api/v1/namespaces/default/pods/${name}/status`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
    });

  it.each([
    [
      { POD_NAME: 'plan-1' },
      'other_1',
      /must begin with the name of the pod \(plan-1, from POD_NAME\)/,
    ],
    [
      { HOSTNAME: 'node-7' },
      'plan-1_x',
      /node-7, from the host name, as POD_NAME is not set.*set POD_NAME/,
    ],
  ])(
    'with %j and the identity %s, stops the start and says why',
    async (env, identity, message) => {
      const lock = lockOf(env as Record<string, string>);
      const failed = elections.create({
        imports: [elections.module({ lock, identity, members: true })],
      });
      await expect(failed).rejects.toThrow(message);
    },
  );

  it('shares one list and one watch among all roles, and names the roles that each pod leads', async () => {
    const lock = lockOf({ POD_NAME: 'plan-1' });
    createPod('plan-1');
    createPod('plan-2');
    // One that is not leaves the lease to the others (R25).
    await makeReady('plan-1');
    const roles = ['plans', 'reports', 'mails'];
    const application = await elections.start({
      imports: roles.map((role) =>
        elections.module({ role, lock, identity: `plan-1_${role}`, members: true }),
      ),
    });
    const members = () => application.leadership('plans').members;
    await eventually(() =>
      expect(members()?.map(({ name, leads }) => [name, leads])).toEqual([
        ['plan-1', roles],
        ['plan-2', []],
      ]),
    );
    const ofPods = emulator.requests.filter(
      ({ path, verb }) => path.includes('/pods') && verb !== 'patch',
    );
    expect(ofPods.map(({ verb }) => verb)).toEqual(['get', 'list', 'watch']);
    expect(members()![0]).toMatchObject({ isSelf: true, isLeader: true, isReady: true });
  });

  it('goes on with the election without the right, and reports it once per role on errors$', async () => {
    emulator.forbidden.add('list');
    createPod('plan-1');
    const lock = lockOf({ POD_NAME: 'plan-1' });
    const application = await elections.create({
      imports: [elections.module({ lock, identity: 'plan-1_1', members: true })],
    });
    const errors: string[] = [];
    application.leadership().errors$.subscribe(({ code }) => errors.push(code));
    await application.init();
    await eventually(() => expect(errors).toEqual(['ERR_MEMBERS_UNKNOWN']));
    await eventually(() => expect(application.leadership().isLeader()).toBe(true));
    expect(application.leadership().members).toBeUndefined();
  });
});
