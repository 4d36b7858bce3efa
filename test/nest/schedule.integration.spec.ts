import { Injectable } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { LeaderOnly } from '../../lib/index.js';
import { Elections } from './support/elections.js';
import { until } from './support/until.js';

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @LeaderOnly()
  @Cron('* * * * * *', { name: 'cron above' })
  cronAbove(): void {
    this.ran.push('cron above');
  }

  @Cron('* * * * * *', { name: 'cron below' })
  @LeaderOnly()
  async cronBelow(): Promise<void> {
    this.ran.push('cron below');
    return Promise.resolve();
  }

  @LeaderOnly()
  @Interval('interval above', 10)
  intervalAbove(): void {
    this.ran.push('interval above');
  }

  @Interval('interval below', 10)
  @LeaderOnly()
  intervalBelow(): void {
    this.ran.push('interval below');
  }

  @LeaderOnly()
  @Timeout('timeout above', 30)
  timeoutAbove(): void {
    this.ran.push('timeout above');
  }

  @Timeout('timeout below', 30)
  @LeaderOnly()
  timeoutBelow(): void {
    this.ran.push('timeout below');
  }

  @Interval('everywhere', 10)
  everywhere(): void {
    this.ran.push('everywhere');
  }
}

@LeaderOnly()
@Injectable()
class GatedJobs {
  readonly ran: string[] = [];

  @Interval('class', 10)
  run(): void {
    this.ran.push('class');
  }
}

const GATED = [
  'class',
  'cron above',
  'cron below',
  'interval above',
  'interval below',
  'timeout above',
  'timeout below',
];

describe('jobs of @nestjs/schedule', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  const start = async () => {
    const app = await elections.start({
      imports: [ScheduleModule.forRoot(), elections.module()],
      providers: [Jobs, GatedJobs],
    });
    await elections.clock.settle();
    const ran = () => new Set([...app.get(Jobs).ran, ...app.get(GatedJobs).ran]);
    return { app, ran };
  };

  describe('when this process leads', () => {
    it('all run, with @LeaderOnly() above or below', async () => {
      const { app, ran } = await start();
      await until(() => GATED.every((name) => ran().has(name)));
      expect([...app.get(SchedulerRegistry).getCronJobs().keys()]).toEqual([
        'cron above',
        'cron below',
      ]);
      await elections.supersede('pod-b');
      app.get(Jobs).ran.length = 0;
      app.get(GatedJobs).ran.length = 0;
      await until(() => app.get(Jobs).ran.length > 20);
      expect([...ran()]).toEqual(['everywhere']);
    });
  });

  describe('when another process leads', () => {
    it('none of them runs, only what is not gated', async () => {
      await elections.leadingRival('pod-b');
      const { app, ran } = await start();
      const jobs = app.get(SchedulerRegistry).getCronJobs();
      await until(() => [...jobs.values()].every((job) => job.lastDate() !== null));
      await until(() => app.get(Jobs).ran.length > 20);
      expect([...ran()]).toEqual(['everywhere']);
    });
  });
});
