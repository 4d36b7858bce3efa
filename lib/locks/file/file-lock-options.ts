import { isAbsolute } from 'node:path';
import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { givenLockOptions } from '../../core/option-reader.js';

const FIELDS = ['directory'];

/**
 * An empty or relative name would depend on the working directory, which processes need not share, and a misspelt
 * option would mean the default directory: either way each of them could lead.
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
      rule: 'must be an absolute path, as processes that start in different directories would each lead',
      fix: 'write the path from the root, with ~ spelt out',
    });
  }
  return faults;
}
