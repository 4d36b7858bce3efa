import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { errorCode } from './file-lock-error.js';
import { localFileSystem } from './lease-file-system.js';
import { removeFile } from './lease-file-sweep.js';

/** sun_path holds 104 bytes with its final zero on macOS, 108 on Linux. */
const LONGEST_PATH = 103;

/**
 * The socket on which a holder listens from before its first write until its process ends. That nobody listens any
 * more is the kernel's word that the process is gone, so it must never be closed while a stored record names it, which
 * the owner of this object decides. It keeps no process alive.
 */
export class HolderSocket {
  #listening: Promise<string | null> | undefined;
  #server: Server | undefined;
  readonly #connections = new Set<Socket>();
  readonly #prefix: string;

  constructor(
    private readonly directory: string,
    leaseDirectory: string,
  ) {
    this.#prefix = `${createHash('sha256').update(leaseDirectory).digest('hex').slice(0, 8)}-`;
  }

  /**
   * The path, once something listens there. Null where no socket can be made (path too long, a file system without
   * them): others then wait until the lease has lapsed, which is all that is lost.
   */
  listen(): Promise<string | null> {
    this.#listening ??= this.#listen().catch(() => null);
    return this.#listening;
  }

  /**
   * Removes the socket files that dead holders of this lease left behind. Only after a write that superseded them;
   * a file that is missed is harmless, as is one of a live process: without the file nothing is taken for death.
   */
  async sweep(): Promise<void> {
    const own = await this.#listening;
    const directory = this.#socketDirectory();
    if (own == null || directory === null || process.platform === 'win32') return;
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      if (name.startsWith(this.#prefix) && path !== own && (await isRefused(path))) {
        await removeFile(localFileSystem, path);
      }
    }
  }

  async close(): Promise<void> {
    await this.#listening;
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  async #listen(): Promise<string | null> {
    const path = await this.#newPath();
    if (path === null) return null;
    const server = createServer((connection) => this.#greet(connection));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // Exclusive: a worker of node:cluster would else let its primary listen, which outlives it.
      server.listen({ path, exclusive: true }, resolve);
    });
    server.unref();
    // Of single connections that could not be accepted; the socket listens on.
    server.on('error', () => undefined);
    this.#server = server;
    return path;
  }

  /** One byte, so that a standby can tell a live process from the kernel's queue in front of a stopped one. */
  #greet(connection: Socket): void {
    this.#connections.add(connection);
    connection.unref();
    // A standby that went away is no concern of the holder.
    connection.on('error', () => undefined);
    connection.on('close', () => this.#connections.delete(connection));
    connection.resume();
    connection.write('\n');
  }

  async #newPath(): Promise<string | null> {
    const name = `${this.#prefix}${randomUUID().slice(-12)}`;
    if (process.platform === 'win32') return `\\\\.\\pipe\\nestjs-leader-election-${name}`;
    const directory = this.#socketDirectory();
    if (directory === null) return null;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return join(directory, name);
  }

  #socketDirectory(): string | null {
    const directory = join(this.directory, 's');
    const longest = join(directory, `${this.#prefix}123456789012`);
    return Buffer.byteLength(longest) <= LONGEST_PATH ? directory : null;
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.unref();
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(errorCode(error) === 'ECONNREFUSED'));
  });
}
