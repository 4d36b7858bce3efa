import { getMaxListeners } from 'node:events';
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  getLeadershipToken,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  OnGranted,
  OnNewLeader,
  OnRevoked,
  type LeadershipRevokedError,
} from '../../lib/index.js';
import {
  asFollower,
  asLeader,
  leadershipStandIn,
  LeaderElectionTestingModule,
  ManualClock,
  TestElection,
  testTerm,
} from '../../lib/testing/index.js';

@Injectable()
class Worker {
  readonly events: string[] = [];

  constructor(readonly leadership: LeadershipService) {}

  @OnGranted()
  granted(): void {
    this.events.push(`granted, leads: ${this.leadership.isLeader()}`);
  }

  @OnRevoked()
  revoked(): void {
    this.events.push(`revoked, leads: ${this.leadership.isLeader()}`);
  }

  @OnNewLeader()
  newLeader(leader: string): void {
    this.events.push(`leader ${leader}`);
  }

  @LeaderOnly()
  work(): string {
    return 'done';
  }
}

let module: TestingModule | undefined;
afterEach(async () => {
  await module?.close();
  module = undefined;
});

async function applicationWith(election: TestElection): Promise<TestingModule> {
  module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ role: 'a', identity: 'me', election })],
    providers: [Worker],
  }).compile();
  await module.init();
  await election.clock.settle();
  return module;
}

describe('TestElection', () => {
  it('keeps the order of the real election when it grants and revokes', async () => {
    const election = new TestElection();
    const { events, leadership } = (await applicationWith(election)).get(Worker);
    const term = await election.grant();
    await election.revoke();
    expect(events).toEqual(['granted, leads: true', 'leader me', 'revoked, leads: false']);
    expect(term.signal.aborted).toBe(true);
    expect((term.signal.reason as LeadershipRevokedError).reason).toBe('superseded');
    expect(leadership.term).toBeUndefined();
  });

  it('grants a term of a greater number each time, and the same one while it lasts', async () => {
    const election = new TestElection();
    await applicationWith(election);
    const first = await election.grant();
    expect(await election.grant()).toBe(first);
    await election.revoke();
    const second = await election.grant();
    expect([second.number, second.fencingToken > first.fencingToken]).toEqual([2, true]);
  });

  it('grants terms that can be sent as JSON and listened to by many, as the real ones', async () => {
    const election = new TestElection();
    await applicationWith(election);
    const term = await election.grant();
    expect(JSON.parse(JSON.stringify({ term }))).toMatchObject({ term: { fencingToken: '1' } });
    expect(JSON.parse(JSON.stringify(testTerm({ number: 7 })))).toMatchObject({
      fencingToken: '7',
    });
    expect(getMaxListeners(term.signal)).toBe(Infinity);
  });

  it('begins no term before the work of the last has ended', async () => {
    const election = new TestElection({ isLeader: true });
    const { leadership } = (await applicationWith(election)).get(Worker);
    let finish!: () => void;
    void leadership.runIfLeader(() => new Promise<void>((resolve) => (finish = resolve)));
    leadership.stepDown();
    const granted = election.grant();
    await election.clock.settle();
    expect(leadership.isLeader()).toBe(false);
    finish();
    await granted;
    expect(leadership.isLeader()).toBe(true);
  });

  it('tells followers who leads', async () => {
    const election = new TestElection({ leader: 'other' });
    const { events, leadership } = (await applicationWith(election)).get(Worker);
    expect(leadership.leader).toBe('other');
    await election.setLeader('third');
    await election.setLeader(undefined);
    expect([events, leadership.leader]).toEqual([['leader other', 'leader third'], undefined]);
  });

  it('lets the application step down, suspend and resume', async () => {
    const election = new TestElection({ isLeader: true });
    const { leadership } = (await applicationWith(election)).get(Worker);
    expect(leadership.remainingMs()).toBeGreaterThan(0);
    expect([leadership.stepDown(), leadership.stepDown()]).toEqual([true, false]);
    leadership.suspend();
    await expect(election.grant()).rejects.toThrow(/suspended.*resume\(\)/);
    leadership.resume();
    expect((await election.grant()).number).toBe(2);
  });

  it.each<[string, (election: TestElection) => Promise<unknown>, RegExp]>([
    ['grants before init()', (election) => election.grant(), /initialise the application first/],
    ['names a role that is not there', (election) => election.grant('b'), /no role "b", only "a"/],
    [
      'lets another lead beside this process',
      async (election) => {
        await module!.init();
        await election.grant();
        await election.setLeader('other');
      },
      /revoke\('superseded'\) first/,
    ],
  ])('explains what is wrong when a test %s', async (_what, act, message) => {
    const election = new TestElection();
    module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ role: 'a', election })],
    }).compile();
    await expect(act(election)).rejects.toThrow(message);
  });

  it('explains that it controls nothing when it was given no builder', async () => {
    await expect(new TestElection().grant()).rejects.toThrow(/pass the builder to control\(\)/);
  });

  it('controls each role of an application by its name', async () => {
    const election = new TestElection();
    const roles = ['a', 'b'];
    module = await election
      .control(
        Test.createTestingModule({
          imports: roles.map((role) => LeaderElectionModule.forRoot({ role, lock: 'lease' })),
        }),
      )
      .compile();
    await module.init();
    await election.grant('b');
    const leads = roles.map((role) =>
      module!.get<LeadershipService>(getLeadershipToken(role)).isLeader(),
    );
    expect(leads).toEqual([false, true]);
    await expect(election.grant()).rejects.toThrow(/several roles: "a", "b"/);
  });
});

