/**
 * For tests of applications that use `nestjs-leader-election`, with any runner. This is the whole public API of
 * `nestjs-leader-election/testing`.
 */

export {
  asFollower,
  asLeader,
  leadershipStandIn,
  type LeadershipStandInOptions,
} from './leadership-stand-in.js';
export { leaderCronContext, type LeaderCronContextOptions } from './leader-cron-context.js';
export {
  LeaderElectionTestingModule,
  type LeaderElectionTestingModuleOptions,
} from './leader-election-testing.module.js';
export { ManualClock } from './manual-clock.js';
export {
  TestElection,
  type OverridableBuilder,
  type TestElectionOptions,
} from './test-election.js';
export { testTerm } from './test-term.js';
