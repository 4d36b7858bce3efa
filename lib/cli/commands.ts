import type { Command } from './command.js';
import { DOCTOR } from './doctor/doctor.command.js';
import { RUN } from './run/run.command.js';
import { CANCEL, RESUME, SUSPEND, TRIGGER } from './schedule/job-changes.command.js';
import { JOBS } from './schedule/jobs.command.js';
import { STATUS } from './status.command.js';
import { STEP_DOWN } from './step-down.command.js';

export const COMMANDS: readonly Command[] = [
  DOCTOR,
  STATUS,
  RUN,
  STEP_DOWN,
  JOBS,
  TRIGGER,
  SUSPEND,
  RESUME,
  CANCEL,
];
