/**
 * Scheduled work: no tick starts twice, and one that was missed is caught up or reported. Needs `@nestjs/schedule` and
 * `cron`.
 */

export { LeaderCron } from './nest/leader-cron.decorator.js';
export type { LeaderCronOptions } from './nest/leader-cron.options.js';
export type { RetryOptions } from './nest/retry-options.js';
export { LeaderScheduleModule } from './nest/leader-schedule.module.js';
export {
  type CancelOptions,
  LeaderSchedule,
  type ScheduledJobView,
  type SuspendOptions,
} from './nest/leader-schedule.service.js';
export type { RunEvent, RunEventKind, RunReport } from './nest/run-events.js';
export type {
  ActiveRunStatus,
  CancellationStatus,
  JobStatus,
  PastRunStatus,
  PendingRetryStatus,
} from './nest/leader-cron-job.js';
export type { PastOutcome } from './ledger/job-record.js';
export type { ConcurrencyPolicy, MissedPolicy } from './tick/tick-schedule.js';
export type {
  InterruptedRunPolicy,
  LeaderCronContext,
  MissedReport,
  MissedTicks,
} from './runner/job-definition.js';
export type { CancelResult } from './runner/cancelling.js';
export type { TriggerResult } from './runner/job.js';
export { JobCancelledError } from './runner/job-run.js';
export { JobReplacedError } from './runner/job-run.js';
export { JobTimeoutError } from './runner/job-run.js';
export { JobWaitsForItselfError } from './runner/job-run.js';
export { LeaderOnce } from './nest/leader-once.decorator.js';
export type { LeaderOnceOptions, OnceOptions } from './nest/leader-once.options.js';
export type { OnceReadiness, OnceStatus } from './nest/once-works.js';
export type { OnceContext } from './once/once-work.js';
export type { OnceResult } from './once/once-role.js';
export type { InterruptionPolicy } from './once/once-decision.js';
export type { OnceState } from './once/once-record.js';
export { OnceFailedError, OnceTimeoutError } from './once/once-errors.js';
