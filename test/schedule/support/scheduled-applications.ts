import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { CronExpression, ScheduleModule } from '@nestjs/schedule';
import type { LeaderElectionModuleOptions } from '../../../lib/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
  type MissedReport,
} from '../../../lib/schedule/index.js';
import { Elections } from '../../nest/support/elections.js';

export const MINUTE_MS = 60_000;

/** One job a minute that keeps what it was called with. */
@Injectable()
export class Jobs {
  readonly contexts: LeaderCronContext[] = [];
  readonly reports: MissedReport[] = [];

  @LeaderCron(CronExpression.EVERY_MINUTE, {
    startingDeadlineSeconds: 30,
    onMissed(this: Jobs, report: MissedReport) {
      this.reports.push(report);
    },
  })
  everyMinute(context: LeaderCronContext): void {
    this.contexts.push(context);
  }
}

/** Elections whose applications have jobs, and a SchedulerRegistry. */
export class ScheduledApplications extends Elections {
  metadata(
    providers: ModuleMetadata['providers'],
    options: Partial<LeaderElectionModuleOptions> = {},
  ): ModuleMetadata {
    return {
      imports: [ScheduleModule.forRoot(), this.module(options), LeaderScheduleModule],
      providers,
    };
  }

  async started(...providers: NonNullable<ModuleMetadata['providers']>) {
    const application = await this.start(this.metadata(providers));
    await this.clock.settle();
    return application;
  }

  /** The records of all jobs, as they are stored. */
  jobs(): Record<string, unknown> {
    const [stored] = [...this.store.documents.values()];
    return (JSON.parse(stored!.text) as { jobs: Record<string, unknown> }).jobs;
  }
}
