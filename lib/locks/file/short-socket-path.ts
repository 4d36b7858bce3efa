import { mkdtempSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/**
 * sun_path holds 104 bytes with its final zero on macOS, 108 on Linux. A longer path may be cut off without an error,
 * and then names something else.
 */
const LONGEST_PATH = 103;

/**
 * Calls `use` with a path to the same socket that an address can hold. It is valid during the call only, which is
 * enough: bind() and connect() resolve a path once. Where the path itself is too long, its directory is reached through
 * a symbolic link that this process makes for itself, so that all who share the directory meet at one socket.
 *
 * Throws if there is no place for the link.
 */
export function withShortPath<T>(path: string, use: (path: string) => T): T {
  if (process.platform === 'win32' || fits(path)) return use(path);
  const folder = mkdtempSync(join(shortDirectory(path), 'le-'));
  const link = join(folder, 'd');
  try {
    symlinkSync(dirname(path), link);
    try {
      return use(join(link, basename(path)));
    } finally {
      unlinkSync(link);
    }
  } finally {
    rmdirSync(folder);
  }
}

function shortDirectory(path: string): string {
  for (const directory of [tmpdir(), '/tmp']) {
    if (fits(join(directory, 'le-123456', 'd', basename(path)))) return directory;
  }
  throw new Error(`no temporary directory has a short enough path for a link to ${dirname(path)}`);
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_PATH;
}
