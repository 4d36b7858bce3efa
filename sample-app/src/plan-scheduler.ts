import { Injectable, Logger } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { LeaderOnly } from 'nestjs-leader-election';

/** The job that must run on one replica only: every replica has the timer, the leader alone runs the method. */
@Injectable()
export class PlanScheduler {
  private readonly logger = new Logger('PlanScheduler');
  private ticks = 0;

  @LeaderOnly()
  @Cron(CronExpression.EVERY_SECOND)
  closeExpiredPlans(): void {
    this.ticks += 1;
    this.logger.log(`tick ${this.ticks}: closing expired plans`);
  }
}
