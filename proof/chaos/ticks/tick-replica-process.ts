import { fileURLToPath } from 'node:url';
import type { Lifeline } from '../../control-plane/lifeline.js';
import { NodeProgram } from '../../fleet/node-program.js';
import { TickHistoryFile } from './tick-history-file.js';
import type { TickReplicaSettings } from './tick-replica-settings.js';

const PROGRAM = fileURLToPath(new URL('./tick-replica.js', import.meta.url));

export interface TickReplicaLaunch {
  readonly settings: TickReplicaSettings;
  readonly logFile: string;
  readonly lifeline: Lifeline;
}

export class TickReplicaProcess extends NodeProgram {
  readonly history: TickHistoryFile;

  constructor({ settings, ...launch }: TickReplicaLaunch) {
    super({
      ...launch,
      name: settings.name,
      program: PROGRAM,
      hasChannel: true,
      env: { TICK_REPLICA: JSON.stringify(settings) },
    });
    this.history = new TickHistoryFile(settings.historyFile);
  }

  get isReady(): boolean {
    return !this.isEnding && this.history.look().isReady;
  }

  /** As far as it has told: a stopped process tells nothing. */
  get leads(): boolean {
    return !this.hasExited && this.history.look().leads;
  }
}
