import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Lifeline } from '../control-plane/lifeline.js';
import type { FaultProxy } from '../fault-proxy/fault-proxy.js';
import { TickHistoryFile } from './tick-history-file.js';
import type { TickReplicaSettings } from './tick-replica-settings.js';

const PROGRAM = fileURLToPath(new URL('./tick-replica.js', import.meta.url));

export interface TickReplicaLaunch {
  readonly settings: TickReplicaSettings;
  readonly logFile: string;
  readonly lifeline: Lifeline;
  readonly proxy: FaultProxy | undefined;
}

/** One process, from its start to its end. */
export class TickReplicaProcess {
  readonly name: string;
  readonly history: TickHistoryFile;
  /** Its own way to the API server; undefined on the file lock. */
  readonly proxy: FaultProxy | undefined;
  readonly exited: Promise<void>;
  hasExited = false;
  /** How it ended, if not in the way it was told to. */
  crash: string | undefined;
  private readonly child: ChildProcess;
  private told: 'SIGTERM' | 'SIGKILL' | undefined;

  constructor({ settings, logFile, lifeline, proxy }: TickReplicaLaunch) {
    this.name = settings.name;
    this.proxy = proxy;
    this.history = new TickHistoryFile(settings.historyFile);
    const log = openSync(logFile, 'a');
    this.child = spawn(process.execPath, [PROGRAM], {
      // Ctrl+C in the terminal is for the run, which ends its replicas itself.
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NO_COLOR: '1',
        TICK_REPLICA: JSON.stringify(settings),
      },
    });
    closeSync(log);
    const pid = this.child.pid!;
    lifeline.add(pid);
    this.exited = once(this.child, 'exit').then(([code, signal]) => {
      lifeline.remove(pid);
      this.hasExited = true;
      // Nest ends by the signal that it was sent, once its hooks have run.
      const isAsTold =
        signal === null ? this.told === 'SIGTERM' && code === 0 : signal === this.told;
      if (isAsTold) return;
      const order = this.told === undefined ? 'by itself' : `upon ${this.told}`;
      this.crash = `${this.name} ended ${order}: ${signal ?? `code ${code}`}`;
    });
  }

  end(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.hasExited) return;
    this.told = signal;
    this.child.kill(signal);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal);
  }
}
