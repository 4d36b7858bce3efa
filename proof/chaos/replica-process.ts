import { fileURLToPath } from 'node:url';
import type { Lifeline } from '../control-plane/lifeline.js';
import { NodeProgram } from '../fleet/node-program.js';
import type { HistoryRecorder } from './history-recorder.js';
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

export class ReplicaProcess extends NodeProgram {
  /** Undefined until it has started up. */
  identity: string | undefined;
  private wasGranted = false;

  constructor({ settings, env, events, ...launch }: ReplicaLaunch) {
    super({
      ...launch,
      name: settings.name,
      program: PROGRAM,
      env: { ...env, CHAOS_REPLICA: JSON.stringify(settings) },
      hasChannel: true,
      descriptors: DESCRIPTORS,
    });
    void this.exited.then(() => events.ended(this.name));
  }

  get isReady(): boolean {
    return this.identity !== undefined && !this.isEnding;
  }

  /** As far as it has told: a stopped process tells nothing. */
  get leads(): boolean {
    return this.wasGranted && !this.hasExited;
  }

  order(order: ReplicaOrder): void {
    this.send(order);
  }

  protected override received(message: unknown): void {
    const report = message as ReplicaReport;
    if (report.kind === 'ready') this.identity = report.identity;
    else this.wasGranted = report.kind === 'granted';
  }
}
