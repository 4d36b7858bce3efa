import { LockRequestError } from '../../core/errors.js';
import { codeOf, messageOf, TOO_MANY_OPEN_FILES } from '../../core/thrown-value.js';
import { failureReason } from './system-call-failure.js';

const ELSEWHERE = 'choose another directory with fileLock({ directory })';

/** Only words: system-call-failure.ts decides what a failure means for the election. */
const FIXES: Readonly<Record<string, string>> = {
  EACCES: `give this user the right to read and write there, or ${ELSEWHERE}`,
  EPERM: `this user must own the files, and the file system must allow hard links: ${ELSEWHERE}`,
  EROFS: `the file system is read-only: mount it writable, or ${ELSEWHERE}`,
  EEXIST: `the path exists and is not a directory: remove it, or ${ELSEWHERE}`,
  ENOTDIR: `a part of the path is not a directory: correct it, or ${ELSEWHERE}`,
  ENAMETOOLONG: `the path is too long: ${ELSEWHERE}`,
  ELOOP: `the path has too many symbolic links: ${ELSEWHERE}`,
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
    reason: failureReason(error),
    cause: error,
  });
}
