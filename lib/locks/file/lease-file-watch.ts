import { type FSWatcher, watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { LockRequestError } from '../../core/errors.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../core/resource-lock.js';
import { codeOf } from '../../core/thrown-value.js';
import { withShortPath } from './holder-socket.js';
import type { ObservedLeaseFile } from './lease-file-record.js';

/**
 * A dying process may close its connections a moment before it stops listening. After this many attempts only the next
 * look at the lease tries again, so that a process that accepts and hangs up is not asked in a loop.
 */
const RETRY_DELAYS_MS = [0, 20, 200];

/**
 * A standby's connection to the socket of the holder. It reports when that process is proved dead.
 *
 * The proof is a refused connection to a socket that once listened, because a live holder never stops listening while a
 * record names its socket: ECONNREFUSED, after a connection on which the process itself had spoken was closed. ENOENT
 * then counts too, as an orderly exit removes the file. Without such a connection ENOENT proves nothing (the file may
 * have been removed by hand, or be out of sight of this container), and ECONNREFUSED proves death only under a kernel
 * with a unique name, and on Linux, where it means exactly that no process listens; BSD systems also give it when a
 * stopped process has a full queue. Anything else (no answer, no permission, a full queue) proves nothing: the lease's
 * time decides.
 */
class HolderLiveness {
  private path: string | null = null;
  private connection: Socket | undefined;
  private retry: NodeJS.Timeout | undefined;
  private retries = 0;
  /** The process at this path closed a connection on which it had spoken. */
  private hasHungUp = false;
  private isDead = false;

  constructor(
    /** Called once for a path. */
    private readonly died: (path: string) => void,
    /** False where the process at the path may be one of another kernel. */
    private readonly isSurelyOfThisKernel: () => boolean,
  ) {}

  /** Called with every new look at the lease; a connection that failed without proof is then tried again. */
  follow(path: string | null): void {
    if (path !== this.path) {
      this.close();
      this.path = path;
      this.hasHungUp = false;
      this.isDead = false;
    }
    if (path === null || this.isDead) return;
    this.retries = 0;
    if (this.connection === undefined && this.retry === undefined) this.connect(path);
  }

  close(): void {
    this.path = null;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.connection?.destroy();
    this.connection = undefined;
  }

  private connect(path: string): void {
    let connection: Socket;
    try {
      connection = withShortPath(path, (short) => connect({ path: short }));
    } catch {
      // There is no place for a short path, now or ever, which proves nothing.
      this.connectLater(path);
      return;
    }
    this.connection = connection;
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
      if (this.connection !== connection) return;
      this.connection = undefined;
      if (this.isProof(code)) {
        this.isDead = true;
        this.died(path);
        return;
      }
      if (speaks) this.hasHungUp = true;
      this.connectLater(path);
    });
  }

  private isProof(code: string | undefined): boolean {
    if (this.hasHungUp) return code === 'ECONNREFUSED' || code === 'ENOENT';
    return process.platform === 'linux' && this.isSurelyOfThisKernel() && code === 'ECONNREFUSED';
  }

  private connectLater(path: string): void {
    const delay = RETRY_DELAYS_MS[this.retries++];
    if (delay === undefined) return;
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.connect(path);
    }, delay);
    this.retry.unref();
  }
}

/** How long a change without a notification of the file system stays unnoticed. */
const LONGEST_REPAIR_MS = 2000;

/** What the watch needs of the lock it belongs to. */
export interface LeaseFileView {
  readonly directory: string;
  /** Makes the directory if it is missing and the lock's user competes, and looks. */
  look(): Promise<ObservedLeaseFile | null>;
  revisionOfDeletion(): bigint;
  /**
   * The socket that proves whether the holder lives; null if there is no holder, or it is this lock or on another host.
   */
  holderSocket(lease: ObservedLeaseFile | null): string | null;
  /** False if processes of other hosts may pass for processes of this one. */
  isKernelUnique(): boolean;
  explain(error: unknown): LockRequestError;
}

/**
 * Looks whenever the directory reports a change, and now and then without: some file systems report nothing, and a
 * removed directory is no longer watched. Keeps no process alive.
 */
