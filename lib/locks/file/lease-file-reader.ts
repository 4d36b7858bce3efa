import { constants } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../core/thrown-value.js';
import {
  type ObservedLeaseFile,
  parseCreationFile,
  parseLeaseFile,
  UNREADABLE,
} from './lease-file-record.js';
import {
  CREATION_FILE,
  type LeaseFileName,
  sortLeaseFileNames,
  versionFileName,
} from './lease-paths.js';
import type { LeaseFileSystem } from './system-call-failure.js';

/** Each attempt means that several writes came between two system calls, or that something else changes the files. */
const MOST_ATTEMPTS = 100;

/**
 * Reads the newest version of a lease; linearizable.
 *
 * A directory with so few files is listed by one system call. If it has many, it is listed piecemeal while it changes.
 * Versions are then swept strictly oldest first. So if the highest of the listing can still be opened afterwards,
 * nothing above it was removed during the listing, and nothing above it that existed when the listing began was missed.
 */
export class LeaseFileReader {
  /** The highest revision this process has read or written. */
  highestSeen = 0n;

  constructor(
    private readonly directory: string,
    private readonly files: LeaseFileSystem,
  ) {}

  /** The newest version, null if there is no lease. Rejects with the error of the system call. */
  async look(signal?: AbortSignal): Promise<ObservedLeaseFile | null> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      signal?.throwIfAborted();
      const listed = await unlessMissing(this.files.readdir(this.directory));
      const creation = listed && (await this.readText(CREATION_FILE));
      if (listed === null || creation === null) return null;
      const { versions } = sortLeaseFileNames(listed);
      const created = parseCreationFile(creation, versions.at(-1)?.uid);
      const newest = versions.filter((file) => file.uid === created.uid).at(-1);
      if (newest === undefined) return this.saw(created);
      const text = await this.readText(newest.name);
      if (text !== null) return this.saw(parseLeaseFile(text, newest));
    }
    throw new Error(`the newest version vanished ${MOST_ATTEMPTS} times before it could be read`);
  }

  saw(lease: ObservedLeaseFile): ObservedLeaseFile {
    if (lease.revision > this.highestSeen) this.highestSeen = lease.revision;
    return lease;
  }

  private readText(name: string): Promise<string | null> {
    return unlessMissing(readLeaseFile(this.files, join(this.directory, name)));
  }
}

/**
 * No link, as it may lead to a file that whoever put it there cannot read: what is not understood of a lease is written
 * again into its next version. And no waiting for whoever writes to a pipe.
 */
const READ_THE_FILE_ITSELF =
  constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

function readLeaseFile(files: LeaseFileSystem, path: string): Promise<string> {
  // Node.js takes the numbers of open(2) as well; only its types do not say so.
  const flag = READ_THE_FILE_ITSELF as unknown as string;
  return files.readFile(path, { encoding: 'utf8', flag });
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** How many versions are kept; more than one only so that a reader rarely has to look twice. */
const KEPT_VERSIONS = 4n;

/** Writes between two touches of the creation file, which is otherwise never written again. */
const WRITES_PER_TOUCH = 64n;

/**
 * One system call lists this many names at one instant: on Linux it lists several hundred, and a file system that hands
 * them out by the page has this many on one page.
 */
const LISTED_AT_ONCE = 32;

/**
 * Removes what no longer counts after this process has linked `newest`: temporary files of lost and crashed writers,
 * old versions, all files of deleted leases. Safety needs no sweep at all; it needs the order of this one (see
 * LeaseFileStore): first the temporary files, then the versions, the oldest first.
 *
 * What cannot be removed (another user's file, a directory of that name, a file marked immutable) stays, and with it
 * what it protects. While a temporary file exists, the version that it aims at is kept, or its writer could take that
 * number a second time. While an older version exists and the listing is long, all newer ones are kept, as a reader
 * that sees the directory piece by piece relies on it (see LeaseFileReader).
 *
 * Only numbers decide what is removed, never a clock or a file time: any process may be stopped here for any length of
 * time.
 */
export async function sweepLeaseFiles(
  files: LeaseFileSystem,
  directory: string,
  uid: string,
  newest: bigint,
): Promise<void> {
  const names = sortLeaseFileNames(await files.readdir(directory));
  // After the listing: if the lease is still ours now, every other uid in the listing belongs to the past.
  const created = parseCreationFile(await readLeaseFile(files, join(directory, CREATION_FILE)));
  if (created.uid !== uid && created.uid !== UNREADABLE) return;
  const isPast = (file: LeaseFileName) => file.uid !== uid && created.uid === uid;

  const lost = names.temporary.filter(
    (file) => isPast(file) || (file.uid === uid && file.revision <= newest),
  );
  const isRemoved = (name: string) => triedToRemove(files, join(directory, name));
  for (const name of names.temporaryCreations) await isRemoved(name);
  const aimedAt = new Set<string>();
  for (const file of lost) {
    if (!(await isRemoved(file.name))) aimedAt.add(versionFileName(file.revision, file.uid));
  }
  for (const file of names.versions) {
    const isOld = file.uid === uid && file.revision <= newest - KEPT_VERSIONS;
    if (!isPast(file) && !isOld) continue;
    const isGone = !aimedAt.has(file.name) && (await isRemoved(file.name));
    if (!isGone && names.count > LISTED_AT_ONCE) return;
  }
  const writes = newest - created.revision;
  if (writes > 0n && writes % WRITES_PER_TOUCH === 0n) {
    // Programs that clean temporary directories go by the age of files.
    const now = new Date();
    await files.lutimes(join(directory, CREATION_FILE), now, now);
  }
}

async function triedToRemove(files: LeaseFileSystem, path: string): Promise<boolean> {
  try {
    await removeFile(files, path);
    return true;
  } catch {
    // The caller then keeps what depends on its absence.
    return false;
  }
}

/** Another process may remove the same file at the same time. */
export async function removeFile(files: LeaseFileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
