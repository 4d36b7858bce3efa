import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { CronExpression, ScheduleModule } from '@nestjs/schedule';
import type { LeaderElectionModuleOptions } from '../../../lib/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
  type MissedReport,
} from '../../../lib/schedule/index.js';
import { MemoryLock } from '../../../lib/locks/memory/memory.lock.js';
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

  /** Lets time pass, and real requests be answered, until something has come. */
  async advanceUntil(condition: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + 30_000;
    while (!condition()) {
      if (performance.now() > giveUpAt) throw new Error(`never came: ${String(condition)}`);
      await this.clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The lock of one lease in the store of the test. */
  lock(leaseName: string): MemoryLock {
    return new MemoryLock(this.store, { leaseName, namespace: undefined, identity: 'x' });
  }

  /** The records of all jobs, as they are stored. */
  jobs(): Record<string, unknown> {
    const [stored] = [...this.store.documents.values()];
    return (JSON.parse(stored!.text) as { jobs: Record<string, unknown> }).jobs;
  }
}