export class LeaseFileWatch implements LeaseWatch {
  private state: 'new' | 'opened' | 'interrupted' | 'closed' = 'new';
  private known: ObservedLeaseFile | null = null;
  private notifier: FSWatcher | undefined;
  private isLooking = false;
  private mustLookAgain = false;
  private deadSocket: string | null = null;
  private toldDead: string | undefined;
  private readonly liveness = new HolderLiveness(
    (socket) => {
      this.deadSocket = socket;
      this.look();
    },
    () => this.view.isKernelUnique(),
  );
  private readonly repair: NodeJS.Timeout;

  constructor(
    private readonly view: LeaseFileView,
    private readonly observer: LeaseWatchObserver,
    silenceLimitMs: number,
  ) {
    this.repair = setInterval(
      () => {
        this.stopNotifier();
        this.look();
      },
      Math.min(silenceLimitMs, LONGEST_REPAIR_MS),
    );
    this.repair.unref();
    this.look();
  }

  close(): void {
    this.state = 'closed';
    clearInterval(this.repair);
    this.stopNotifier();
    this.liveness.close();
  }

  /** One look at a time; a change during a look is followed by another. */
  private look(): void {
    this.mustLookAgain = true;
    if (this.isLooking) return;
    this.isLooking = true;
    void this.lookWhileNeeded();
  }

  private async lookWhileNeeded(): Promise<void> {
    while (this.mustLookAgain && this.state !== 'closed') {
      this.mustLookAgain = false;
      let report: () => void;
      try {
        // The directory exists only after a look; the notifier must be there before the look that counts.
        if (this.notifier === undefined) await this.view.look();
        this.startNotifier();
        const lease = await this.view.look();
        report = () => this.found(lease);
      } catch (error) {
        report = () => this.failed(this.view.explain(error));
      }
      if (!this.isClosed()) report();
    }
    this.isLooking = false;
  }

  private isClosed(): boolean {
    return this.state === 'closed';
  }

  private found(lease: ObservedLeaseFile | null): void {
    const before = this.known;
    this.known = lease;
    if (this.state !== 'opened') {
      this.state = 'opened';
      this.observer.opened();
    } else if (lease === null) {
      if (before !== null) this.observer.changed(null, this.view.revisionOfDeletion());
    } else if (before === null || lease.revision > before.revision) {
      this.observer.changed(lease, lease.revision);
    } else if (lease.source.text !== before.source.text) {
      // Edited in place or restored by hand. Reported as a change it would look outdated; a read is believed.
      this.observer.opened();
    }
    if (this.isClosed()) return;
    this.tellOfDeath(lease);
    if (!this.isClosed()) this.liveness.follow(this.view.holderSocket(lease));
  }

  /** After a look made since the death was noticed: it shows the last thing that the process wrote. */
  private tellOfDeath(lease: ObservedLeaseFile | null): void {
    const socket = this.view.holderSocket(lease);
    if (lease === null || socket === null || socket !== this.deadSocket) return;
    if (lease.timingKey === this.toldDead) return;
    this.toldDead = lease.timingKey;
    // Again, for an election that has not read yet: it must know the record before it hears of the death.
    this.observer.changed(lease, lease.revision);
    if (!this.isClosed()) this.observer.holderDied(lease.timingKey);
  }

  private failed(error: LockRequestError): void {
    if (this.state === 'interrupted') return;
    this.state = 'interrupted';
    this.stopNotifier();
    this.observer.interrupted(error);
  }

  private startNotifier(): void {
    if (this.notifier !== undefined || this.isClosed()) return;
    try {
      const notifier = watch(this.view.directory, { persistent: false });
      notifier.on('change', (_event, name) => {
        if (name === null || !String(name).endsWith('.tmp')) this.look();
      });
      notifier.on('error', () => this.stopNotifier());
      this.notifier = notifier;
    } catch {
      // There is no inotify watch left, the file system has none, or no process has made the directory yet. The repair
      // interval finds every change, later.
    }
  }

  private stopNotifier(): void {
    this.notifier?.close();
    this.notifier = undefined;
  }
}
