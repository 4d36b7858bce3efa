import { Global, Module } from '@nestjs/common';
import { LeaderElectionCoreModule } from '../../nest/leader-election.lifecycle.js';
import { LeaderCronExplorer } from './leader-cron.explorer.js';
import { LEADER_SCHEDULE_PRESENCE } from './leader-schedule.constants.js';
import { LeaderScheduleLifecycle } from './leader-schedule.lifecycle.js';
import { LeaderSchedule } from './leader-schedule.service.js';
import { RoleSchedules } from './role-schedules.js';

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
    RoleSchedules,
    LeaderCronExplorer,
    LeaderSchedule,
    LeaderScheduleLifecycle,
  ],
  exports: [LEADER_SCHEDULE_PRESENCE, LeaderSchedule],
})
export class LeaderScheduleModule {}
