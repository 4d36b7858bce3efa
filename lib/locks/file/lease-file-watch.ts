import { watch, type FSWatcher } from 'node:fs';
import type { LockRequestError } from '../../core/errors.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../core/resource-lock.js';
import { HolderLiveness } from './holder-liveness.js';
import type { ObservedLeaseFile } from './lease-file-record.js';

/** How long a notification that the file system did not send stays unnoticed. */
const LONGEST_REPAIR_MS = 2000;

/** What the watch needs of the lock it belongs to. */
export interface LeaseFileView {
  readonly directory: string;
  /** Makes the directory if it is missing, and looks. */
  look(): Promise<ObservedLeaseFile | null>;
  revisionOfDeletion(): bigint;
  /** The socket that proves whether the holder lives; null for nobody, for this lock itself and for other hosts. */
  holderSocket(lease: ObservedLeaseFile | null): string | null;
  /** False if processes of other hosts may pass for ones of this. */
  isHostUnique(): boolean;
  explain(error: unknown): LockRequestError;
}

/**
 * Looks whenever the directory reports a change, and seldom without: some file systems report nothing, and a removed
 * directory is no longer watched. Keeps no process alive.
 */
export class LeaseFileWatch implements LeaseWatch {
  #state: 'new' | 'opened' | 'interrupted' | 'closed' = 'new';
  #known: ObservedLeaseFile | null = null;
  #notifier: FSWatcher | undefined;
  #isLooking = false;
  #mustLookAgain = false;
  #deadSocket: string | null = null;
  #toldDead: string | undefined;
  readonly #liveness = new HolderLiveness(
    (socket) => {
      this.#deadSocket = socket;
      this.#look();
    },
    () => this.view.isHostUnique(),
  );
  readonly #repair: NodeJS.Timeout;

  constructor(
    private readonly view: LeaseFileView,
    private readonly observer: LeaseWatchObserver,
    silenceLimitMs: number,
  ) {
    this.#repair = setInterval(
      () => {
        this.#stopNotifier();
        this.#look();
      },
      Math.min(silenceLimitMs, LONGEST_REPAIR_MS),
    );
    this.#repair.unref();
    this.#look();
  }

  close(): void {
    this.#state = 'closed';
    clearInterval(this.#repair);
    this.#stopNotifier();
    this.#liveness.close();
  }

  /** One look at a time; a change during a look is followed by another. */
  #look(): void {
    this.#mustLookAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#lookWhileNeeded();
  }

  async #lookWhileNeeded(): Promise<void> {
    while (this.#mustLookAgain && this.#state !== 'closed') {
      this.#mustLookAgain = false;
      let report: () => void;
      try {
        // The directory exists only after a look; the notifier must be there before the look that counts.
        if (this.#notifier === undefined) await this.view.look();
        this.#startNotifier();
        const lease = await this.view.look();
        report = () => this.#found(lease);
      } catch (error) {
        report = () => this.#failed(this.view.explain(error));
      }
      if (!this.#isClosed()) report();
    }
    this.#isLooking = false;
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #found(lease: ObservedLeaseFile | null): void {
    const before = this.#known;
    this.#known = lease;
    if (this.#state !== 'opened') {
      this.#state = 'opened';
      this.observer.opened();
    } else if (lease === null) {
      if (before !== null) this.observer.changed(null, this.view.revisionOfDeletion());
    } else if (before === null || lease.revision > before.revision) {
      this.observer.changed(lease, lease.revision);
    } else if (lease.source.text !== before.source.text) {
      // Edited in place or put back by hand. As a change it would pass for an old one; a read is believed.
      this.observer.opened();
    }
    if (this.#isClosed()) return;
    this.#tellOfDeath(lease);
    if (!this.#isClosed()) this.#liveness.follow(this.view.holderSocket(lease));
  }

  /** After a look made since the death was noticed: it shows the last thing that the process wrote. */
  #tellOfDeath(lease: ObservedLeaseFile | null): void {
    const socket = this.view.holderSocket(lease);
    if (lease === null || socket === null || socket !== this.#deadSocket) return;
    if (lease.timingKey === this.#toldDead) return;
    this.#toldDead = lease.timingKey;
    // Once more, for an election that has not read yet: it must know the record before it hears of the death.
    this.observer.changed(lease, lease.revision);
    if (!this.#isClosed()) this.observer.holderDied(lease.timingKey);
  }

  #failed(error: LockRequestError): void {
    if (this.#state === 'interrupted') return;
    this.#state = 'interrupted';
    this.#stopNotifier();
    this.observer.interrupted(error);
  }

  #startNotifier(): void {
    if (this.#notifier !== undefined || this.#isClosed()) return;
    try {
      const notifier = watch(this.view.directory, { persistent: false });
      notifier.on('change', (_event, name) => {
        if (name === null || !String(name).endsWith('.tmp')) this.#look();
      });
      notifier.on('error', () => this.#stopNotifier());
      this.#notifier = notifier;
    } catch {
      // Out of inotify watches, or a file system that has none: the repair interval finds every change, later.
    }
  }

  #stopNotifier(): void {
    this.#notifier?.close();
    this.#notifier = undefined;
  }
}
