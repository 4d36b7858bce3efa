/**
 * Scheduled work that is never doubled and never forgotten. This is the whole public API of
 * `nestjs-leader-election/schedule`; it needs @nestjs/schedule and cron.
 */

export { LeaderCron } from './nest/leader-cron.decorator.js';
export type { LeaderCronOptions } from './nest/leader-cron.options.js';
export { LeaderScheduleModule } from './nest/leader-schedule.module.js';
export { LeaderSchedule, type ScheduledJobView } from './nest/leader-schedule.service.js';
export type { ActiveRunStatus, JobStatus } from './nest/job-status.js';
export type { ConcurrencyPolicy } from './claim/tick-decision.js';
export type { LeaderCronContext, MissedReport, MissedTicks } from './runner/job-definition.js';
export type { TriggerResult } from './runner/run-trigger.js';
export { JobReplacedError } from './errors/job-replaced.error.js';
export { JobTimeoutError } from './errors/job-timeout.error.js';
export { JobWaitsForItselfError } from './errors/job-waits-for-itself.error.js';
