import {
  type BeforeApplicationShutdown,
  Global,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { LeaderElectionOptionsError } from '../../core/errors.js';
import { isRepl } from '../../nest/entry-point.js';
import { LeaderElectionCoreModule } from '../../nest/leader-election.lifecycle.js';
import type { LeaderCronContext } from '../runner/job-definition.js';
import type { OnceContext } from '../once/once-work.js';
import {
  LEADER_CRON_MARKS,
  LEADER_SCHEDULE_PRESENCE,
  type LeaderCronMark,
} from './leader-cron.decorator.js';
import { LEADER_ONCE_MARKS, type LeaderOnceMark } from './leader-once.decorator.js';
import { MarkedMethodsExplorer } from './marked-methods.js';
import { OnceWorks } from './once-works.js';
import { LeaderSchedule } from './leader-schedule.service.js';
import { RoleSchedules } from './role-schedules.js';
import { RunEvents } from './run-events.js';

/**
 * 1. `onModuleInit`: the decorated jobs and the work that runs once are found and checked, and all faults reported at
 *    once.
 * 2. `onApplicationBootstrap`: that work begins, and the start waits for what has `waitForOthers`.
 * 3. While this process is leader and the application has been initialised, its jobs are scheduled.
 * 4. `beforeApplicationShutdown`: no run starts from here on. What runs is work of the term: the election waits for
 *    it, for up to `drainTimeoutMs`, and for the record of its end, and releases the lease after that.
 * 5. `onApplicationShutdown`: `runs$` completes.
 */
@Injectable()
class LeaderScheduleLifecycle
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    private readonly explorer: MarkedMethodsExplorer,
    private readonly schedule: LeaderSchedule,
    private readonly schedules: RoleSchedules,
    private readonly onceWorks: OnceWorks,
    private readonly events: RunEvents,
  ) {}

  onModuleInit(): void {
    const jobs = this.explorer.explore<LeaderCronMark, LeaderCronContext>(
      '@LeaderCron()',
      LEADER_CRON_MARKS,
    );
    const works = this.explorer.explore<LeaderOnceMark, OnceContext>(
      '@LeaderOnce()',
      LEADER_ONCE_MARKS,
    );
    if (this.isReplaced) return;
    const faults = [
      ...jobs.faults,
      ...works.faults,
      ...this.schedule.register(
        jobs.found.map(({ name, mark, ...job }) => ({ ...job, ...mark, defaultName: name })),
      ),
      ...this.onceWorks.register(works.found.map(({ mark, ...work }) => ({ ...work, ...mark }))),
    ];
    if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
  }

  async onApplicationBootstrap(): Promise<void> {
    // A REPL looks at an application beside the running ones, and migrates nothing.
    if (!this.isReplaced && !isRepl()) await this.onceWorks.begin();
  }

  beforeApplicationShutdown(): void {
    this.schedules.stop();
  }

  onApplicationShutdown(): void {
    this.events.complete();
  }

  /** A test has put something in place of the service that schedules nothing. */
  private get isReplaced(): boolean {
    return !(this.schedule instanceof LeaderSchedule);
  }
}

/**
 * Schedules the `@LeaderCron()` jobs of the application and provides {@link LeaderSchedule}. Import it once, in the
 * root module, beside LeaderElectionModule. With `ScheduleModule.forRoot()` of @nestjs/schedule in the application its
 * SchedulerRegistry lists the jobs too.
 */
@Global()
@Module({
  imports: [LeaderElectionCoreModule],
  providers: [
    { provide: LEADER_SCHEDULE_PRESENCE, useValue: true },
    RunEvents,
    RoleSchedules,
    MarkedMethodsExplorer,
    OnceWorks,
    LeaderSchedule,
    LeaderScheduleLifecycle,
  ],
  exports: [LEADER_SCHEDULE_PRESENCE, LeaderSchedule],
})
export class LeaderScheduleModule {}
