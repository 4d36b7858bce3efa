import { LockRequestError } from '../../core/errors/lock-request.error.js';
import { codeOf, messageOf } from '../../core/thrown-value.js';

const FIXES: Readonly<Record<string, string>> = {
  EACCES: 'give this user the right to read and write the directory, or choose another one',
  EPERM:
    'the file system must allow hard links and this user must own its files: choose a local directory',
  EROFS: 'the file system is read-only: choose a writable directory',
  EEXIST: 'the path exists and is not a directory: remove it, or choose another one',
  ENOTDIR: 'a part of the path is not a directory: correct it, or choose another one',
  ENAMETOOLONG: 'the path is too long: choose a shorter one',
  ELOOP: 'the path has too many symbolic links: choose another one',
  ENOTSUP: 'the file system has no hard links: choose a local directory',
  EOPNOTSUPP: 'the file system has no hard links: choose a local directory',
  ENOSYS: 'the file system has no hard links: choose a local directory',
  EXDEV: 'the directory spans file systems: choose another one',
  EMLINK: 'the file system allows no further link: choose another directory',
  ENOSPC: 'free some space there, or choose another directory',
  EDQUOT: 'free some of the quota, or choose another directory',
  EMFILE: 'this process has too many open files: raise its limit',
  ENFILE: 'the host has too many open files: raise its limit',
};

/** A lack that may pass by itself; every other entry of the table is the store saying no. */
const PASSING = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE']);

export function errorCode(error: unknown): string | undefined {
  return codeOf(error);
}

/** True if a system call that failed so cannot have had an effect, now or later. */
export function isDefiniteRefusal(error: unknown): boolean {
  return (errorCode(error) ?? '') in FIXES;
}

export function fileLockError(action: string, path: string, error: unknown): LockRequestError {
  const code = errorCode(error);
  const fix = FIXES[code ?? ''];
  return new LockRequestError(
    `Cannot ${action} the lease in ${path}: ${messageOf(error)}.` +
      (fix === undefined ? '' : ` Fix: ${fix} (fileLock({ directory })).`),
    {
      reason: fix === undefined ? 'unclear' : PASSING.has(code ?? '') ? 'unreachable' : 'rejected',
      cause: error,
    },
  );
}
