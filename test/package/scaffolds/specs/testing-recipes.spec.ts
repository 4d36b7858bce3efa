import { Controller, Injectable, Module, Post } from '@nestjs/common';
import { Cron, CronExpression, ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import {
  getLeaderElectionOptionsToken,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  NotLeaderError,
  OnGranted,
  OnRevoked,
  type RevocationReason,
  type Term,
} from 'nestjs-leader-election';
import {
  LeaderCron,
  LeaderScheduleModule,
  type LeaderCronContext,
} from 'nestjs-leader-election/schedule';
import {
  asFollower,
  asLeader,
  leaderCronContext,
  LeaderElectionTestingModule,
  RecordingStore,
  TestElection,
  testTerm,
} from 'nestjs-leader-election/testing';

// The code of docs/testing.md; a spec of the repository compares the two.

@Injectable()
class PlanScheduler {
  closed = 0;
  readonly events: string[] = [];
  finish: () => void = () => {};

  @LeaderOnly()
  @Cron(CronExpression.EVERY_HOUR)
  async closeExpiredPlans(): Promise<number> {
    await Promise.resolve();
    return ++this.closed;
  }

  @LeaderOnly({ onFollower: 'throw' })
  async rebuildIndex(): Promise<void> {
    await new Promise<void>((resolve) => (this.finish = resolve));
    this.events.push('index rebuilt');
  }

  @OnGranted()
  start(term: Term): void {
    this.events.push(`granted ${term.number}`);
  }

  @OnRevoked()
  stop(term: Term, reason: RevocationReason): void {
    this.events.push(`revoked ${term.number}: ${reason}`);
  }
}

@Injectable()
class Reports {
  readonly sent: Date[] = [];

  @LeaderCron('0 2 * * *', { timeZone: 'UTC', startingDeadlineSeconds: 600 })
  send({ scheduledTime }: LeaderCronContext): void {
    this.sent.push(scheduledTime);
  }
}

@Controller('plans')
class PlansController {
  constructor(private readonly leadership: LeadershipService) {}

  @Post()
  create(): { readonly by: string | undefined } {
    return { by: this.leadership.leader };
  }
}

const electionModule = LeaderElectionModule.forRoot({ role: 'plan-scheduler', lock: 'lease' });

@Module({
  imports: [ScheduleModule.forRoot(), electionModule, LeaderScheduleModule],
  controllers: [PlansController],
  providers: [PlanScheduler, Reports],
})
class AppModule {}

describe('when a class with gated methods is tested without Nest', () => {
  it('runs them as leader', async () => {
    const scheduler = asLeader(new PlanScheduler());
    expect(await scheduler.closeExpiredPlans()).toBe(1);
  });

  it('skips them as follower, or throws where it says so', async () => {
    const scheduler = asFollower(new PlanScheduler());
    expect(await scheduler.closeExpiredPlans()).toBeUndefined();
    await expect(scheduler.rebuildIndex()).rejects.toBeInstanceOf(NotLeaderError);
  });

  it('has handlers that are ordinary methods', () => {
    const scheduler = new PlanScheduler();
    const term = testTerm({ number: 7 });
    scheduler.start(term);
    scheduler.stop(term, 'renew-deadline');
    expect(scheduler.events).toEqual(['granted 7', 'revoked 7: renew-deadline']);
  });

  it('gives a @LeaderCron() handler its context', () => {
    const reports = new Reports();
    const scheduledTime = new Date('2026-03-01T02:00:00Z');
    reports.send(leaderCronContext({ scheduledTime }));
    expect(reports.sent).toEqual([scheduledTime]);
  });
});

describe('when a test decides who leads', () => {
  it('grants and revokes in a module of its own', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ role: 'plan-scheduler' })],
      providers: [PlanScheduler],
    }).compile();
    await module.init();
    const election = module.get(TestElection);
    const scheduler = module.get(PlanScheduler);

    await election.grant();
    expect(await scheduler.closeExpiredPlans()).toBe(1);
    await election.revoke('renew-deadline');
    expect(await scheduler.closeExpiredPlans()).toBeUndefined();
    expect(scheduler.events).toEqual(['granted 1', 'revoked 1: renew-deadline']);
    await module.close();
  });

  it('takes over the election of the whole application', async () => {
    const election = new TestElection();
    const module = await election
      .control(Test.createTestingModule({ imports: [AppModule] }))
      .compile();
    await module.init();

    await election.setLeader('another-replica');
    expect(module.get(PlansController).create()).toEqual({ by: 'another-replica' });
    await election.grant();
    expect(module.get(LeadershipService).isLeader()).toBe(true);
    await module.close();
  });

  it('puts the testing module in place of the real one', async () => {
    const election = new TestElection({ isLeader: true });
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideModule(electionModule)
      .useModule(LeaderElectionTestingModule.forRoot({ role: 'plan-scheduler', election }))
      .compile();
    await module.init();
    expect(await module.get(PlanScheduler).closeExpiredPlans()).toBe(1);
    await module.close();
  });

  it('waits for work in flight when leadership ends', async () => {
    const election = new TestElection();
    const module = await election
      .control(Test.createTestingModule({ imports: [AppModule] }))
      .compile();
    await module.init();
    await election.grant();
    const scheduler = module.get(PlanScheduler);

    const work = scheduler.rebuildIndex();
    const revoked = election.revoke('stepped-down');
    expect(module.get(LeadershipService).isLeader()).toBe(false);
    scheduler.finish();
    await Promise.all([work, revoked]);
    expect(scheduler.events).toEqual(['granted 1', 'revoked 1: stepped-down', 'index rebuilt']);
    await module.close();
  });

  it('moves the clock of @LeaderCron() jobs', async () => {
    const election = new TestElection({ isLeader: true });
    const module = await election
      .control(Test.createTestingModule({ imports: [AppModule] }))
      .compile();
    await module.init();

    await election.clock.advance(2 * 3_600_000);
    expect(module.get(Reports).sent).toEqual([new Date('2026-01-01T02:00:00Z')]);
    await module.close();
  });
});

