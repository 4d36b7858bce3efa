import { Injectable } from '@nestjs/common';
import { Cron, CronExpression, ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { LeaderElectionModule, LeaderOnly, LeadershipService } from 'nestjs-leader-election';

@Injectable()
class PlanScheduler {
  closed = 0;

  constructor(readonly leadership: LeadershipService) {}

  @LeaderOnly()
  @Cron(CronExpression.EVERY_HOUR)
  async closeExpiredPlans(): Promise<number> {
    await Promise.resolve();
    return ++this.closed;
  }
}

describe('when a spec boots a module with an election', () => {
  it('leads in its own process and runs gated methods', async () => {
    const module = await Test.createTestingModule({
      imports: [
        ScheduleModule.forRoot(),
        LeaderElectionModule.forRoot({ role: 'plan-scheduler', lock: 'memory' }),
      ],
      providers: [PlanScheduler],
    }).compile();
    await module.init();
    const scheduler = module.get(PlanScheduler);
    await scheduler.leadership.waitForLeadership();
    expect(await scheduler.closeExpiredPlans()).toBe(1);
    await module.close();
  });
});
