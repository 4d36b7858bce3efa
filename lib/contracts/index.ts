/**
 * For authors of locks: the contracts of the ports, as cases that any test runner can run, and a recorder that breaks the
 * store behind a lock. It loads no package.
 */

// The contracts
export { lockContract } from './lock.contract.js';
export { electionContract } from './election.contract.js';
export type { ElectionCapability, ElectionFixture } from './election-under-test.js';
export { documentStoreContract, type DocumentStoreFixture } from './document-store.contract.js';
export type {
  ContractCase,
  ContractOptions,
  DocumentStoreCapability,
  FixtureCapability,
  LockCapability,
} from './contract-case.js';
export type { LockFixture, StoreFixture } from './lock-fixture.js';

// A recording lock
export {
  RecordingStore,
  type FaultScope,
  type RecordedRequest,
  type RecordedWrite,
  type RecordingStoreOptions,
  type StoreOutcome,
  type StoreVerb,
} from './recording.store.js';
export { ManualClock } from './manual-clock.js';
export type { Clock, Timer } from '../core/clock.js';
