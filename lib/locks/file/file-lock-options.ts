import { isAbsolute } from 'node:path';
import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { givenLockOptions } from '../../core/option-reader.js';

/** The options of `fileLock()`. */
export interface FileLockOptions {
  /**
   * Where leases are kept: an absolute path on a local file system. All processes that compete must name the same
   * directory and be able to read and write there.
   * @default a directory of this user below the one for temporary files; processes of another user do not share it and
   * elect a leader of their own
   * @example
   * directory: '/var/lib/plans'
   */
  readonly directory?: string;
}

const FIELDS = ['directory'];

/**
 * An empty or relative name would depend on the working directory, which processes need not share, and a misspelt
 * option would mean the default directory. In either case each of them could become leader.
 *
 * @throws LeaderElectionOptionsError with every fault at once
 */
export function checkFileLockOptions(options: unknown): void {
  const faults = faultsOf(options);
  if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
}

function faultsOf(options: unknown): OptionFault[] {
  const example = 'fileLock({ directory }) or fileLock()';
  const { given, faults } = givenLockOptions('fileLock', options, FIELDS, example);
  if (given === undefined) return faults;
  const { directory } = given;
  if (directory !== undefined && (typeof directory !== 'string' || directory.trim() === '')) {
    faults.push({
      field: 'fileLock.directory',
      value: directory,
      rule: 'must be the path of a directory that all processes share',
      fix: 'name one, or leave it out for the default of this user',
    });
  } else if (typeof directory === 'string' && !isAbsolute(directory)) {
    faults.push({
      field: 'fileLock.directory',
      value: directory,
      rule: 'must be an absolute path, as processes that start in different directories would each become leader',
      fix: 'write the path from the root, with ~ spelt out',
    });
  }
  return faults;
}
