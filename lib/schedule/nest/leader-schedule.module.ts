import {
  type BeforeApplicationShutdown,
  Global,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { LeaderElectionCoreModule } from '../../nest/leader-election.lifecycle.js';
import {
  classOf,
  instanceOf,
  type InstanceWrapper,
  prototypeOf,
  scopeFault,
} from '../../nest/method-marks.js';
import type { LeaderCronContext } from '../runner/job-definition.js';
import {
  LEADER_CRON_MARKS,
  LEADER_SCHEDULE_PRESENCE,
  type LeaderCronMark,
} from './leader-cron.decorator.js';
import type { WrittenJob } from './leader-cron.options.js';
import { LeaderSchedule } from './leader-schedule.service.js';
import { RoleSchedules } from './role-schedules.js';
import { RunEvents } from './run-events.js';

interface FoundJobs {
  readonly jobs: readonly WrittenJob[];
  readonly faults: readonly OptionFault[];
}

/** Finds the decorated methods of an application, each once. */
@Injectable()
class LeaderCronExplorer {
  constructor(private readonly modules: ModulesContainer) {}

  explore(): FoundJobs {
    const jobs: WrittenJob[] = [];
    const faults: OptionFault[] = [];
    const explored = new Set<object>();
    for (const wrapper of this.wrappers()) {
      const instance = instanceOf(wrapper);
      const owner = prototypeOf(instance) ?? classOf(wrapper);
      if (wrapper.isAlias || (instance !== undefined && explored.has(instance))) continue;
      if (instance !== undefined) explored.add(instance);
      for (const { key, marks } of LEADER_CRON_MARKS.all(owner)) {
        const name = `${nameOf(wrapper)}.${String(key)}`;
        for (const mark of marks) {
          if (instance === undefined)
            faults.push(scopeFault(`@LeaderCron() on ${name}`, 'job', wrapper));
          else jobs.push(jobOf(name, mark, key, instance));
        }
      }
    }
    return { jobs, faults };
  }

  private *wrappers(): Iterable<InstanceWrapper> {
    for (const module of this.modules.values()) {
      for (const collection of [module.providers, module.controllers, module.injectables]) {
        yield* collection.values() as Iterable<InstanceWrapper>;
      }
    }
  }
}

function jobOf(
  name: string,
  { schedule, options }: LeaderCronMark,
  key: string | symbol,
  owner: object,
): WrittenJob {
  const methods = owner as Record<string | symbol, (context: LeaderCronContext) => unknown>;
  const run = (context: LeaderCronContext): unknown => methods[key]!(context);
  const place = `@LeaderCron() on ${name}`;
  return { place, defaultName: name, schedule, options, run, owner };
}

/**
 * The name of the class where it is known; a provider made by a factory is named after its token, which may be a
 * symbol.
 */
function nameOf({ name }: InstanceWrapper): string {
  return String(name);
}

/**
 * 1. `onModuleInit`: the decorated jobs are found and checked, and all faults reported at once.
 * 2. While this process is leader and the application has been initialised, its jobs are scheduled.
 * 3. `beforeApplicationShutdown`: no run starts from here on. What runs is work of the term: the election waits for
 *    it, for up to `drainTimeoutMs`, and for the record of its end, and releases the lease after that.
 * 4. `onApplicationShutdown`: `runs$` completes.
 */
@Injectable()
class LeaderScheduleLifecycle
  implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    private readonly explorer: LeaderCronExplorer,
    private readonly schedule: LeaderSchedule,
    private readonly schedules: RoleSchedules,
    private readonly events: RunEvents,
  ) {}

  onModuleInit(): void {
    const { jobs, faults } = this.explorer.explore();
    // A test has replaced it by something that schedules nothing.
    if (!(this.schedule instanceof LeaderSchedule)) return;
    const all = [...faults, ...this.schedule.register(jobs)];
    if (all.length > 0) throw new LeaderElectionOptionsError(all);
  }

  beforeApplicationShutdown(): void {
    this.schedules.stop();
  }

  onApplicationShutdown(): void {
    this.events.complete();
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
    LeaderCronExplorer,
    LeaderSchedule,
    LeaderScheduleLifecycle,
  ],
  exports: [LEADER_SCHEDULE_PRESENCE, LeaderSchedule],
})
export class LeaderScheduleModule {}
