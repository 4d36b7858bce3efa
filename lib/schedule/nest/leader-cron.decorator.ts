import { Inject } from '@nestjs/common';
import { handlerTarget, MethodMarks, refuseLateInstances } from '../../nest/method-marks.js';
import type { LeaderCronOptions } from './leader-cron.options.js';

/**
 * Injected into every class with a `@LeaderCron()` or `@LeaderOnce()` method. Nest prints this text if it cannot inject it; otherwise the
 * jobs would silently never run.
 */
export const LEADER_SCHEDULE_PRESENCE = Symbol.for(
  '@LeaderCron() and @LeaderOnce() need LeaderScheduleModule in the imports of the root module',
);

/** One use of the decorator, unchecked. */
export interface LeaderCronMark {
  readonly schedule: unknown;
  readonly options: unknown;
}

export const LEADER_CRON_MARKS = new MethodMarks<LeaderCronMark>(
  'nestjs-leader-election:leader-cron',
);

/**
 * A job with the semantics of a Kubernetes CronJob: each tick is started at most once in the whole fleet, whichever
 * processes think they are leader, and ticks missed during a failover are caught up or reported. The method is called
 * with a `LeaderCronContext`. It may throw: that is logged and recorded, and the schedule continues.
 *
 * Needs `LeaderScheduleModule`. On providers and controllers of the default scope. Everything is checked when the
 * application starts.
 *
 * @param schedule a cron expression of five or six fields (the sixth, in front, is the second), one of the presets such
 * as `@daily`, a `CronExpression` of `@nestjs/schedule`, or a Date for a single run
 *
 * @throws LeaderElectionOptionsError when the class is defined, if what it decorates is not a method, or a generator that is not async
 * @example
 * @LeaderCron('30 2 * * *', { timeZone: 'Europe/Berlin', startingDeadlineSeconds: 3_600 })
 * async closeMonth({ scheduledTime, term, signal, missed }: LeaderCronContext) {}
 */
export function LeaderCron(
  schedule: string | Date,
  options: LeaderCronOptions = {},
): MethodDecorator {
  return (target, key, descriptor) => {
    const { prototype } = handlerTarget('@LeaderCron()', target, key, descriptor);
    LEADER_CRON_MARKS.add(prototype, key, descriptor.value as object, { schedule, options });
    requireScheduleModule(prototype);
    refuseLateInstances(prototype);
  };
}

/** Makes Nest refuse to create the class if the module is missing. Nothing is kept on the instance. */
export function requireScheduleModule(prototype: object): void {
  if (LEADER_SCHEDULE_PRESENCE in prototype) return;
  Object.defineProperty(prototype, LEADER_SCHEDULE_PRESENCE, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set: () => {},
  });
  Inject(LEADER_SCHEDULE_PRESENCE)(prototype, LEADER_SCHEDULE_PRESENCE);
}
