import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { type TestingModule } from '@nestjs/testing';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { jest } from '@jest/globals';
import { config, Subject } from 'rxjs';
import {
  getLeaderElectionOptionsToken,
  getLeadershipToken,
  InjectLeadership,
  LeaderElectionModule,
  LeaderElectionOptionsError,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnRevoked,
  type Revocation,
  type Term,
} from '../../lib/index.js';
import { LeaderCron, LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

@Injectable()
class Jobs {
  readonly told: string[] = [];

  constructor(
    readonly byClass: LeadershipService,
    @InjectLeadership(ROLE) readonly byRole: LeadershipService,
  ) {}

  @LeaderOnly()
  unnamed(): string {
    return 'ran';
  }

  @LeaderOnly(ROLE)
  named(): string {
    return 'ran';
  }

  @OnGranted()
  granted({ number }: Term): void {
    this.told.push(`granted ${number}`);
  }

  @OnRevoked()
  revoked({ number }: Term): void {
    this.told.push(`revoked ${number}`);
  }

  @LeaderCron('* * * * * *', { name: 'tick' })
  tick(): void {
    this.told.push('tick');
  }
}

const TERM: Term = {
  role: ROLE,
  number: 7,
  fencingToken: 7n,
  holderIdentity: 'test',
  grantedAt: new Date(0),
  signal: new AbortController().signal,
};

let elections: Elections;
let testing: TestingModule | undefined;
beforeEach(() => {
  elections = new Elections();
  testing = undefined;
});
afterEach(async () => {
  await Promise.all([testing?.close(), elections.end()]);
});

describe('The LeadershipService of a role', () => {
  const metadata = () => ({
    imports: [elections.module(), LeaderScheduleModule],
    providers: [Jobs],
  });

  describe('when there is one role', () => {
    it('is one object under both tokens and at every injection', async () => {
      const app = await elections.leading();
      expect(app.get(LeadershipService)).toBe(app.get(getLeadershipToken(ROLE)));
    });

    it('is asked by gates, named or not, and by trigger(), so that a spy reaches them', async () => {
      const app = await elections.start(metadata());
      await elections.clock.settle();
      const jobs = app.get(Jobs);
      expect(jobs.byClass).toBe(jobs.byRole);
      expect([jobs.unnamed(), jobs.named()]).toEqual(['ran', 'ran']);
      const spy = jest.spyOn(app.get(LeadershipService), 'isLeader').mockReturnValue(false);
      expect([jobs.unnamed(), jobs.named()]).toEqual([undefined, undefined]);
      spy.mockRestore();
      jest.spyOn(app.get(LeadershipService), 'term', 'get').mockReturnValue(undefined);
      await expect(app.get(LeaderSchedule).trigger('tick')).rejects.toMatchObject({
        code: 'ERR_NOT_LEADER',
      });
    });
  });

  describe.each([
    ['the class', LeadershipService],
    ['the token of the role', getLeadershipToken(ROLE)],
  ])('when a test overrides %s', (_what, token) => {
    it('replaces the service everywhere: gates, handlers, injections and the schedule', async () => {
      const granted$ = new Subject<Term>();
      const revoked$ = new Subject<Revocation>();
      const stub = {
        role: ROLE,
        leader: undefined,
        term: undefined as Term | undefined,
        granted$,
        revoked$,
        isLeader: () => stub.term !== undefined,
      };
      testing = await elections
        .builder(metadata())
        .overrideProvider(token)
        .useValue(stub)
        .compile();
      await testing.init();
      await elections.clock.settle();
      const jobs = testing.get(Jobs);
      expect([jobs.byClass, jobs.byRole]).toEqual([stub, stub]);
      expect([jobs.unnamed(), jobs.named(), jobs.told]).toEqual([undefined, undefined, []]);
      stub.term = TERM;
      granted$.next(TERM);
      await elections.clock.settle();
      expect([jobs.unnamed(), jobs.named(), jobs.told]).toEqual(['ran', 'ran', ['granted 7']]);
      stub.term = undefined;
      revoked$.next({ term: TERM, reason: 'stepped-down' });
      await elections.clock.settle();
      expect(jobs.told).toEqual(['granted 7', 'revoked 7']);
      await expect(testing.get(LeaderSchedule).trigger('tick')).rejects.toMatchObject({
        code: 'ERR_NOT_LEADER',
      });
      expect(elections.holder()).toBeUndefined();
    });
  });

  describe('when a test overrides the class with a factory', () => {
    it('replaces the service for gates, named or not', async () => {
      testing = await elections
        .builder(metadata())
        .overrideProvider(LeadershipService)
        .useFactory({ factory: () => ({ isLeader: () => true }) })
        .compile();
      await testing.init();
      expect([testing.get(Jobs).unnamed(), testing.get(Jobs).named()]).toEqual(['ran', 'ran']);
      await elections.clock.settle();
      expect(elections.holder()).toBeUndefined();
    });
  });
});

describe('when a test puts only a part of a service in its place', () => {
  const started = async (
    service: unknown,
    token: unknown = LeadershipService,
    imports: ModuleMetadata['imports'] = [elections.module()],
  ): Promise<Jobs> => {
    testing = await elections
      .builder({ imports: [...imports, LeaderScheduleModule], providers: [Jobs] })
      .overrideProvider(token)
      .useValue(service)
      .compile();
    await testing.init();
    await elections.clock.settle();
    return testing.get(Jobs);
  };

  it.each([
    ['null', null, /= null: must be an object with isLeader\(\)/],
    ['undefined', undefined, /must be an object with isLeader\(\)/],
    ['a boolean', true, /= true: must be an object/],
    ['an object without isLeader()', { term: undefined }, /has no method isLeader\(\)/],
    ['an isLeader that is no method', { isLeader: true }, /has no method isLeader\(\)/],
  ])('refuses %s, and names the service, what is missing and what to give', async (...given) => {
    const [, service, text] = given;
    for (const token of [LeadershipService, getLeadershipToken(ROLE)]) {
      const starting = started(service, token);
      await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
      await expect(starting).rejects.toThrow(text);
      await expect(starting).rejects.toThrow(/LeadershipService for role "plan-scheduler"/);
      await expect(starting).rejects.toThrow(/leadershipStandIn\(.*TestElection/);
    }
  });

  it('refuses one without a role where there are several roles', async () => {
    const imports = [elections.module(), elections.module({ role: 'other' })];
    @Injectable()
    class Other {
      @LeaderOnly(ROLE)
      work(): void {}
    }
    const starting = elections
      .builder({ imports, providers: [Other] })
      .overrideProvider(LeadershipService)
      .useValue({ isLeader: () => true })
      .compile()
      .then((application) => application.init());
    await expect(starting).rejects.toThrow(/override of LeadershipService.*must name a role/);
    await expect(starting).rejects.toThrow(
      /overrideProvider\(getLeadershipToken\("plan-scheduler"\)\)/,
    );
  });

  it('calls handlers and jobs by the streams of one that has no term', async () => {
    const granted$ = new Subject<Term>();
    const revoked$ = new Subject<Revocation>();
    const jobs = await started({ isLeader: () => true, granted$, revoked$ });
    granted$.next(TERM);
    await elections.clock.settle();
    await elections.clock.advance(1_000);
    revoked$.next({ term: TERM, reason: 'superseded' });
    await elections.clock.settle();
    await elections.clock.advance(2_000);
    expect(jobs.told).toEqual(['granted 7', 'tick', 'revoked 7']);
  });

  it('calls handlers and jobs for the term that it has from the start', async () => {
    const jobs = await started({ isLeader: () => true, term: TERM });
    await elections.clock.advance(1_000);
    expect(jobs.told).toEqual(['granted 7', 'tick']);
  });

  it('calls neither kind of handler for a term that ends before they have begun', async () => {
    const granted$ = new Subject<Term>();
    const revoked$ = new Subject<Revocation>();
    const jobs = await started({ isLeader: () => true, granted$, revoked$ });
    granted$.next(TERM);
    revoked$.next({ term: TERM, reason: 'superseded' });
    await elections.clock.settle();
    expect(jobs.told).toEqual([]);
  });

  it('says which handlers it does not call where one leads without a term', async () => {
    const log = new RecordedLog();
    testing = await elections
      .builder({ imports: [elections.module(), LeaderScheduleModule], providers: [Jobs] })
      .overrideProvider(LeadershipService)
      .useValue({ isLeader: () => true })
      .compile();
    testing.useLogger(log);
    await testing.init();
    expect(log.texts('error')).toEqual([
      expect.stringMatching(/does not call @OnGranted\(\) Jobs\.granted: .*leadershipStandIn\(\)/),
    ]);
  });

  it.each([
    ['granted$', { number: 1 }, /granted\$ of the override .* must emit terms.*testTerm\(\)/],
    ['granted$', undefined, /granted\$ of the override/],
    ['revoked$', undefined, /revoked\$ of the override .* must emit \{ term, reason \}/],
  ])('explains an emission of %s that is none: %j', async (stream, emission, text) => {
    const streams = { granted$: new Subject<unknown>(), revoked$: new Subject<unknown>() };
    await started({ isLeader: () => true, ...streams });
    const unhandled: unknown[] = [];
    config.onUnhandledError = (error) => unhandled.push(error);
    try {
      streams[stream as 'granted$'].next(emission);
      // As rxjs tells it: from a timer of its own.
      await new Promise((resolve) => setTimeout(resolve));
    } finally {
      config.onUnhandledError = null;
    }
    expect(unhandled).toEqual([expect.objectContaining({ message: expect.stringMatching(text) })]);
  });

  it.each([
    ['nothing', null],
    ['an empty object', {}],
    ['one method', { addCronJob: () => {} }],
  ])('runs jobs though a test leaves %s of the SchedulerRegistry', async (_what, registry) => {
    const jobs = await started(registry, SchedulerRegistry, [
      ScheduleModule.forRoot({ cronJobs: false, intervals: false, timeouts: false }),
      elections.module(),
    ]);
    await elections.clock.advance(1_000);
    expect(jobs.told).toContain('tick');
    await testing!.get(LeaderSchedule).remove('tick');
  });

  it('leaves the jobs to a stub of LeaderSchedule', async () => {
    const trigger = () => 'stub';
    await started({ trigger }, LeaderSchedule);
    expect(testing!.get(LeaderSchedule).trigger('tick')).toBe('stub');
  });
});

describe('The options of a role', () => {
  const start = async (token: symbol, options: object) => {
    const elections = new Elections();
    const testing = await elections
      .builder({ imports: [LeaderElectionModule.forRoot({ role: ROLE, lock: 'lease' })] })
      .overrideProvider(token)
      .useValue(options)
      .compile();
    await testing.init();
    await elections.clock.settle();
    const { identity } = testing.get(LeadershipService);
    const closing = testing.close();
    await elections.clock.advance(60_000);
    await closing;
    return identity;
  };
  const replacement = { lock: memoryLock(), identity: 'from the test' };

  it.each([
    ['for every role', getLeaderElectionOptionsToken()],
    ['for the one role', getLeaderElectionOptionsToken(ROLE)],
  ])('are replaced by overrideProvider() %s, without naming the role again', async (_, token) => {
    await expect(start(token, replacement)).resolves.toBe('from the test');
  });

  it('are refused if they name another role', async () => {
    const starting = start(getLeaderElectionOptionsToken(), { ...replacement, role: 'other' });
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(/role = "other": must be the role given to forRoot/);
  });
});
