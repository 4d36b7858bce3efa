import { CronJob } from 'cron';
import type { JobRunner } from '../runner/job-runner.js';
import { spelledOut } from '../tick/cron-expression.js';

/**
 * How a job looks to the `SchedulerRegistry` of @nestjs/schedule. It has no timer of its own: `start()` and `stop()`
 * resume and suspend the job in this process, and `fireOnTick()` triggers a run. `nextDate()` and `nextDates()` are
 * those of the `cron` package, which differ where the clocks change; `LeaderSchedule.list()` tells the exact time.
 */
export class LeaderCronJob extends CronJob {
  private runner: JobRunner | undefined;

  constructor(
    schedule: string | Date,
    timeZone: string,
    private readonly trigger: () => Promise<unknown>,
  ) {
    const cronTime = typeof schedule === 'string' ? spelledOut(schedule) : schedule;
    super(cronTime, () => undefined, null, false, timeZone);
  }

  follow(runner: JobRunner): void {
    this.runner = runner;
  }

  override get isActive(): boolean {
    return this.runner !== undefined && !this.runner.suspended && !this.runner.isStopped;
  }

  override start(): void {
    this.runner?.resume();
  }

  override stop(): undefined {
    this.runner?.suspend();
  }

  override async fireOnTick(): Promise<void> {
    await this.trigger();
  }

  override setTime(): never {
    throw new Error(
      'The schedule of a @LeaderCron() job belongs to the whole fleet: remove the job from LeaderSchedule and add it again.',
    );
  }
}
