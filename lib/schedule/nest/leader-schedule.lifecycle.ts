import { Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { LeaderElectionOptionsError } from '../../core/errors.js';
import { LeaderCronExplorer } from './leader-cron.explorer.js';
import { LeaderSchedule } from './leader-schedule.service.js';
import { RoleSchedules } from './role-schedules.js';

/**
 * 1. `onModuleInit`: the decorated jobs are found and checked, and all faults reported at once.
 * 2. Whenever this process leads and the application has been initialised, its jobs are scheduled.
 * 3. `beforeApplicationShutdown`: nothing is started any more. What runs is work of the term: the election waits for
 *    it, for up to `drainTimeoutMs`, and for the record of its end, and releases the lease after that.
 */
@Injectable()
export class LeaderScheduleLifecycle implements OnModuleInit, BeforeApplicationShutdown {
  constructor(
    private readonly explorer: LeaderCronExplorer,
    private readonly schedule: LeaderSchedule,
    private readonly schedules: RoleSchedules,
  ) {}

  onModuleInit(): void {
    const { jobs, faults } = this.explorer.explore();
    // A test has put something else in its place, which schedules nothing.
    if (!(this.schedule instanceof LeaderSchedule)) return;
    const all = [...faults, ...this.schedule.register(jobs)];
    if (all.length > 0) throw new LeaderElectionOptionsError(all);
  }

  beforeApplicationShutdown(): void {
    this.schedules.stop();
  }
}
