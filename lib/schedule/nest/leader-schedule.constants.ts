/**
 * What every class with a `@LeaderCron()` method has injected. The text is what Nest prints when it cannot: without
 * the module the jobs would be forgotten in silence.
 */
export const LEADER_SCHEDULE_PRESENCE = Symbol.for(
  '@LeaderCron() needs LeaderScheduleModule in the imports of the root module',
);

/** The suffix of the object beside the lease. */
export const SCHEDULE_SUFFIX = 'schedule';
