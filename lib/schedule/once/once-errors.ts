import { LeaderElectionError } from '../../core/errors.js';
import type { RunEnding } from './once-decision.js';
import type { OnceRecord } from './once-record.js';

function named(key: string, version: string): string {
  return `Work ${JSON.stringify(key)}, version ${version}`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * Work that runs once has failed or was interrupted, in this process or in another, and will not run again at this
 * version. Code `ERR_ONCE_FAILED`.
 */
export class OnceFailedError extends LeaderElectionError {
  readonly code = 'ERR_ONCE_FAILED';
  /** The version that failed, as text. */
  readonly version: string;
  /** Whether it threw, or its process died or lost leadership before it had ended. */
  readonly state: 'failed' | 'interrupted';
  /** The replica that ran it. */
  readonly holderIdentity: string;

  /** @internal */
  constructor(
    /** The key of the work. */
    readonly key: string,
    { version, state, holderIdentity, startedAt, endedAt, reason }: OnceRecord,
  ) {
    const how = state === 'failed' ? 'failed' : 'was interrupted';
    const since = endedAt === null ? '' : ` and ${how} at ${time(endedAt)}`;
    const why = reason === null ? '' : `: ${reason}`;
    const interrupted =
      state === 'failed' ? '' : ' It may have been done in full, in part or not at all.';
    super(
      `${named(key, version)} ${how}: replica ${holderIdentity} started it at ${time(startedAt)}${since}${why}.${interrupted} ` +
        `It does not run again at this version. Repair what it left behind, and release a newer version of it.`,
    );
    this.version = version;
    this.state = state === 'failed' ? 'failed' : 'interrupted';
    this.holderIdentity = holderIdentity;
  }
}

/** What is known where the wait for work ended. */
export interface LateWork {
  readonly waitTimeoutMs: number;
  /** The record as it was last seen. */
  readonly record: OnceRecord | undefined;
  /** How it has ended in this process, if that could not be recorded. */
  readonly ending: RunEnding | undefined;
  /** The lease of the key. */
  readonly leaseName: string;
}

/**
 * Work that runs once was not over when the wait for it ended, or its end could not be recorded in that time. Code
 * `ERR_ONCE_TIMEOUT`.
 */
export class OnceTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_ONCE_TIMEOUT';
  /** The replica that was running it, at this version or at an older one; undefined if none was known to. */
  readonly holderIdentity: string | undefined;

  /** @internal */
  constructor(
    /** The key of the work. */
    readonly key: string,
    /** The version that was waited for, as text. */
    readonly version: string,
    late: LateWork,
  ) {
    super(`${named(key, version)} ${explained(version, late)}`);
    const { record } = late;
    this.holderIdentity = record?.state === 'started' ? record.holderIdentity : undefined;
  }
}

function explained(
  version: string,
  { waitTimeoutMs, record, ending, leaseName }: LateWork,
): string {
  const after = `${waitTimeoutMs} ms (waitTimeoutMs)`;
  if (ending !== undefined) {
    return (
      `has ${ending.state === 'interrupted' ? 'been interrupted' : ending.state} in this process at ${time(ending.endedAt)}, and ` +
      `that could not be recorded for ${after}: read in the log why. The next replica takes it for interrupted.`
    );
  }
  const lease = `Its replicas compete for the lease ${leaseName}.`;
  if (record?.state !== 'started') {
    return `was not over after ${after}, and no replica has recorded that it runs it: read in the log why this one could not. ${lease}`;
  }
  const { holderIdentity: replica, startedAt, attempt } = record;
  const since = `since ${time(startedAt)} (attempt ${attempt})`;
  const who =
    record.version === version
      ? `Replica ${replica} has been at it ${since}`
      : `Replica ${replica} has been at version ${record.version} ${since}, which has to end first`;
  return `was not over after ${after}. ${who}. Raise waitTimeoutMs if that takes longer. ${lease}`;
}
