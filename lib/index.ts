/**
 * Leader election for NestJS on a Kubernetes Lease: the module, the service, the decorators and the locks.
 */

// The module and its options
export { LeaderElectionModule } from './nest/leader-election.module.js';
export type {
  LeaderElectionFactoryOptions,
  LeaderElectionModuleAsyncOptions,
  LeaderElectionModuleOptions,
  LeaderElectionOptionsFactory,
  MembersOption,
} from './nest/leader-election.options.js';
export type { ElectionOptions, ElectionProfile } from './core/election-options.js';
export type { EligibilityAnswer, EligibilityCheck } from './nest/eligibility-checks.js';
export type { Placement, PlacementFunction } from './nest/role-placement.js';

// Leadership
export { LeadershipService } from './nest/leadership.service.js';
export {
  getLeaderElectionOptionsToken,
  getLeadershipToken,
} from './nest/leader-election.tokens.js';
export type {
  ElectionHealth,
  ElectionHealthOptions,
  ElectionHealthStatus,
} from './election/election-health.js';
export type { ElectionStatus, RecentFailures } from './election/election-status.js';
export type { LogEntry, LogEvent } from './election/log-entry.js';
export type { Leadership, RevocationReason, Term } from './core/term.js';
export { currentTerm } from './election/current-term.js';
export type { Revocation } from './nest/leadership-streams.js';
export type {
  ElectionSource,
  GrantedMessage,
  RevokedMessage,
  SkippedMessage,
} from './election/election-channels.js';

// Decorators
export { EveryReplica } from './nest/every-replica.decorator.js';
export { InjectLeadership } from './nest/leader-election.tokens.js';
export { LeaderOnly, type LeaderOnlyOptions } from './nest/leader-only.decorator.js';
export { LeaderGuard, type LeaderGuardOptions } from './nest/leader.guard.js';
export { OnGranted } from './nest/leadership-handler.decorators.js';
export { OnNewLeader } from './nest/leadership-handler.decorators.js';
export { OnRevoked } from './nest/leadership-handler.decorators.js';

// Members
export type { Member } from './core/member.js';
export type { MemberView } from './core/member.js';

// Errors
export { DrainTimeoutError } from './core/errors.js';
export { LeaderElectionOptionsError, type OptionFault } from './core/errors.js';
export { LeaderElectionError } from './core/errors.js';
export { LeaseAlteredError, type LeaseAlteration } from './core/errors.js';
export { LeadershipRevokedError } from './core/errors.js';
export { LockRequestError, type LockRequestErrorDetails } from './core/errors.js';
export { MembersUnknownError } from './core/errors.js';
export { NotLeaderError } from './nest/errors.js';
export { StoreTooSlowError } from './core/errors.js';
export { WallClockError } from './core/errors.js';
export { ElectionStoppedError } from './core/errors.js';
export { LeadershipHandlerError } from './core/errors.js';
export { LeadershipUnavailableError } from './nest/errors.js';
export type { ReportedError } from './core/errors.js';

// Locks
export { leaseLock, type LeaseLockOptions } from './locks/kubernetes/lease.lock.js';
export { configMapLock, type ConfigMapLockOptions } from './locks/kubernetes/config-map.lock.js';
export { fileLock } from './locks/file/file.lock.js';
export type { FileLockOptions } from './locks/file/file-lock-options.js';
export { memoryLock } from './locks/memory/memory.lock.js';
export type { LockChoice, LockName } from './locks/lock-selection.js';

// The port, for a lock of your own
export type { LeaseRecord, ObservedLease } from './core/lease-record.js';
export type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  Store,
  StoredDocument,
  WriteOutcome,
} from './core/resource-lock.js';
export type { MemberObserver, MemberSource } from './core/member.js';
export type { JsonDocument } from './core/json-document.js';
