import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { Bounds } from './bounds.js';
import type { Fault, FaultKind } from './fault.js';
import type { ClockQuality } from './virtual-clock.js';

/** Everything about one schedule that is decided before it starts. The same scenario gives the same trace. */
export interface Scenario {
  readonly seed: number;
  readonly candidates: readonly CandidateTraits[];
  readonly kinds: readonly FaultKind[];
  readonly faults: readonly Fault[];
  readonly network: NetworkTraits;
  readonly bounds: Bounds;
  /** The lease that other clients have left behind. */
  readonly leftBehind: LeaseRecord | null;
  /** Deletes and hand edits happen: without strict mode overlap is measured, not forbidden. */
  readonly lawless: boolean;
  readonly strict: boolean;
  /** Machines sleep while their monotonic clock stands still, or processes are restored on other machines. */
  readonly sleeps: boolean;
  /** A process is cloned while it runs: two have one identity and one past (H5). Overlap is bounded by validity. */
  readonly clones: boolean;
  /** The store goes back to an earlier state. */
  readonly restores: boolean;
  /** Every lock keeps one lease object, and changes it. */
  readonly keepsLease: boolean;
  readonly sharedIdentity: boolean;
  /** Processes are members, and whoever leads names one for its release: one that lives, or is gone, or a stranger. */
  readonly directs: boolean;
  /** The placement of the library chooses the names, and hands over; undefined: any name is chosen. */
  readonly places: 'newest' | 'spread' | undefined;
  /** Watches tell of the holder's death, as the file lock's do. */
  readonly reportsDeath: boolean;
  /** Processes name their containers, and hear which have ended (R24). */
  readonly watchesPods: boolean;
  /** Every lease has a strategy, and nothing coordinates (R17). */
  readonly coordinated: boolean;
  /** From here on everything works. */
  readonly healAt: number;
  /** From here on all is as it is on an ordinary day: nothing fails, and nobody does more than needed. */
  readonly calmAt: number;
  /** Then the leader is stopped in good order, or killed. */
  readonly handoverAt: number;
  readonly ending: Ending;
  readonly endAt: number;
}

/**
 * `restore`: the leader is killed, and the store goes back to a version that the others have competed for in vain; a
 * plain crash if there is none.
 */
export type Ending = 'stop' | 'crash' | 'restore';

export interface CandidateTraits {
  readonly config: ElectionConfig;
  readonly startsAt: number;
  readonly clock: ClockQuality;
  readonly watches: boolean;
  /** Share of the terms whose handlers take long. */
  readonly slowWorkShare: number;
  /** The lock answers when the network does, not when its bound has passed. */
  readonly unboundedLock: boolean;
  /** How long the application's own shutdown hooks take between the drain and the release. */
  readonly hooksMs: number;
  /** How often work starts by itself while this process leads. */
  readonly jobEveryMs: number | undefined;
}

export interface NetworkTraits {
  readonly leastDelayMs: number;
  readonly mostDelayMs: number;
  /** What the server takes for every request, from the first to the last. */
  readonly steadyMs: number;
  readonly latestTimerMs: number;
  /** Sends the present state first when a watch opens. */
  readonly watchSendsState: boolean;
  /** Answers a write of a missing object by "absent" where others say "conflict". */
  readonly tellsAbsent: boolean;
}

/** Candidates of a rolling update, whose settings differ. */
export function isMixed(candidates: readonly CandidateTraits[]): boolean {
  const fields = ['leaseDurationMs', 'retryPeriodMs'] as const;
  const [first] = candidates;
  return candidates.some(({ config }) =>
    fields.some((field) => config[field] !== first?.config[field]),
  );
}

export function longest(candidates: readonly CandidateTraits[], field: DurationField): number {
  return Math.max(...candidates.map(({ config }) => config[field]));
}

/** Milliseconds of the slowest clock per millisecond of true time: by it everything takes longest. */
export function slowestClock(candidates: readonly CandidateTraits[]): number {
  return Math.min(...candidates.map(({ clock }) => clock.rate));
}

type DurationField = 'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs' | 'requestTimeoutMs';
