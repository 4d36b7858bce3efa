import type { JsonDocument } from '../../core/json-document.js';
import { titleOf } from '../../core/thrown-value.js';

const LONGEST_REASON = 200;

/** One line of limited length: the object is small, and people read it. Does not throw, whatever was thrown. */
export function shortReason(error: unknown): string {
  const line = titleOf(error).replace(/\s+/g, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}

/** A run that is recorded and has not been seen to end. All times are milliseconds since the epoch. */
export interface ActiveRun {
  /** Tells this run from every other: the nonce of the change that recorded it. Stored as `run`. */
  readonly id: string;
  readonly scheduledTime: number;
  readonly startedAt: number;
  /** The term it belongs to. */
  readonly term: number;
  readonly fencingToken: string;
  readonly holderIdentity: string;
  /** Asked for by `trigger()`: it belongs to no tick, so no tick is missed if it is interrupted. */
  readonly isTriggered?: boolean;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

export interface FailedRun {
  readonly scheduledTime: number;
  readonly at: number;
  /** One line, as `shortReason()` makes it. */
  readonly reason: string;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

export type MissedReason = 'not-started' | 'forbidden' | 'interrupted';

/** Missed ticks that are accounted for and perhaps not yet told: it is stored with them, and removed once it is told. */
export interface UntoldReport {
  /** Tells this report from every other: made of the nonce of a change. Stored as `claim`. */
  readonly id: string;
  readonly reason: MissedReason;
  readonly times: readonly number[];
  readonly isCapped: boolean;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/** What the fleet knows of one job. */
export interface JobRecord {
  /** The schedule by which ticks have been accounted for. */
  readonly schedule: string;
  /** Every tick up to here was claimed or reported as missed; it only grows, but for a claim that is handed back. */
  readonly accountedThrough: number;
  /** Nonce of the claim that brought it there; empty if none did, or none has to be known any more. Stored as `claim`. */
  readonly claimNonce: string;
  /**
   * Nonces of the claims of the next tick that were handed back. By them a reader that has seen one of these claims
   * can tell a record that was put back on purpose from an older one that turned up again.
   */
  readonly returned: readonly string[];
  readonly lastScheduleTime: number | null;
  readonly lastSuccessfulTime: number | null;
  readonly lastFailed: FailedRun | null;
  readonly missedCount: number;
  readonly lastMissedTime: number | null;
  readonly active: readonly ActiveRun[];
  readonly untold: readonly UntoldReport[];
  /** When a leader first found it and did not know the job; null if the last one that wrote did. */
  readonly unknownSince: number | null;
  /** The stored object: what this version does not understand it writes back. */
  readonly source?: JsonDocument;
  /** True if the stored record says less than this process knows, so that it has to be written again. */
  readonly isRecalled?: boolean;
}

export const NEVER_RUN: Omit<JobRecord, 'schedule' | 'accountedThrough' | 'claimNonce'> = {
  returned: [],
  lastScheduleTime: null,
  lastSuccessfulTime: null,
  lastFailed: null,
  missedCount: 0,
  lastMissedTime: null,
  active: [],
  untold: [],
  unknownSince: null,
};

/** Undefined for what no version of this library has written. */
export function fencingTokenOf({ fencingToken }: ActiveRun): bigint | undefined {
  return /^\d{1,30}$/.test(fencingToken) ? BigInt(fencingToken) : undefined;
}
