/**
 * For tests of applications that use `nestjs-leader-election`, with any runner.
 */

export {
  asFollower,
  asLeader,
  leadershipStandIn,
  type LeadershipStandInOptions,
} from './stand-ins.js';
export { leaderCronContext, type LeaderCronContextOptions } from './stand-ins.js';
export {
  LeaderElectionTestingModule,
  type LeaderElectionTestingModuleOptions,
} from './leader-election-testing.module.js';
export { ManualClock } from '../contracts/manual-clock.js';
export {
  RecordingStore,
  type FaultScope,
  type RecordedRequest,
  type RecordedWrite,
  type RecordingStoreOptions,
  type StoreOutcome,
  type StoreVerb,
} from '../contracts/recording.store.js';
export type { Clock, Timer } from '../core/clock.js';
export {
  TestElection,
  type OverridableBuilder,
  type TestElectionOptions,
} from './leader-election-testing.module.js';
export type { TestMember } from './controlled-members.js';
export { testTerm } from './stand-ins.js';
