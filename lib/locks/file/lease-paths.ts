import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import { codeOf } from '../../core/thrown-value.js';
import { kernelUuid } from '../kernel-entropy.js';
import type { LeaseFileSystem } from './system-call-failure.js';

const WRITABLE_BY_OTHERS = 0o022;
/** Of a directory where all may write and none may remove what belongs to others, such as /tmp. */
const STICKY = 0o1000;

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
  /** Otherwise processes with different working directories would each become leader. */
  private readonly isSharedByDefault: boolean;
  /** Of what is made in it: this user's alone, unless the directory is shared with others. */
  private mode = 0o700;

  constructor(
    directory: string | undefined,
    private readonly files: LeaseFileSystem,
    temporaryDirectory = tmpdir(),
    /** By a process that looks at what others have made there, and makes no directory: a misspelt one would stay. */
    private readonly isVisited = false,
  ) {
    this.isDefault = directory === undefined;
    this.isSharedByDefault = isAbsolute(temporaryDirectory);
    this.path = resolve(directory ?? join(temporaryDirectory, defaultName()));
  }

  /**
   * Makes the directory, unless it is visited: then it must be there. In a place where all users may write, the name may already belong to another user, who could
   * then grant and withhold leadership. Such a directory is refused.
   */
  async prepare(): Promise<void> {
    if (this.isDefault) await this.prepareDefault();
    else await this.prepareNamed();
  }

  /** Makes a directory in it, unless it is visited. */
  async make(path: string): Promise<void> {
    if (!this.isVisited) await this.files.mkdir(path, { recursive: true, mode: this.mode });
    await this.check(path);
  }

  async exists(): Promise<boolean> {
    return (await this.unlessMissing(this.files.stat(this.path))) !== undefined;
  }

  /** What it means for whoever looks that it does not exist. */
  describeMissing(): { readonly what: string; readonly fix: string } {
    const named = 'name the directory that the application uses';
    const own = 'run this as the user of the application and with its TMPDIR';
    return {
      what: `${this.path} does not exist, so no process elects a leader there`,
      fix: `${this.isDefault ? `${named}, or if it names none ${own}` : named}; the application makes it when it starts`,
    };
  }

  /**
   * Refuses a directory in it that another user may have put there: leases would be read and written where a link leads,
   * or under the eyes and the hands of its owner.
   */
  async check(path: string): Promise<void> {
    if (process.platform === 'win32') return;
    const stats = await this.unlessMissing(this.files.lstat(path));
    if (stats === undefined) return;
    if (stats.isSymbolicLink()) {
      throw this.refusal('it is a symbolic link, which is not followed', 'remove it', path);
    }
    if (!this.isShared) this.checkOwned(stats, path);
  }

  get fileMode(): number {
    return this.mode & 0o666;
  }

  private get isShared(): boolean {
    return (this.mode & WRITABLE_BY_OTHERS) !== 0;
  }

  /**
   * Who names a directory decides who competes: with the right to write there it is given to a group or to all,
   * and files in it have the same rights. Where others may write but not remove, each has their own.
   */
  private async prepareNamed(): Promise<void> {
    await this.makeOrVisit();
    if (process.platform === 'win32') return;
    const { mode } = await this.files.stat(this.path);
    const isSticky = (mode & STICKY) !== 0;
    const given = [0o070, 0o007].filter((whose) => !isSticky && mode & whose & WRITABLE_BY_OTHERS);
    this.mode = given.reduce((all, whose) => all | (mode & whose), 0o700);
  }

  private async makeOrVisit(): Promise<void> {
    if (!this.isVisited) {
      await this.files.mkdir(this.path, { recursive: true, mode: 0o700 });
      return;
    }
    const stats = await this.unlessMissing(this.files.stat(this.path));
    if (stats === undefined) {
      const { what, fix } = this.describeMissing();
      throw new LockRequestError(`${what}. Fix: ${fix}.`, { reason: 'rejected' });
    }
    if (!stats.isDirectory()) throw this.refusal('it is not a directory', 'remove it');
  }

  private async unlessMissing(asked: Promise<Stats>): Promise<Stats | undefined> {
    try {
      return await asked;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  private async prepareDefault(): Promise<void> {
    if (!this.isSharedByDefault) {
      throw this.refusal(
        'the directory for temporary files is a relative path, which is another one for each working directory',
        'set TMPDIR to an absolute path',
      );
    }
    await this.makeOrVisit();
    this.checkOwned(await this.files.lstat(this.path), this.path);
  }

  private checkOwned(stats: Stats, path: string): void {
    const uid = process.getuid?.();
    if (uid === undefined) return; // Windows: the directory for temporary files is the user's own.
    if (!stats.isDirectory()) throw this.refusal('it is not a directory', 'remove it', path);
    if (stats.uid !== uid) {
      throw this.refusal(`it belongs to user ${stats.uid}, not ${uid}`, undefined, path);
    }
    if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
      // Not by removing it: the lease of a leader may be in it.
      const fix = `take that right away (chmod go-w ${path})`;
      throw this.refusal('other users may write to it', fix, path);
    }
  }

  private refusal(why: string, fix?: string, path = this.path): LockRequestError {
    const name = 'name a directory of your own with fileLock({ directory })';
    return new LockRequestError(
      `Cannot use ${path} for leases: ${why}. Fix: ${fix === undefined ? '' : `${fix}, or `}${name}.`,
      { reason: 'rejected' },
    );
  }
}

