import type { OnceRecord } from './once-record.js';
import { compareVersions } from './once-version.js';

/** What becomes of work whose process died, or whose signal was aborted, before it had ended. */
export type InterruptionPolicy = 'fail' | 'rerun';

/** What one process wants to be done once. */
export interface WantedWork {
  /** As `readVersion()` returns it. */
  readonly version: string;
  readonly onInterrupted: InterruptionPolicy;
}

/**
 * How work ended for a process that wants it. `superseded`: a newer version was claimed first, so this one will
 * not run, if it has not already.
 */
export type OnceEnd = 'succeeded' | 'failed' | 'interrupted' | 'superseded';

/** Who would run it: a process in a term of its own. */
export interface OnceClaimant {
  /** One for all tries to store the same claim, and never used for another. */
  readonly nonce: string;
  readonly holderIdentity: string;
  readonly term: number;
  readonly fencingToken: string;
  readonly now: number;
  /** True if a run that is recorded as started can no longer be under way. */
  readonly isOver: (record: OnceRecord) => boolean;
  /** True for a claim that this process made, and will never start. */
  readonly isUnstarted: (claim: string) => boolean;
}

/**
 * - `ended`: it is over, as `end`. - `own`: the claim of this very nonce is stored, so this process runs it.
 * - `busy`: another process may be running it. - `write`: nothing is decided until this is stored.
 */
export type OnceVerdict =
  | { readonly kind: 'ended'; readonly end: OnceEnd; readonly record: OnceRecord }
  | { readonly kind: 'own'; readonly record: OnceRecord }
  | { readonly kind: 'busy'; readonly record: OnceRecord }
  | { readonly kind: 'write'; readonly record: OnceRecord };

/** How it has ended for whoever only waits; undefined while it has not. */
export function endOf(record: OnceRecord | undefined, wanted: WantedWork): OnceEnd | undefined {
  if (record === undefined) return undefined;
  const order = compareVersions(record.version, wanted.version);
  if (order > 0) return 'superseded';
  if (order < 0) return undefined;
  switch (record.state) {
    case 'succeeded':
    case 'failed':
      return record.state;
    case 'interrupted':
      return wanted.onInterrupted === 'fail' ? 'interrupted' : undefined;
    case 'started':
    case 'returned':
      return undefined;
  }
}

/**
 * What a process in its term is to do. The step from an older version, or from a run that may be repeated, to a claim is
 * one compare-and-set; only the nonce that made it runs, and a nonce runs once. So no belief about who leads takes part
 * in it: with `onInterrupted: 'fail'` no version is claimed again once a claim of it may have been started.
 */
export function decideOnce(
  record: OnceRecord | undefined,
  wanted: WantedWork,
  claimant: OnceClaimant,
): OnceVerdict {
  if (record === undefined) return { kind: 'write', record: claimOf(undefined, wanted, claimant) };
  const end = endOf(record, wanted);
  if (end !== undefined) return { kind: 'ended', end, record };
  const isSame = compareVersions(record.version, wanted.version) === 0;
  const wasStarted = record.state === 'started' && !claimant.isUnstarted(record.claim);
  if (isSame && wasStarted && record.claim === claimant.nonce) return { kind: 'own', record };
  if (wasStarted && !claimant.isOver(record)) return { kind: 'busy', record };
  if (isSame && wasStarted && wanted.onInterrupted === 'fail') {
    return { kind: 'write', record: interrupted(record, claimant.now) };
  }
  return { kind: 'write', record: claimOf(record, wanted, claimant) };
}

export interface RunEnding {
  readonly state: Extract<OnceRecord['state'], 'succeeded' | 'failed' | 'interrupted' | 'returned'>;
  readonly endedAt: number;
  readonly reason: string | null;
}

/**
 * The record with the end of a run; undefined if it is no longer the run that is recorded. A run that another process
 * has given up as interrupted knows better how it ended.
 */
export function endedRecord(
  record: OnceRecord | undefined,
  nonce: string,
  ending: RunEnding,
): OnceRecord | undefined {
  if (record?.claim !== nonce) return undefined;
  if (record.state !== 'started' && record.state !== 'interrupted') return undefined;
  if (record.state === ending.state && record.endedAt === ending.endedAt) return undefined;
  return { ...record, ...ending };
}

function claimOf(
  record: OnceRecord | undefined,
  { version }: WantedWork,
  { nonce, holderIdentity, term, fencingToken, now, isUnstarted }: OnceClaimant,
): OnceRecord {
  const isSame = record !== undefined && compareVersions(record.version, version) === 0;
  const wasStarted = isSame && record.state !== 'returned' && !isUnstarted(record.claim);
  return {
    version,
    state: 'started',
    claim: nonce,
    attempt: isSame ? record.attempt + (wasStarted ? 1 : 0) : 1,
    holderIdentity,
    term,
    fencingToken,
    startedAt: now,
    endedAt: null,
    reason: null,
    ...(record?.source === undefined ? {} : { source: record.source }),
  };
}

function interrupted(record: OnceRecord, now: number): OnceRecord {
  const reason = 'its process died, or lost leadership, and recorded no end';
  return { ...record, state: 'interrupted', endedAt: now, reason };
}
