import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import {
  guard,
  type GuardOrder,
  type GuardReport,
  type GuardSettings,
  type Hold,
  othersInGroup,
} from './program-guard.js';

/**
 * How a program has ended. `not-started`: there is no such program, or it may not be run. `lost`: the guard was killed, and
 * how the program has ended is not known.
 */
export type ProgramEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: string }
  | { readonly kind: 'not-started'; readonly code: string; readonly message: string }
  /** Its guard found that the lease is no longer held for long enough to start it. */
  | { readonly kind: 'not-held' }
  | { readonly kind: 'lost' };

/** Pause between looks at what is left of the process group. */
const LOOK_MS = 20;
/** A hold that has moved by less is not sent. */
const LEAST_NEWS_MS = 5;

/** As it was before the time that is left was asked: a pause in between must not prolong it. */
export function machineTime(): Omit<Hold, 'leftMs'> {
  return { monotonicMs: Number(process.hrtime.bigint()) / 1e6, bootMs: uptime() * 1e3 };
}

/**
 * A program with its guard, which is a process of its own: see {@link guard}. Both processes end the program: the guard if
 * this one is killed or stopped, and this one if the guard is.
 */
export class GuardedProgram {
  /** Resolves once no process of the program's group is left. */
  readonly ended: Promise<ProgramEnd>;
  private readonly process: ChildProcess;
  private end: ProgramEnd | undefined;
  private heldUntilMs = -Infinity;
  private isOver = false;

  constructor(
    private readonly settings: GuardSettings,
    hold: Hold,
    private readonly onStarted: (pid: number) => void,
  ) {
    const source = `(${guard.toString()})(require, ${othersInGroup.toString()})`;
    const env = { ...process.env };
    // Meant for the program, which gets it from the guard: a debugger's port, for example, is free once.
    delete env['NODE_OPTIONS'];
    this.process = spawn(process.execPath, ['-e', source], {
      // A session and a process group of its own: the signals of a terminal reach this process alone.
      detached: true,
      env,
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (report: GuardReport) => this.heard(report));
    // What cannot be sent is noticed by its end.
    this.process.on('error', () => {});
    this.ended = this.untilGone();
    this.send({ kind: 'start', settings, hold });
    this.heldUntilMs = hold.monotonicMs + hold.leftMs;
  }

  /** The process group of the program; undefined if the guard could not be started. */
  get group(): number | undefined {
    return this.process.pid;
  }

  /** The lease is held for so long. Ends the program itself if its guard should have done that and has not. */
  hold(hold: Hold): void {
    if (this.isOver) return;
    const until = hold.monotonicMs + hold.leftMs;
    if (Math.abs(until - this.heldUntilMs) > LEAST_NEWS_MS) this.send({ kind: 'hold', hold });
    this.heldUntilMs = until;
    if (hold.leftMs <= this.settings.killBeforeMs / 2) this.killGroup();
  }

  /** Asks it to end, for as long as the drain may take and the lease is held. */
  terminate(): void {
    this.send({ kind: 'terminate' });
  }

  /** Ends it now. */
  kill(): void {
    this.send({ kind: 'kill' });
    this.killGroup();
  }

  private heard(report: GuardReport): void {
    if (report.kind === 'started') return this.onStarted(report.pid);
    if (report.kind === 'not-started' || report.kind === 'not-held') this.end = report;
    else if (report.signal !== null) this.end = { kind: 'signalled', signal: report.signal };
    else this.end = { kind: 'exited', code: report.code ?? 0 };
  }

  private send(order: GuardOrder): void {
    if (!this.process.connected) return;
    // A guard that has died is noticed by its end.
    this.process.send(order, () => {});
  }

  private killGroup(): void {
    const { group } = this;
    if (group === undefined || this.isOver) return;
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // No process of it is left.
    }
  }

  private async untilGone(): Promise<ProgramEnd> {
    const by = await new Promise<NodeJS.Signals | null>((resolve) => {
      this.process.once('exit', (_, signal) => resolve(signal));
      this.process.once('error', (error: NodeJS.ErrnoException) => {
        if (this.process.pid !== undefined) return;
        this.end = { kind: 'not-started', code: error.code ?? '', message: error.message };
        resolve(null);
      });
    });
    const { group } = this;
    // Whoever killed the guard left the program without one.
    if (group !== undefined) {
      this.killGroup();
      while (isLeft(group)) await pause();
    }
    this.isOver = true;
    return this.end ?? (by === 'SIGKILL' ? { kind: 'signalled', signal: by } : { kind: 'lost' });
  }
}

/** Zombies run nothing, and stay where the first process of a container reaps none. */
function isLeft(group: number): boolean {
  const running = othersInGroup(group, 0, { readdirSync, readFileSync });
  if (running !== undefined) return running.length > 0;
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

/** Does not keep this process alive: a program that not even SIGKILL ends must not. */
function pause(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, LOOK_MS).unref());
}
