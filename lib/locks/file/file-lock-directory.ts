import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import type { LeaseFileSystem } from './lease-file-system.js';

const WRITABLE_BY_OTHERS = 0o022;

/**
 * The directory with the leases of all applications of one user on this host.
 *
 * The default is below the directory for temporary files and not XDG_RUNTIME_DIR, which is set in a login shell and
 * unset in a service or a cron job of the same user: two processes with different directories are two leaders. For
 * the same reason processes with different TMPDIR, or with a private one of their own, must name a directory.
 */
export class FileLockDirectory {
  readonly path: string;
  readonly isDefault: boolean;
  /** Otherwise processes with different working directories would each lead. */
  private readonly isSharedByDefault: boolean;

  constructor(
    directory: string | undefined,
    private readonly files: LeaseFileSystem,
    temporaryDirectory = tmpdir(),
  ) {
    this.isDefault = directory === undefined;
    this.isSharedByDefault = isAbsolute(temporaryDirectory);
    this.path = resolve(directory ?? join(temporaryDirectory, defaultName()));
  }

  /**
   * Makes the directory. Where everybody may write, the name could already belong to somebody else, who could then
   * grant and withhold leadership: such a directory is refused.
   */
  async prepare(): Promise<void> {
    if (!this.isDefault) {
      await this.files.mkdir(this.path, { recursive: true });
      return;
    }
    if (!this.isSharedByDefault) {
      throw this.#refusal(
        'the directory for temporary files is a relative path, which is another one for each working directory',
        'set TMPDIR to an absolute path',
      );
    }
    await this.files.mkdir(this.path, { recursive: true, mode: 0o700 });
    const uid = process.getuid?.();
    if (uid === undefined) return; // Windows: the directory for temporary files is the user's own.
    const stats = await this.files.lstat(this.path);
    if (!stats.isDirectory()) throw this.#refusal('it is not a directory', 'remove it');
    if (stats.uid !== uid) throw this.#refusal(`it belongs to user ${stats.uid}, not ${uid}`);
    if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
      // Not by removing it: the lease of a leader may be in it.
      throw this.#refusal(
        'other users may write to it',
        `take that right away (chmod go-w ${this.path})`,
      );
    }
  }

  #refusal(why: string, fix?: string): LockRequestError {
    const name = 'name a directory of your own with fileLock({ directory })';
    return new LockRequestError(
      `Cannot use ${this.path} for leases: ${why}. Fix: ${fix === undefined ? '' : `${fix}, or `}${name}.`,
      { reason: 'rejected' },
    );
  }
}

function defaultName(): string {
  const uid = process.getuid?.();
  return `nestjs-leader-election${uid === undefined ? '' : `-${uid}`}`;
}
