import { MethodMarks, methodTarget, refuseLateInstances } from '../../nest/method-marks.js';
import { requireScheduleModule } from './leader-cron.decorator.js';
import type { LeaderOnceOptions } from './leader-once.options.js';

/** One use of the decorator, unchecked. */
export interface LeaderOnceMark {
  readonly options: unknown;
}

export const LEADER_ONCE_MARKS = new MethodMarks<LeaderOnceMark>(
  'nestjs-leader-election:leader-once',
);

/**
 * Work that runs once per version in the whole fleet, a migration for instance: the first replica that wants this version
 * runs it, when all `onModuleInit` hooks have ended, and before the application listens. The method is called with a
 * `OnceContext`. What becomes of it is recorded: `LeaderSchedule.inspectOnce(key)`.
 *
 * Needs `LeaderScheduleModule`. On providers and controllers of the default scope. Everything is checked when the
 * application starts.
 *
 * @throws LeaderElectionOptionsError when the class is defined, if what it decorates is not a method
 * @example
 * @LeaderOnce({ key: 'schema', version: 4, waitForOthers: true })
 * async migrate({ signal }: OnceContext) {}
 */
export function LeaderOnce(options: LeaderOnceOptions): MethodDecorator {
  return (target, key, descriptor) => {
    const { prototype } = methodTarget('@LeaderOnce()', target, key, descriptor);
    LEADER_ONCE_MARKS.add(prototype, key, descriptor.value as object, { options });
    requireScheduleModule(prototype);
    refuseLateInstances(prototype);
  };
}
