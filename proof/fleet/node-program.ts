import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Lifeline } from '../control-plane/lifeline.js';
import { lookForSecrets } from '../control-plane/printed-secrets.js';
import { monotonicMs } from './monotonic-clock.js';
import { faultOfEnd } from './process-end.js';

const ENDING = ['SIGTERM', 'SIGINT', 'SIGKILL'];

export interface Launch {
  readonly name: string;
  /** A compiled file for Node.js, or with `isNative` a program of its own. */
  readonly program: string;
  readonly isNative?: boolean;
  readonly args?: readonly string[];
  /** Beside PATH and HOME: a program has no other part of this process's environment. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Receives what it prints; without one, its lines are read. */
  readonly logFile?: string;
  /** It can send messages, and be sent some. */
  readonly hasChannel?: boolean;
  /**
   * Ends the program when this process ends in whatever way. Ctrl+C in the terminal is then for this process alone,
   * which ends its programs itself.
   */
  readonly lifeline?: Lifeline;
  /** How many descriptors it may have open, so that all can be used up. */
  readonly descriptors?: number;
}

/** What it printed, with the instant at which that was read. */
export interface PrintedLine {
  readonly at: number;
  readonly text: string;
}

/** One process, of Node.js if not said otherwise, from its start to its end. Instants are milliseconds of the monotonic clock. */
export class NodeProgram {
  readonly name: string;
  readonly pid: number;
  readonly lines: PrintedLine[] = [];
  readonly exited: Promise<void>;
  hasExited = false;
  /** The exit code, or the signal that it ended by. */
  outcome: number | string | undefined;
  /** How it ended, if not as it was told to. */
  crash: string | undefined;
  private readonly child: ChildProcess;
  private readonly told: string[] = [];
  private readonly waiting = new Set<() => void>();

  constructor(launch: Launch) {
    this.name = launch.name;
    this.child = start(launch);
    this.pid = this.child.pid!;
    launch.lifeline?.add(this.pid);
    for (const input of [this.child.stdout, this.child.stderr]) {
      if (input !== null) createInterface({ input }).on('line', (text) => this.read(text));
    }
    this.child.on('message', (message) => {
      this.received(message);
      this.wake();
    });
    // An order to a process that has just died is an order too late.
    this.child.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        launch.lifeline?.remove(this.pid);
        this.end(code, signal);
        resolve();
      });
    });
  }

  /** It was told to end, or has ended. */
  get isEnding(): boolean {
    return this.told.length > 0 || this.hasExited;
  }

  /** Answers when. */
  signal(signal: NodeJS.Signals): number {
    const at = monotonicMs();
    if (this.hasExited) return at;
    if (ENDING.includes(signal)) this.told.push(signal);
    this.child.kill(signal);
    return at;
  }

  send(message: object | string): void {
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Waits for what it prints, sends or does at its end. Rejects with all that it has said if that does not come. */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    const giveUpAt = monotonicMs() + withinMs;
    while (!holds()) {
      const remainingMs = giveUpAt - monotonicMs();
      if (remainingMs <= 0) {
        throw new Error(`${this.name}: no ${what} in ${withinMs} ms\n${this.said()}`);
      }
      await this.news(remainingMs);
    }
  }

  /** The first line of that form, at or after an instant. */
  async line(
    pattern: RegExp,
    { since = 0, withinMs }: { since?: number; withinMs?: number } = {},
  ): Promise<PrintedLine & { match: RegExpExecArray }> {
    const find = (): PrintedLine | undefined =>
      this.lines.find(({ at, text }) => at >= since && pattern.test(text));
    await this.until(String(pattern), () => find() !== undefined, withinMs);
    const found = find()!;
    return { ...found, match: pattern.exec(found.text)! };
  }

  /** The end of all that it has printed, for the message of a failure. */
  said(): string {
    return this.lines
      .slice(-40)
      .map(({ text }) => text)
      .join('\n');
  }

  protected received(_message: unknown): void {}

  protected heard(_line: string): void {}

  private read(text: string): void {
    this.lines.push({ at: monotonicMs(), text });
    lookForSecrets(this.name, text);
    this.heard(text);
    this.wake();
  }

  private end(code: number | null, signal: string | null): void {
    this.hasExited = true;
    this.outcome = code ?? signal ?? undefined;
    const fault = faultOfEnd({ code, signal, told: this.told });
    if (fault !== undefined) this.crash = `${this.name} ${fault}`;
    this.wake();
  }

  private news(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.waiting.add(done);
    });
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
  }
}

function start(launch: Launch): ChildProcess {
  const { program, isNative, args = [], logFile, hasChannel, lifeline, descriptors } = launch;
  const log = logFile === undefined ? undefined : openSync(logFile, 'a');
  const output = log ?? 'pipe';
  const stdio: StdioOptions = ['ignore', output, output];
  if (hasChannel) stdio.push('ipc');
  const { PATH, HOME } = process.env;
  const command = [...(isNative ? [] : [process.execPath]), program, ...args];
  // Imports at the start take hundreds of descriptors at once.
  if (descriptors !== undefined)
    command.unshift('sh', '-c', `ulimit -n ${descriptors} && exec "$0" "$@"`);
  try {
    return spawn(command[0]!, command.slice(1), {
      detached: lifeline !== undefined,
      stdio,
      env: { PATH, HOME, NO_COLOR: '1', ...launch.env },
    });
  } finally {
    if (log !== undefined) closeSync(log);
  }
}
