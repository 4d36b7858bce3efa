import { getMaxListeners } from 'node:events';
import { Injectable, type Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Observable } from 'rxjs';
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
import { LeaderCron, LeaderScheduleModule } from '../../lib/schedule/index.js';
import {
  asFollower,
  asLeader,
  leadershipStandIn,
  LeaderElectionTestingModule,
  ManualClock,
  TestElection,
  testTerm,
} from '../../lib/testing/index.js';
import { RecordedLog } from '../nest/support/recorded-log.js';

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

describe('when an application under TestElection is closed while work never ends', () => {
  const never = (): Promise<void> => new Promise(() => {});
  const onlyTick = new Observable<number>((subscriber) => subscriber.next(1));

  @Injectable()
  class Endless {
    constructor(readonly leadership: LeadershipService) {}

    @LeaderOnly()
    gated(): Promise<void> {
      return never();
    }

    @LeaderCron('* * * * * *', { name: 'tick' })
    job(): Promise<void> {
      return never();
    }
  }

  class EndlessGrant {
    @OnGranted()
    granted(): Promise<void> {
      return never();
    }
  }

  class EndlessRevocation {
    @OnRevoked()
    revoked(): Promise<void> {
      return never();
    }
  }

  const closed = async (
    providers: Type[],
    begin: (endless: Endless, election: TestElection) => unknown,
  ): Promise<string[]> => {
    const election = new TestElection({ isLeader: true, closeTimeoutMs: 20 });
    const application = await Test.createTestingModule({
      imports: [
        LeaderElectionTestingModule.forRoot({ role: 'a', identity: 'me', election }),
        LeaderScheduleModule,
      ],
      providers: [Endless, ...providers],
    }).compile();
    const log = new RecordedLog();
    application.useLogger(log);
    await application.init();
    await election.clock.settle();
    await begin(application.get(Endless), election);
    await application.close();
    return log.texts('error');
  };

  it.each<[string, Type[], (endless: Endless, election: TestElection) => unknown, RegExp]>([
    [
      'a gated method',
      [],
      (endless) => {
        void endless.gated();
      },
      /: Endless\.gated\. /,
    ],
    [
      'runIfLeader()',
      [],
      ({ leadership }) => {
        void leadership.runIfLeader(never);
      },
      /: runIfLeader\(\)\. /,
    ],
    [
      'a stream that its consumer never leaves, though it is told to end',
      [],
      ({ leadership }) => {
        const source = { next: never, return: never, [Symbol.asyncIterator]: () => source };
        void leadership.runIfLeader(() => source)!.next();
      },
      /: runIfLeader\(\)\. /,
    ],
    ['an @OnGranted() handler', [EndlessGrant], () => {}, /: @OnGranted\(\) handlers\. /],
    ['an @OnRevoked() handler', [EndlessRevocation], () => {}, /: @OnRevoked\(\) handlers\. /],
    ['a job', [], (_, { clock }) => clock.advance(1_500), /: runs of @LeaderCron\(\) jobs\. /],
    [
      'several of them',
      [EndlessGrant],
      (endless) => {
        void endless.gated();
        void endless.gated();
      },
      /: @OnGranted\(\) handlers, Endless\.gated\. /,
    ],
  ])('does not wait for %s beyond its bound, and names it', async (_what, ...given) => {
    const [providers, begin, named] = given;
    const errors = await closed(providers, begin);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/still running 20 ms \(closeTimeoutMs of TestElection\)/);
    expect(errors[0]).toMatch(named);
  });

  it('says nothing where the work ends with its term', async () => {
    const errors = await closed([], ({ leadership }) => {
      void leadership.runIfLeader(
        ({ signal }) =>
          new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
      );
      void leadership.runIfLeader(() => onlyTick)!.subscribe();
    });
    expect(errors).toEqual([]);
  });
});

describe('leadershipStandIn()', () => {
  it('tells its streams what it does, as the real service', () => {
    const service = leadershipStandIn({ role: 'a' });
    const { term } = service;
    const seen: unknown[] = [];
    service.revoked$.subscribe(({ term: ended, reason }) => seen.push(ended, reason));
    service.leader$.subscribe((leader) => seen.push(leader));
    service.leadership$.subscribe((leadership) => seen.push(leadership));
    service.stepDown();
    expect(seen).toEqual([
      service.identity,
      { role: 'a', isLeader: true, leader: service.identity, term },
      term,
      'stepped-down',
      undefined,
      { role: 'a', isLeader: false, reason: 'stepped-down' },
    ]);
  });

  it('has no keys without a value in what leadership$ carries, as the real service', () => {
    const keys: string[][] = [];
    const collect = (service: LeadershipService) =>
      service.leadership$.subscribe((leadership) => keys.push(Object.keys(leadership)));
    collect(leadershipStandIn());
    collect(leadershipStandIn({ isLeader: false }));
    expect(keys).toEqual([
      ['role', 'isLeader', 'leader', 'term'],
      ['role', 'isLeader'],
    ]);
  });
});
