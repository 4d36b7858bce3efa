import { LeaderElectionError } from '../../core/errors.js';
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

/** Work that runs once was not over when the wait for it ended. Code `ERR_ONCE_TIMEOUT`. */
export class OnceTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_ONCE_TIMEOUT';
  /** The replica that was running it; undefined if none was known to. */
  readonly holderIdentity: string | undefined;

  /** @internal */
  constructor(
    /** The key of the work. */
    readonly key: string,
    /** The version that was waited for, as text. */
    readonly version: string,
    waitTimeoutMs: number,
    record: OnceRecord | undefined,
  ) {
    const runs = record?.version === version && record.state === 'started' ? record : undefined;
    const who =
      runs === undefined
        ? 'No replica has recorded that it runs it: read in the log why this one could not'
        : `Replica ${runs.holderIdentity} has been at it since ${time(runs.startedAt)} (attempt ${runs.attempt})`;
    super(
      `${named(key, version)} was not over after ${waitTimeoutMs} ms (waitTimeoutMs). ${who}. ` +
        'Raise waitTimeoutMs if it takes longer than that.',
    );
    this.holderIdentity = runs?.holderIdentity;
  }
}
