import { createHash } from 'node:crypto';
import { mkdtempSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { codeOf } from '../../core/thrown-value.js';
import { kernelUuid } from '../kernel-entropy.js';
import { removeFile } from './lease-file-reader.js';
import type { FileLockDirectory } from './lease-paths.js';
import { localFileSystem } from './system-call-failure.js';

/**
 * sun_path holds 104 bytes with its final zero on macOS, 108 on Linux. A longer path may be cut off without an error,
 * and then names another file.
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

/**
 * The socket on which a holder listens from before its first write until its process ends. If the socket refuses
 * connections, the kernel vouches that the process is gone. So it must never be closed while a stored record names it,
 * which the owner of this object decides. It keeps no process alive.
 */
export class HolderSocket {
  private listening: Promise<string | null> | undefined;
  private server: Server | undefined;
  private readonly connections = new Set<Socket>();
  private readonly directory: string;
  /** Of the names of all sockets that serve the same purpose for the same lease. */
  readonly prefix: string;

  constructor(
    private readonly root: FileLockDirectory,
    leaseDirectory: string,
    /** Said to each who connects; a byte is enough to show that the process is not stopped. */
    private readonly greeting = '\n',
  ) {
    this.directory = join(root.path, 's');
    this.prefix = `${createHash('sha256').update(leaseDirectory).digest('hex').slice(0, 8)}-`;
  }

  /**
   * The path, once something listens there. Null where no socket could be made this time (no descriptor is left, a file
   * system without sockets): others then wait until the lease has expired, and nothing more is lost.
   */
  listen(): Promise<string | null> {
    this.listening ??= this.listenOnNewPath().catch(() => {
      this.listening = undefined;
      return null;
    });
    return this.listening;
  }

  /**
   * Removes the socket files that dead holders of this lease left behind. Only after a write that superseded them; A
   * file that is missed does no harm, nor does the removal of one that a live process uses: without the file there is
   * no proof of death.
   */
  async sweep(): Promise<void> {
    const own = await this.listening;
    if (own == null || process.platform === 'win32') return;
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name);
      if (name.startsWith(this.prefix) && path !== own && (await isRefused(path))) {
        await removeFile(localFileSystem, path);
      }
    }
  }

  async close(): Promise<void> {
    const path = await this.listening;
    const server = this.server;
    if (server === undefined || path == null) return;
    this.server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.connections) connection.destroy();
    await closed;
    // Node removes the path it bound, which may have been a short one that existed only then.
    if (process.platform !== 'win32') await removeFile(localFileSystem, path);
  }

  private async listenOnNewPath(): Promise<string> {
    const path = await this.newPath();
    const server = createServer((connection) => this.greet(connection));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // Exclusive: a worker of node:cluster would otherwise let its primary listen, which outlives it.
      withShortPath(path, (short) => server.listen({ path: short, exclusive: true }, resolve));
    });
    server.unref();
    // Errors of single connections that could not be accepted; the socket still listens.
    server.on('error', () => undefined);
    this.server = server;
    return path;
  }

  /** So that others can tell a live process from the kernel's queue in front of a stopped one. */
  private greet(connection: Socket): void {
    this.connections.add(connection);
    connection.unref();
    // The holder does not care about a standby that went away.
    connection.on('error', () => undefined);
    connection.on('close', () => this.connections.delete(connection));
    connection.resume();
    connection.write(this.greeting);
  }

  private async newPath(): Promise<string> {
    const name = `${this.prefix}${kernelUuid().slice(-12)}`;
    if (process.platform === 'win32') return `\\\\.\\pipe\\nestjs-leader-election-${name}`;
    await this.root.make(this.directory);
    return join(this.directory, name);
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = withShortPath(path, (short) => connect({ path: short }));
    probe.unref();
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'));
  });
}
