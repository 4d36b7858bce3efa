import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lifeline } from './lifeline.js';

const PROBE_PERIOD_MS = 50;

/** One server that may be started and killed any number of times. */
export class ServerProcess {
  private child: ChildProcess | undefined;
  private ended = Promise.resolve();
  private outcome = 'never started';
  private logOffset = 0;

  constructor(
    private readonly name: string,
    private readonly command: string,
    private readonly logFile: string,
    private readonly lifeline: Lifeline,
  ) {}

  get isRunning(): boolean {
    return this.child !== undefined;
  }

  start(args: readonly string[]): void {
    if (this.child) throw new Error(`${this.name} already runs, as process ${this.child.pid}`);
    const log = openSync(this.logFile, 'a');
    this.logOffset = fstatSync(log).size;
    // A process group of its own: Ctrl+C in the terminal ends the tests, and they end the servers.
    const child = spawn(this.command, args, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.child = child;
    this.ended = this.endOf(child);
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.child) throw new Error(`${this.name} does not run: ${this.outcome}`);
    this.child.kill(signal);
  }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(signal);
    await this.ended;
  }

  /** Polls until the probe reports no obstacle. */
  async waitUntilReady(probe: () => Promise<string | undefined>, limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      if (!this.child) throw this.failure(`ended before it was ready (${this.outcome})`);
      const obstacle = await probe();
      if (obstacle === undefined) return;
      if (performance.now() > deadline) {
        throw this.failure(`is not ready after ${limitMs} ms (${obstacle})`);
      }
      await delay(PROBE_PERIOD_MS);
    }
  }

  private endOf(child: ChildProcess): Promise<void> {
    const { pid } = child;
    return new Promise((resolve) => {
      const end = (outcome: string): void => {
        this.child = undefined;
        this.outcome = outcome;
        resolve();
      };
      if (pid === undefined) {
        child.once('error', (error) => end(error.message));
        return;
      }
      this.lifeline.add(pid);
      child.once('exit', (code, signal) => {
        this.lifeline.remove(pid);
        end(signal ?? `exit code ${code}`);
      });
    });
  }

  private failure(what: string): Error {
    const log = readFileSync(this.logFile).subarray(this.logOffset).toString('utf8');
    const tail = log.trimEnd().split('\n').slice(-20).join('\n');
    return new Error(`${this.name} ${what}; the end of its log:\n${tail}`);
  }
}
