import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ReplicaAction, ReplicaState, ReplicaView } from './fleet-view.js';
import type { Connection } from './ground.js';
import type { ReplicaMessage, ReplicaOrder } from './messages.js';
import { Spans } from './spans.js';

export interface LaneObserver {
  printed(lane: Lane, line: string): void;
  heard(lane: Lane, message: ReplicaMessage): void;
  ended(lane: Lane, how: string, at: number): void;
}

/** A place for one replica, at which one process follows another. */
export class Lane {
  /** Which process is meant, in the lease and in the record of the job. */
  identity = '';
  private child: ChildProcess | undefined;
  private end: string | null = null;
  private dashboard: string | null = null;
  private isFrozen = false;
  private isCut = false;
  private isBlocked = false;
  private isStopping = false;
  private readonly spans = new Spans();
  private exited: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly connection: Connection,
    private readonly observer: LaneObserver,
  ) {}

  get pid(): number | undefined {
    return this.child?.pid;
  }

  start(): void {
    this.identity = `${this.name}_${randomUUID()}`;
    const child = fork(fileURLToPath(new URL('./replica.js', import.meta.url)), {
      // A process group of its own: Ctrl+C reaches this program alone, which then ends each replica once.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Named, so that it runs anywhere: in a container, with NODE_ENV=production, in a pod.
      env: {
        LOCK: 'file',
        PROFILE: 'fast',
        ...process.env,
        ...this.connection.env,
        IDENTITY: this.identity,
        ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
      },
    });
    this.child = child;
    this.end = this.dashboard = null;
    this.isFrozen = this.isBlocked = this.isStopping = false;
    this.noteSpans();
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.observer.printed(this, line));
    }
    child.on('message', (message: ReplicaMessage) => this.receive(message));
    // An order to a process that has just died is an order too late.
    child.on('error', () => undefined);
    let endedAt = 0;
    child.once('exit', () => (endedAt = Date.now()));
    // "exit" may come before the last that it has said; "close" does not.
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.child = undefined;
        this.dashboard = null;
        this.end = signal ?? `exit code ${code}`;
        this.noteSpans();
        this.observer.ended(this, this.end, endedAt);
        resolve();
      });
    });
    if (this.isCut) this.connection.cut((order) => this.tell(order));
  }

  kill(): void {
    this.child?.kill('SIGKILL');
  }

  stop(): void {
    this.isStopping = true;
    this.child?.kill('SIGTERM');
  }

  freeze(): void {
    this.isFrozen = true;
    this.noteSpans();
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.isFrozen = false;
    this.noteSpans();
    this.child?.kill('SIGCONT');
  }

  cut(): void {
    this.isCut = true;
    this.noteSpans();
    this.connection.cut((order) => this.tell(order));
  }

  heal(): void {
    this.isCut = false;
    this.noteSpans();
    this.connection.heal((order) => this.tell(order));
  }

  block(ms: number): void {
    this.isBlocked = true;
    this.noteSpans();
    this.tell({ order: 'block', ms });
  }

  /** Ends it in good order, whatever was done to it, here or by someone's own kill -STOP. */
  async close(): Promise<void> {
    this.thaw();
    if (this.isCut) this.heal();
    this.stop();
    await this.exited;
  }

  get view(): ReplicaView {
    return {
      name: this.name,
      state: this.state,
      isCut: this.isCut,
      end: this.end,
      pid: this.pid ?? null,
      dashboard: this.dashboard,
      spans: this.spans.view,
      can: this.can,
    };
  }

  private get state(): ReplicaState {
    if (this.child === undefined) return 'ended';
    if (this.isFrozen) return 'frozen';
    if (this.isStopping) return 'stopping';
    if (this.dashboard === null) return 'starting';
    return this.isBlocked ? 'blocked' : 'running';
  }

  /** What a process that stands still would obey only later is not offered. */
  private get can(): ReplicaAction[] {
    const net = this.isCut ? 'heal' : 'cut';
    switch (this.state) {
      case 'ended':
        return ['start'];
      case 'frozen':
        return ['kill', 'thaw'];
      case 'stopping':
      case 'starting':
        return ['kill'];
      case 'blocked':
        return ['kill', 'freeze'];
      case 'running':
        return ['kill', 'stop', 'freeze', net, 'block'];
    }
  }

  private receive(message: ReplicaMessage): void {
    if (message.kind === 'listening') this.dashboard = message.url;
    if (message.kind === 'unblocked') {
      this.isBlocked = false;
      this.noteSpans();
    }
    this.observer.heard(this, message);
  }

  private noteSpans(): void {
    const isRunning = this.child !== undefined;
    this.spans.set('running', isRunning);
    this.spans.set('halted', isRunning && (this.isFrozen || this.isBlocked));
    this.spans.set('cut', isRunning && this.isCut);
  }

  private tell(order: ReplicaOrder): void {
    if (this.child?.connected) this.child.send(order, () => undefined);
  }
}
