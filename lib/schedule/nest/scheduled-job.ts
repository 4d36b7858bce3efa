import type { RoleElection } from '../../nest/role-election.js';
import type { JobRunner } from '../runner/job-runner.js';
import type { RoleSchedule } from '../runner/role-schedule.js';

/** A job with everything in this process that belongs to it. */
export interface ScheduledJob {
  readonly name: string;
  readonly schedule: string | Date;
  readonly timeZone: string;
  readonly runner: JobRunner;
  readonly role: {
    readonly name: string;
    readonly schedule: RoleSchedule;
    readonly election: RoleElection;
  };
}
