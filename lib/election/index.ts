/**
 * Leader election for workers and scripts without Nest: `createLeaderElection()`. Nothing here imports NestJS or RxJS.
 */

// The election
export {
  createLeaderElection,
  type LeaderElection,
  type LeaderElectionEvents,
  type LeaderElectionListener,
  type LeaderElectionOptions,
} from './leader-election.js';
export type { ElectionOptions, ElectionProfile } from '../core/election-options.js';
export type { ElectionLog, LogEntry, LogEvent } from './log-entry.js';
export type { RevocationReason, Term } from '../core/term.js';
export { currentTerm } from './current-term.js';
export type {
  ElectionHealth,
  ElectionHealthOptions,
  ElectionHealthStatus,
} from './election-health.js';
export type { ElectionStatus, RecentFailures } from './election-status.js';
export type { RunCoordinator } from './run-coordinator.js';
export type { Adopted } from '../elector/work-in-flight.js';

// Locks
export { leaseLock, type LeaseLockOptions } from '../locks/kubernetes/lease.lock.js';
export { configMapLock, type ConfigMapLockOptions } from '../locks/kubernetes/config-map.lock.js';
export { fileLock } from '../locks/file/file.lock.js';
export type { FileLockOptions } from '../locks/file/file-lock-options.js';
export { memoryLock } from '../locks/memory/memory.lock.js';
export type { LockChoice, LockName } from '../locks/lock-selection.js';

// Errors
export { DrainTimeoutError } from '../core/errors.js';
export { ElectionStoppedError } from '../core/errors.js';
export { LeaderElectionError } from '../core/errors.js';
export { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
export { LeadershipHandlerError } from '../core/errors.js';
export { LeadershipRevokedError } from '../core/errors.js';
export { LeaseAlteredError, type LeaseAlteration } from '../core/errors.js';
export { LockRequestError, type LockRequestErrorDetails } from '../core/errors.js';
export { StoreTooSlowError } from '../core/errors.js';
export { WallClockError } from '../core/errors.js';
export type { ReportedError } from '../core/errors.js';

// The port, for a lock of your own
export type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
export type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  WriteOutcome,
} from '../core/resource-lock.js';
