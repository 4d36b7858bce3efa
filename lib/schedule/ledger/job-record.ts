import type { JsonDocument } from '../../core/json-document.js';
import { titleOf } from '../../core/thrown-value.js';

export const LONGEST_REASON = 200;

/** One line of limited length, as the object is small and people read it. Never throws, whatever was thrown. */
export function shortReason(error: unknown): string {
  const line = titleOf(error).replace(/\s+/g, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}

/** A run was to be ended before it is done. Milliseconds since the epoch. */
export interface RunCancellation {
  readonly at: number;
  /** The process that was asked. */
  readonly by: string;
  /** One line; empty if none was given. */
  readonly reason: string;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/** Who has cancelled a run, and why: one line for the log and the event. */
export function cancelledBy({ by, reason }: Pick<RunCancellation, 'by' | 'reason'>): string {
  return `cancelled by ${by}${reason === '' ? '' : `: ${reason}`}`;
}

/** A run that is recorded, and whose end is not. All times are milliseconds since the epoch. */
export interface ActiveRun {
  /** Identifies this run: the nonce of the change that recorded it. Stored as `run`. */
  readonly id: string;
  readonly scheduledTime: number;
  readonly startedAt: number;
  /** The term it belongs to. */
  readonly term: number;
  readonly fencingToken: string;
  readonly holderIdentity: string;
  /** Started by `trigger()`: it belongs to no tick, so no tick is missed if it is interrupted. */
  readonly isTriggered?: boolean;
  /** Absent unless it was cancelled. */
  readonly cancellation?: RunCancellation;
  /** 2 for the first retry of its tick; absent for the first attempt. */
  readonly attempt?: number;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/**
 * An attempt that is to start, after one of the same tick that has failed or was interrupted. It is written by the change
 * that removes that one from the active runs, and removed by the one that adds its own run to them: so each attempt is
 * made once.
 */
export interface PendingRetry {
  readonly scheduledTime: number;
  /** 2 or more. */
  readonly attempt: number;
  readonly notBefore: number;
  /** When it is too late; null: never. */
  readonly notAfter: number | null;
  /** No attempt of the tick has ended: if this one does not start, the tick is reported as interrupted. */
  readonly isRerun: boolean;
  /**
   * Runs that claimed this attempt and handed it back. They let a reader that has seen one of these claims distinguish an
   * attempt that was handed back from a store that went back.
   */
  readonly returned: readonly string[];
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

/** What the fleet was last asked to do with a job: to suspend or to resume it. */
export interface FleetSwitch {
  readonly isSuspended: boolean;
  readonly at: number;
  /** The process that was asked. */
  readonly by: string;
  /** One line; empty if none was given. */
  readonly reason: string;
  /** The job was resumed although its options say `suspend: true`. Holds until a leader's options do not. */
  readonly liftsOption: boolean;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/** `isOption`: the options of the job say `suspend: true`. */
export function isSuspended(fleet: FleetSwitch | null, isOption: boolean): boolean {
  return fleet?.isSuspended === true || (isOption && fleet?.liftsOption !== true);
}

/**
 * How a run has ended. `cancelled`: after it was cancelled. `interrupted`: its leader has not recorded an end, and
 * another one has given it up.
 */
export type PastOutcome = 'succeeded' | 'failed' | 'cancelled' | 'interrupted';

/** A run that is over. */
export interface PastRun {
  readonly scheduledTime: number;
  readonly startedAt: number;
  /** Of a run that was interrupted: when it was given up. */
  readonly endedAt: number;
  readonly term: number;
  readonly holderIdentity: string;
  readonly isTriggered?: boolean;
  /** As of an {@link ActiveRun}. */
  readonly attempt?: number;
  readonly outcome: PastOutcome;
  /** One line, as `shortReason()` makes it; empty unless it failed. */
  readonly reason: string;
  /** Present if it was cancelled. */
  readonly cancellation?: RunCancellation;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

export type MissedReason = 'not-started' | 'forbidden' | 'interrupted';

/** Missed ticks that are accounted for and perhaps not yet reported: stored with them, and removed once delivered. */
export interface UntoldReport {
  /** Identifies this report: made from the nonce of a change. Stored as `claim`. */
  readonly id: string;
  readonly reason: MissedReason;
  readonly times: readonly number[];
  readonly isCapped: boolean;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/** The leader is asked for one run now, beside the schedule. Milliseconds since the epoch. */
export interface TriggerRequest {
  /** Distinguishes it from every other one. */
  readonly id: string;
  readonly at: number;
  /** Who asks. */
  readonly by: string;
  /** When it is too late to start it. */
  readonly notAfter: number;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/**
 * What is known of the run that was asked for.
 * - `refused`: none was claimed. - `claimed`: its leader may start it, and has not said that it has.
 * - `started`: its handler was called. - `not-started`: it was claimed, and its handler was not called and never will be.
 * - otherwise how it ended. An `interrupted` one that was claimed may have run in part, in full, or not at all.
 */
export type TriggerState = 'refused' | 'claimed' | 'started' | 'not-started' | PastOutcome;

/** What a leader did about the last such request. */
export interface TriggerAnswer {
  /** Of the request. */
  readonly id: string;
  readonly at: number;
  /** That leader. */
  readonly by: string;
  /** Not stored while `refused` or `claimed`, which a leader of an older version says of a run until the next request. */
  readonly state: TriggerState;
  /** The id of the run; empty if it was refused. */
  readonly run: string;
  /** Why none was started; empty unless it was refused or not started. */
  readonly refused: string;
  /** The stored object, as in {@link JobRecord}. */
  readonly source?: JsonDocument;
}

/** What is recorded of one job for the whole fleet. */
export interface JobRecord {
  /** The schedule by which ticks have been accounted for. */
  readonly schedule: string;
  /** Every tick up to here was claimed or reported as missed. It only grows, except when a claim is handed back. */
  readonly accountedThrough: number;
  /** Nonce of the claim that brought it there; empty if none did, or if none is needed now. Stored as `claim`. */
  readonly claimNonce: string;
  /**
   * Nonces of the claims of the next tick that were handed back. They let a reader that has seen one of these claims
   * distinguish a record that was handed back on purpose from an older one that turned up again.
   */
  readonly returned: readonly string[];
  readonly lastScheduleTime: number | null;
  readonly lastSuccessfulTime: number | null;
  readonly lastFailed: FailedRun | null;
  readonly missedCount: number;
  readonly lastMissedTime: number | null;
  readonly active: readonly ActiveRun[];
  /** Attempts that are to start. An older version leaves them as they are. */
  readonly retries: readonly PendingRetry[];
  readonly untold: readonly UntoldReport[];
  /** The last runs that are over, oldest first; it gives way when the document is full. */
  readonly history: readonly PastRun[];
  /** Null: it was never suspended or resumed. Stored as `suspension`. */
  readonly fleetSwitch: FleetSwitch | null;
  /** Absent if no run is asked for. A leader of an older version leaves it as it is, and starts none. */
  readonly trigger?: TriggerRequest;
  /** The answer to the last request; absent if no run was ever asked for. */
  readonly triggered?: TriggerAnswer;
  /** The object of the role to which it has moved; absent where the record is. See `moved-record.ts`. */
  readonly movedTo?: number;
  /** When a leader first found the record and did not know the job; null if the last writer knew it. */
  readonly unknownSince: number | null;
  /** The stored object: this version writes back what it does not understand. */
  readonly source?: JsonDocument;
  /** True if the stored record says less than this process knows, so it has to be written again. */
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
  retries: [],
  untold: [],
  history: [],
  fleetSwitch: null,
  unknownSince: null,
};

/** Undefined for a value that no version of this library has written. */
export function fencingTokenOf({ fencingToken }: ActiveRun): bigint | undefined {
  return /^\d{1,30}$/.test(fencingToken) ? BigInt(fencingToken) : undefined;
}
