import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import {
  LeaderElectionOptionsError,
  type LeadershipService,
  memoryLock,
  type ResourceLockFactory,
} from '../../lib/index.js';
import type { MemberView } from '../../lib/core/member.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { memoryLeaseKey } from '../../lib/locks/memory/memory.lock.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
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