function defaultName(): string {
  const uid = process.getuid?.();
  return `nestjs-leader-election${uid === undefined ? '' : `-${uid}`}`;
}

/** The lease as it was created. It exists exactly as long as the lease does, and its uid is that of the lease. */
export const CREATION_FILE = 'created.json';

const LONGEST_DIRECTORY_NAME = 200;
const UNSAFE = /[^a-z0-9_-]/g;
const VERSION = /^(\d+)\.([\w-]+)\.json$/;
const TEMPORARY = /^(\d+)\.([\w-]+)\.[\w-]+\.tmp$/;
const TEMPORARY_CREATION = /^created\.[\w-]+\.tmp$/;

export interface LeaseFileName {
  readonly name: string;
  readonly uid: string;
  readonly revision: bigint;
}

export interface LeaseFileNames {
  readonly versions: readonly LeaseFileName[];
  /** Written but perhaps never linked; named after the version they aim at. */
  readonly temporary: readonly LeaseFileName[];
  readonly temporaryCreations: readonly string[];
  /** Of all names, including those of others. */
  readonly count: number;
}

/**
 * One directory per lease. Different leases have different names also where the file system folds case, and the dot
 * that separates namespace and name is in neither.
 */
export function leaseDirectoryName(namespace: string, leaseName: string): string {
  const name = `${encoded(namespace)}.${encoded(leaseName)}`;
  if (name.length <= LONGEST_DIRECTORY_NAME) return name;
  return `${name.slice(0, 100)}~${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}

export function versionFileName(revision: bigint, uid: string): string {
  return `${revision}.${uid}.json`;
}

export function temporaryFileName(revision: bigint, uid: string): string {
  return `${revision}.${uid}.${kernelUuid()}.tmp`;
}

export function temporaryCreationFileName(): string {
  return `created.${kernelUuid()}.tmp`;
}

/** What may be a uid in a file name; an edited creation file may hold anything. */
export function isUid(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value);
}

/** Versions and temporary files in ascending order of revision; names of others are left out. */
export function sortLeaseFileNames(names: readonly string[]): LeaseFileNames {
  return {
    versions: matching(names, VERSION),
    temporary: matching(names, TEMPORARY),
    temporaryCreations: names.filter((name) => TEMPORARY_CREATION.test(name)),
    count: names.length,
  };
}

function matching(names: readonly string[], pattern: RegExp): LeaseFileName[] {
  const found: LeaseFileName[] = [];
  for (const name of names) {
    const [, revision, uid] = pattern.exec(name) ?? [];
    if (revision !== undefined && uid !== undefined) {
      found.push({ name, uid, revision: BigInt(revision) });
    }
  }
  return found.sort((a, b) => (a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0));
}

function encoded(part: string): string {
  return part.replace(UNSAFE, (character) =>
    Array.from(
      Buffer.from(character),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join(''),
  );
}
