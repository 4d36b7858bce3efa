import { connect, type Socket } from 'node:net';
import { codeOf } from '../../core/thrown-value.js';
import { withShortPath } from './short-socket-path.js';

/**
 * A dying process may close its connections a moment before it stops listening. After these attempts the next look
 * at the lease tries again: a process that accepts and hangs up is not to be asked in a loop.
 */
const RETRY_DELAYS_MS = [0, 20, 200];

/**
 * A standby's connection to the socket of the holder; tells when that process is proved dead.
 *
 * Proof is a refused connection to a socket that once listened, for a live holder never stops listening while a record
 * names its socket: ECONNREFUSED after a connection on which the process itself had spoken was closed. ENOENT then counts
 * too, for an orderly exit removes the file. Without such a connection ENOENT proves nothing (the file may have been
 * removed by hand, or be out of sight of this container), and ECONNREFUSED does only under a kernel of a unique name, and
 * on Linux, where it means exactly that nobody listens; BSD systems also answer so when a stopped process has a full
 * queue. Everything else (no answer, no permission, a full queue) proves nothing: the lease's time decides.
 */
export class HolderLiveness {
  #path: string | null = null;
  #connection: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retries = 0;
  /** The process at this path closed a connection on which it had spoken. */
  #hasHungUp = false;
  #isDead = false;

  constructor(
    /** Called once for a path. */
    private readonly died: (path: string) => void,
    /** False where the process at the path may be one of another kernel. */
    private readonly isSurelyOfThisKernel: () => boolean,
  ) {}

  /** Called with every new look at the lease; a connection that failed without proof is then tried again. */
  follow(path: string | null): void {
    if (path !== this.#path) {
      this.close();
      this.#path = path;
      this.#hasHungUp = false;
      this.#isDead = false;
    }
    if (path === null || this.#isDead) return;
    this.#retries = 0;
    if (this.#connection === undefined && this.#retry === undefined) this.#connect(path);
  }

  close(): void {
    this.#path = null;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  #connect(path: string): void {
    let connection: Socket;
    try {
      connection = withShortPath(path, (short) => connect({ path: short }));
    } catch {
      // No place for a short path, for now or for good: that proves nothing.
      this.#connectLater(path);
      return;
    }
    this.#connection = connection;
    connection.unref();
    let speaks = false;
    let code: string | undefined;
    connection.on('data', () => {
      speaks = true;
    });
    connection.on('error', (error) => {
      code = codeOf(error);
    });
    connection.on('close', () => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      if (this.#isProof(code)) {
        this.#isDead = true;
        this.died(path);
        return;
      }
      if (speaks) this.#hasHungUp = true;
      this.#connectLater(path);
    });
  }

  #isProof(code: string | undefined): boolean {
    if (this.#hasHungUp) return code === 'ECONNREFUSED' || code === 'ENOENT';
    return process.platform === 'linux' && this.isSurelyOfThisKernel() && code === 'ECONNREFUSED';
  }

  #connectLater(path: string): void {
    const delay = RETRY_DELAYS_MS[this.#retries++];
    if (delay === undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#connect(path);
    }, delay);
    this.#retry.unref();
  }
}
