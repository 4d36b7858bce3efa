import { setTimeout as delay } from 'node:timers/promises';
import { ReplicaProcess } from './replica-process.js';
import type { ReplicaServer } from './replica-server.js';

const RESTART_AFTER_MS = 100;
/** A shutdown is bounded by two request timeouts and one for the lock; the rest is a busy machine. */
const SHUTDOWN_LIMIT_MS = 10_000;
const START_LIMIT_MS = 30_000;

export type Launch = (name: string) => ReplicaProcess;

/** A place for a replica, with a way to the servers of its own: the process is replaced by another when it ends. */
export class ReplicaSlot {
  /** A fault is at work here. */
  isBusy = false;
  /** Names of all processes that have run here. */
  readonly names: string[] = [];
  readonly complaints: string[] = [];
  private current: ReplicaProcess;
  private isClosing = false;

  constructor(
    readonly name: string,
    private readonly launch: Launch,
    /** Undefined for a lock without a network. */
    readonly server: ReplicaServer | undefined,
  ) {
    this.current = this.start();
  }

  get process(): ReplicaProcess {
    return this.current;
  }

  /** Asks the process to end, and sees to it that it does. */
  async shutDown(): Promise<void> {
    const { process } = this;
    process.signal('SIGTERM');
    const gaveUp = new AbortController();
    const tooLong = delay(SHUTDOWN_LIMIT_MS, true, { signal: gaveUp.signal }).catch(() => false);
    const overran = await Promise.race([process.exited.then(() => false), tooLong]);
    gaveUp.abort();
    if (!overran) return;
    this.complaints.push(`${process.name} had not ended ${SHUTDOWN_LIMIT_MS} ms after SIGTERM`);
    await process.kill();
  }

  /** A process runs here that has started up, or it takes longer than any start. */
  async untilReady(): Promise<void> {
    const giveUpAt = performance.now() + START_LIMIT_MS;
    while (!this.current.isReady && !this.isClosing) {
      if (performance.now() > giveUpAt) {
        this.complaints.push(
          `${this.current.name} was not ready ${START_LIMIT_MS} ms after a fault`,
        );
        return;
      }
      await delay(10);
    }
  }

  /** Ends the process for good. */
  async close(): Promise<void> {
    this.isClosing = true;
    if (!this.current.hasExited) await this.shutDown();
  }

  private start(): ReplicaProcess {
    const name = `${this.name}-${this.names.length + 1}`;
    this.names.push(name);
    const process = this.launch(name);
    void process.exited.then(() => this.replace(process));
    return process;
  }

  private async replace({ crash }: ReplicaProcess): Promise<void> {
    if (crash !== undefined) this.complaints.push(crash);
    await delay(RESTART_AFTER_MS);
    if (!this.isClosing) this.current = this.start();
  }
}
