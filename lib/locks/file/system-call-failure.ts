import * as nodeFileSystem from 'node:fs/promises';
import { LockRequestError } from '../../core/errors.js';
import { codeOf, messageOf, TOO_MANY_OPEN_FILES } from '../../core/thrown-value.js';

/**
 * The errors with which a system call refuses before it has changed anything, and what that says of the store:
 * `rejected` is a no that lasts, `unreachable` a lack that may pass by itself.
 *
 * Whether a failed link() counts as not applied is decided here and nowhere else. An error that is not in this table,
 * even an unexpected one, leaves it open (R9).
 */
const REFUSALS: Readonly<Record<string, 'rejected' | 'unreachable'>> = {
  EACCES: 'rejected',
  EPERM: 'rejected',
  EROFS: 'rejected',
  EEXIST: 'rejected',
  ENOTDIR: 'rejected',
  ENAMETOOLONG: 'rejected',
  ELOOP: 'rejected',
  ENOTSUP: 'rejected',
  EOPNOTSUPP: 'rejected',
  ENOSYS: 'rejected',
  EXDEV: 'rejected',
  EMLINK: 'rejected',
  ENOSPC: 'unreachable',
  EDQUOT: 'unreachable',
  EMFILE: 'unreachable',
  ENFILE: 'unreachable',
};

/** True if a system call with this error cannot have had an effect, now or later. */
export function isDefiniteRefusal(error: unknown): boolean {
  return refusal(error) !== undefined;
}

function refusal(error: unknown): 'rejected' | 'unreachable' | undefined {
  const code = codeOf(error) ?? '';
  return Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : undefined;
}

const ELSEWHERE = 'choose another directory with fileLock({ directory })';

/** Only words: what a failure means for the election is in the table above. */
const FIXES: Readonly<Record<string, string>> = {
  EACCES: `give this user the right to read and write there, or ${ELSEWHERE}`,
  EPERM: `this user must own the files, and the file system must allow hard links: ${ELSEWHERE}`,
  EROFS: `the file system is read-only: mount it writable, or ${ELSEWHERE}`,
  EEXIST: `the path exists and is not a directory: remove it, or ${ELSEWHERE}`,
  ENOTDIR: `a part of the path is not a directory: correct it, or ${ELSEWHERE}`,
  ENAMETOOLONG: `the path is too long: ${ELSEWHERE}`,
  ELOOP: `a file of a lease is a symbolic link, which is not followed, or the path has too many of them: remove it, or ${ELSEWHERE}`,
  ENOTSUP: `the file system has no hard links: ${ELSEWHERE}, on a local file system`,
  EOPNOTSUPP: `the file system has no hard links: ${ELSEWHERE}, on a local file system`,
  ENOSYS: `the file system has no hard links: ${ELSEWHERE}, on a local file system`,
  EXDEV: `the directory spans file systems: ${ELSEWHERE}`,
  EMLINK: `the file system allows no further link: ${ELSEWHERE}`,
  ENOSPC: `free some space there, or ${ELSEWHERE}`,
  EDQUOT: `free some of the quota, or ${ELSEWHERE}`,
  ...TOO_MANY_OPEN_FILES,
  EIO: `the file system failed to read or write: check the disk, or ${ELSEWHERE}`,
  ESTALE: `the file system is a network share: ${ELSEWHERE}, on a local file system`,
};

export function fileLockError(action: string, path: string, error: unknown): LockRequestError {
  const code = codeOf(error) ?? '';
  const fix = Object.hasOwn(FIXES, code) ? ` Fix: ${FIXES[code]}.` : '';
  return new LockRequestError(`Cannot ${action} the lease in ${path}: ${messageOf(error)}.${fix}`, {
    reason: refusal(error) ?? 'unclear',
    cause: error,
  });
}

/** The system calls the file lock makes, as a port, so that a test can kill or stop a process between any two. */
export type LeaseFileSystem = Pick<
  typeof nodeFileSystem,
  'link' | 'lstat' | 'lutimes' | 'mkdir' | 'readdir' | 'readFile' | 'stat' | 'unlink' | 'writeFile'
>;

export const localFileSystem: LeaseFileSystem = nodeFileSystem;
