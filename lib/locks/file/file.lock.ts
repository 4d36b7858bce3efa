import type { ResourceLockFactory } from '../../core/resource-lock.js';
import { checkFileLockOptions, type FileLockOptions } from './file-lock-options.js';

/** Loaded with the first of these locks: in a cluster there is none. */
const leaseFiles = () => import('./lease-files.js');

/**
 * A lock for the processes of one host: a lease is a directory with one JSON file per version. Standbys learn of a
 * release by a file notification and of the holder's death by its socket, both in milliseconds.
 *
 * @throws LeaderElectionOptionsError with every fault at once
 */
export function fileLock(options: FileLockOptions = {}): ResourceLockFactory {
  checkFileLockOptions(options);
  return async (requester) => new (await leaseFiles()).FileLock(options, requester);
}

/**
 * The same, for a process whose work is in another one, which outlives it: the holder's death proves nothing about that, so
 * the record names no socket, and the lease is waited out.
 */
export function fileLockOfOutlived(options: FileLockOptions = {}): ResourceLockFactory {
  checkFileLockOptions(options);
  return async (requester) => (await leaseFiles()).FileLock.of('outlived', options, requester);
}

/**
 * The same, for a process that never competes: it looks at what is there, and may ask something of the leader. It makes no
 * directory, and one that is missing is refused.
 */
export function fileLockOfVisitor(options: FileLockOptions = {}): ResourceLockFactory {
  checkFileLockOptions(options);
  return async (requester) => (await leaseFiles()).FileLock.of('visitor', options, requester);
}
