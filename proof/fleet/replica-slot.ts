import { setTimeout as delay } from 'node:timers/promises';
import type { NodeProgram } from './node-program.js';
import type { ReplicaServer } from './replica-server.js';

const RESTART_AFTER_MS = 100;
/** A shutdown is bounded by two request timeouts and one for the lock; the rest is a busy machine. */
const SHUTDOWN_LIMIT_MS = 10_000;
const START_LIMIT_MS = 30_000;

/** A process of a fleet. */
export interface Replica extends NodeProgram {
  readonly isReady: boolean;
  readonly leads: boolean;
}

type Launch<P extends Replica> = (name: string, server: ReplicaServer | undefined) => P;

export interface Place<P extends Replica> {
  readonly name: string;
  readonly launch: Launch<P>;
  /** Undefined for a lock without a network, and for replicas that go to the API server directly. */
  readonly server?: ReplicaServer | undefined;
  /** Another process is started whenever one ends. */
  readonly restarts?: boolean;
}

/** A place for a replica, with a way to the servers of its own, at which one process follows another. */
export class ReplicaSlot<P extends Replica> {
  readonly name: string;
  readonly server: ReplicaServer | undefined;
  /** A fault is at work here. */
  isBusy = false;
  /** All that have run here. */
  readonly processes: P[] = [];
  readonly complaints: string[] = [];
  private isClosing = false;

  constructor(private readonly place: Place<P>) {
    this.name = place.name;
    this.server = place.server;
    this.start();
  }

  get process(): P {
    return this.processes.at(-1)!;
  }

  /** Once the last process has ended. */
  start(): P {
    const { launch, server, restarts } = this.place;
    const process = launch(`${this.name}-${this.processes.length + 1}`, server);
    this.processes.push(process);
    if (restarts) void process.exited.then(() => this.replace(process));
    return process;
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
    while (!this.process.isReady && !this.isClosing) {
      if (performance.now() > giveUpAt) {
        const { name } = this.process;
        this.complaints.push(`${name} was not ready ${START_LIMIT_MS} ms after a fault`);
        return;
      }
      await delay(10);
    }
  }

  /** Ends the process for good. */
  async close(): Promise<void> {
    this.isClosing = true;
    if (!this.process.hasExited) await this.shutDown();
  }

  /** As a crash of the machine would. */
  async kill(): Promise<void> {
    this.isClosing = true;
    await this.process.kill();
  }

  private async replace({ crash }: P): Promise<void> {
    if (crash !== undefined) this.complaints.push(crash);
    await delay(RESTART_AFTER_MS);
    if (!this.isClosing) this.start();
  }
}
