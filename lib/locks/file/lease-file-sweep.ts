import { join } from 'node:path';
import { errorCode } from './file-lock-error.js';
import { CREATION_FILE, sortLeaseFileNames, type LeaseFileName } from './lease-file-name.js';
import { parseCreationFile, UNREADABLE } from './lease-file-record.js';
import type { LeaseFileSystem } from './lease-file-system.js';

/** How many versions stay; more than one only so that a reader rarely has to look twice. */
export const KEPT_VERSIONS = 4n;

/** Writes between two touches of the creation file, which else is never written again. */
const WRITES_PER_TOUCH = 64n;

/**
 * Removes what no longer counts after `newest` was linked by this process: lost and crashed writers' temporary files,
 * old versions, all files of deleted leases. Safety needs no sweep at all; it needs the order of this one (see
 * LeaseFileStore): first the temporary files, then the versions, the oldest first, and nothing more after a failure.
 *
 * No clock and no file time decides what goes, only numbers: any process may be stopped here for any time.
 */
export async function sweepLeaseFiles(
  files: LeaseFileSystem,
  directory: string,
  uid: string,
  newest: bigint,
): Promise<void> {
  const names = sortLeaseFileNames(await files.readdir(directory));
  // After the listing: if the lease is still ours now, every other uid in the listing is one of the past.
  const created = parseCreationFile(await files.readFile(join(directory, CREATION_FILE), 'utf8'));
  if (created.uid !== uid && created.uid !== UNREADABLE) return;
  const isPast = (file: LeaseFileName) => file.uid !== uid && created.uid === uid;

  const lost = names.temporary.filter(
    (file) => isPast(file) || (file.uid === uid && file.revision <= newest),
  );
  for (const name of [...names.temporaryCreations, ...lost.map((file) => file.name)]) {
    await removeFile(files, join(directory, name));
  }
  for (const file of names.versions) {
    const isOld = file.uid === uid && file.revision <= newest - KEPT_VERSIONS;
    if (isPast(file) || isOld) await removeFile(files, join(directory, file.name));
  }
  const writes = newest - created.revision;
  if (writes > 0n && writes % WRITES_PER_TOUCH === 0n) {
    // Programs that empty temporary directories go by the age of files.
    const now = new Date();
    await files.utimes(join(directory, CREATION_FILE), now, now);
  }
}

/** Another process may remove the same file at the same time. */
export async function removeFile(files: LeaseFileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
