import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { Fault, FaultKind } from './fault.js';

/** Everything about one schedule that is decided before it starts. The same scenario gives the same trace. */
export interface Scenario {
  readonly seed: number;
  readonly candidates: readonly CandidateTraits[];
  readonly kinds: readonly FaultKind[];
  readonly faults: readonly Fault[];
  readonly network: NetworkTraits;
  /** The lease that other clients have left behind. */
  readonly leftBehind: LeaseRecord | null;
  /** Deletes and hand edits happen: without strict mode overlap is measured, not forbidden. */
  readonly lawless: boolean;
  readonly strict: boolean;
  /** Machines sleep while their monotonic clock stands still: overlap is measured, not forbidden. */
  readonly sleeps: boolean;
  /** The store goes back to an earlier state. */
  readonly restores: boolean;
  readonly sharedIdentity: boolean;
  /** Watches tell of the holder's death, as the file lock's do. */
  readonly reportsDeath: boolean;
  /** From here on everything works. */
  readonly healAt: number;
  /** Then the leader is stopped in good order. */
  readonly handOverAt: number;
  readonly endAt: number;
}

export interface CandidateTraits {
  readonly config: ElectionConfig;
  readonly startsAt: number;
  readonly clockRate: number;
  readonly wallStartMs: number;
  readonly watches: boolean;
  /** Share of the terms whose handlers take long. */
  readonly slowWorkShare: number;
  /** The lock answers when the network does, not when its bound has passed. */
  readonly unboundedLock: boolean;
}

export interface NetworkTraits {
  readonly leastDelayMs: number;
  readonly mostDelayMs: number;
  readonly latestTimerMs: number;
  /** Sends the present state first when a watch opens. */
  readonly watchSendsState: boolean;
  /** Answers a write of a missing object by "absent" where others say "conflict". */
  readonly tellsAbsent: boolean;
}

/** Candidates of a rolling update, whose settings differ. */
export function isMixed(candidates: readonly CandidateTraits[]): boolean {
  const [first] = candidates;
  return candidates.some(({ config }) => config.leaseDurationMs !== first?.config.leaseDurationMs);
}

export function longest(candidates: readonly CandidateTraits[], field: DurationField): number {
  return Math.max(...candidates.map(({ config }) => config[field]));
}

/** Milliseconds of the slowest clock per millisecond of true time: by it everything takes longest. */
export function slowestClock(candidates: readonly CandidateTraits[]): number {
  return Math.min(...candidates.map(({ clockRate }) => clockRate));
}

type DurationField = 'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs' | 'requestTimeoutMs';