describe('when a test replaces providers', () => {
  it('overrides the options and lets the real election run in memory', async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getLeaderElectionOptionsToken('plan-scheduler'))
      .useValue({ lock: 'memory' })
      .compile();
    await module.init();
    await module.get(LeadershipService).waitForLeadership();
    expect(await module.get(PlanScheduler).closeExpiredPlans()).toBe(1);
    await module.close();
  });

  it('overrides the service with a value of its own, which gates ask too', async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getLeaderElectionOptionsToken('plan-scheduler'))
      .useValue({ lock: 'memory' })
      .overrideProvider(LeadershipService)
      .useValue({ isLeader: () => false })
      .compile();
    await module.init();
    expect(await module.get(PlanScheduler).closeExpiredPlans()).toBeUndefined();
    await module.close();
  });
});

describe('when a test records what the election asks of its lock', () => {
  it('shows each write, with what came of it', async () => {
    const store = new RecordingStore();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getLeaderElectionOptionsToken('plan-scheduler'))
      .useValue({ lock: store.record(memoryLock()) })
      .compile();
    await module.init();
    await module.get(LeadershipService).waitForLeadership();
    const [acquisition] = store.writes;
    expect([acquisition?.verb, acquisition?.outcome?.kind]).toEqual(['create', 'applied']);

    await module.close();
    const release = store.writes.at(-1);
    expect([release?.record?.holderIdentity, release?.outcome?.kind]).toEqual(['', 'applied']);
  });

  it('breaks the store and mends it', async () => {
    const store = new RecordingStore();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getLeaderElectionOptionsToken('plan-scheduler'))
      .useValue({ lock: store.record(memoryLock()), retryPeriodMs: 100 })
      .compile();
    store.fail();
    await module.init();
    expect(await module.get(PlanScheduler).closeExpiredPlans()).toBeUndefined();
    store.restore();
    await module.get(LeadershipService).waitForLeadership();
    expect(await module.get(PlanScheduler).closeExpiredPlans()).toBe(1);
    await module.close();
  });
});