describe('when fake timers are in force before the application starts', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('calls handlers all the same', async () => {
    const election = new TestElection();
    const { events } = (await applicationWith(election)).get(Worker);
    await election.grant();
    await election.revoke();
    expect(events).toEqual(['granted, leads: true', 'leader me', 'revoked, leads: false']);
  });
});

describe('ManualClock', () => {
  it('fires a timer in the async context in which it was set, as Node.js does', async () => {
    const context = new AsyncLocalStorage<string>();
    const clock = new ManualClock();
    const seen: unknown[] = [];
    context.run('set', () => clock.setTimer(() => seen.push(context.getStore()), 10));
    await context.run('advanced', () => clock.advance(10));
    expect(seen).toEqual(['set']);
  });
});

describe('when an object stands outside of any application', () => {
  const worker = () => new Worker(leadershipStandIn());

  it('is leader or follower as the test says, and leaves nothing to see on it', () => {
    expect(asLeader(worker()).work()).toBe('done');
    expect(asFollower(worker()).work()).toBeUndefined();
    expect(Object.keys(asLeader(worker()))).toEqual(Object.keys(worker()));
  });

  it('changes sides when the test changes its mind', () => {
    const object = worker();
    expect(asFollower(asLeader(object)).work()).toBeUndefined();
    expect(asLeader(object).work()).toBe('done');
  });

  it('is refused if nothing of it is gated', () => {
    expect(() => asLeader(new (class Plain {})())).toThrow(/Plain has no method with @LeaderOnly/);
  });

  it('gets a service that leads, or knows who does', async () => {
    const leading = leadershipStandIn({ role: 'a' });
    expect([leading.isLeader(), leading.role, leading.assertLeader().role]).toEqual([
      true,
      'a',
      'a',
    ]);
    expect((await leading.waitForLeadership()).number).toBe(1);
    expect([leading.stepDown(), leading.isLeader()]).toEqual([true, false]);
    const following = leadershipStandIn({ isLeader: false, leader: 'other' });
    expect([following.isLeader(), following.leader]).toEqual([false, 'other']);
    const seen: unknown[] = [];
    following.leader$.subscribe((leader) => seen.push(leader));
    expect(seen).toEqual(['other']);
  });
});
