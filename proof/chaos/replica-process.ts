import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Lifeline } from '../control-plane/lifeline.js';
import type { HistoryRecorder } from './history-recorder.js';
import { faultOfEnd } from './process-end.js';
import type { ReplicaOrder, ReplicaReport, ReplicaSettings } from './replica-settings.js';

const DESCRIPTORS = 4_096;
const PROGRAM = fileURLToPath(new URL('./replica.js', import.meta.url));

export interface ReplicaLaunch {
  readonly settings: ReplicaSettings;
  readonly logFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly lifeline: Lifeline;
  /** Of the run. */
  readonly events: HistoryRecorder;
}

/** One process, from its start to its end. */
export class ReplicaProcess {
  readonly name: string;
  readonly exited: Promise<void>;
  /** Undefined until it has started up. */
  identity: string | undefined;
  /** As far as it has told: a stopped process tells nothing. */
  leads = false;
  hasExited = false;
  /** What it died of, if not of what it was told. */
  crash: string | undefined;
  private readonly child: ChildProcess;
  private isEnding = false;

  constructor({ settings, logFile, env, lifeline, events }: ReplicaLaunch) {
    this.name = settings.name;
    const log = openSync(logFile, 'a');
    // A limit, so that all can be used up. Imports at the start take hundreds at once.
    const limited = `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`;
    this.child = spawn('sh', ['-c', limited, process.execPath, PROGRAM], {
      // Ctrl+C in the terminal is for the chaos, which ends its replicas itself.
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NO_COLOR: '1',
        ...env,
        CHAOS_REPLICA: JSON.stringify(settings),
      },
    });
    closeSync(log);
    lifeline.add(this.pid);
    this.child.on('message', (report: ReplicaReport) => this.heard(report));
    // An order to a process that has just died is an order too late.
    this.child.on('error', () => undefined);
    this.exited = once(this.child, 'exit').then((end) => {
      const [code, signal] = end as [number | null, string | null];
      lifeline.remove(this.pid);
      events.ended(this.name);
      this.hasExited = true;
      this.leads = false;
      const fault = faultOfEnd({ code, signal, wasTold: this.isEnding });
      if (fault !== undefined) this.crash = `${this.name} ${fault}`;
    });
  }

  get isReady(): boolean {
    return this.identity !== undefined && !this.isEnding && !this.hasExited;
  }

  order(order: ReplicaOrder): void {
    if (this.child.connected) this.child.send(order, () => undefined);
  }

  end(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.isEnding = true;
    this.child.kill(signal);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal);
  }

  private get pid(): number {
    return this.child.pid!;
  }

  private heard(report: ReplicaReport): void {
    if (report.kind === 'ready') this.identity = report.identity;
    else this.leads = report.kind === 'granted';
  }
}
