import * as nodeFileSystem from 'node:fs/promises';
import type { LockRequestErrorDetails } from '../../core/errors.js';
import { codeOf } from '../../core/thrown-value.js';

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

export function failureReason(error: unknown): LockRequestErrorDetails['reason'] {
  return refusal(error) ?? 'unclear';
}

function refusal(error: unknown): 'rejected' | 'unreachable' | undefined {
  const code = codeOf(error) ?? '';
  return Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : undefined;
}

/** The system calls the file lock makes, as a port, so that a test can kill or stop a process between any two. */
export type LeaseFileSystem = Pick<
  typeof nodeFileSystem,
  'link' | 'lstat' | 'mkdir' | 'readdir' | 'readFile' | 'unlink' | 'utimes' | 'writeFile'
>;

export const localFileSystem: LeaseFileSystem = nodeFileSystem;
