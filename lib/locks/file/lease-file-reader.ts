import { join } from 'node:path';
import { codeOf } from '../../core/thrown-value.js';
import { CREATION_FILE, sortLeaseFileNames } from './lease-file-name.js';
import { parseCreationFile, parseLeaseFile, type ObservedLeaseFile } from './lease-file-record.js';
import type { LeaseFileSystem } from './lease-file-system.js';

/** Each means that several writes came between two system calls, or that somebody meddles with the files. */
const MOST_ATTEMPTS = 100;

/**
 * Reads the newest version of a lease; linearizable.
 *
 * A directory with so few files is listed by one system call. Should there be many, so that it is listed piecemeal while
 * it changes: versions are then swept strictly oldest first, so if the highest of the listing can still be opened after
 * it, nothing above it was removed during the listing, and so nothing above it was missed that was there when the listing
 * began.
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
      const creation = listed && (await this.#readText(CREATION_FILE));
      if (listed === null || creation === null) return null;
      const { versions } = sortLeaseFileNames(listed);
      const created = parseCreationFile(creation, versions.at(-1)?.uid);
      const newest = versions.filter((file) => file.uid === created.uid).at(-1);
      if (newest === undefined) return this.saw(created);
      const text = await this.#readText(newest.name);
      if (text !== null) return this.saw(parseLeaseFile(text, newest));
    }
    throw new Error(`the newest version vanished ${MOST_ATTEMPTS} times before it could be read`);
  }

  saw(lease: ObservedLeaseFile): ObservedLeaseFile {
    if (lease.revision > this.highestSeen) this.highestSeen = lease.revision;
    return lease;
  }

  #readText(name: string): Promise<string | null> {
    return unlessMissing(this.files.readFile(join(this.directory, name), 'utf8'));
  }
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
