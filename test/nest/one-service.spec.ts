import { Injectable } from '@nestjs/common';
import { type TestingModule } from '@nestjs/testing';
import { jest } from '@jest/globals';
import { Subject } from 'rxjs';
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

describe('The LeadershipService of a role', () => {
  let elections: Elections;
  let testing: TestingModule | undefined;
  beforeEach(() => {
    elections = new Elections();
    testing = undefined;
  });
  afterEach(async () => {
    await Promise.all([testing?.close(), elections.end()]);
  });

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
