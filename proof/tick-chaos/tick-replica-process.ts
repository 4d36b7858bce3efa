import { fileURLToPath } from 'node:url';
import type { Lifeline } from '../control-plane/lifeline.js';
import type { FaultProxy } from '../fault-proxy/fault-proxy.js';
import { NodeProgram } from '../fleet/node-program.js';
import { TickHistoryFile } from './tick-history-file.js';
import type { TickReplicaSettings } from './tick-replica-settings.js';

const PROGRAM = fileURLToPath(new URL('./tick-replica.js', import.meta.url));

export interface TickReplicaLaunch {
  readonly settings: TickReplicaSettings;
  readonly logFile: string;
  readonly lifeline: Lifeline;
  readonly proxy: FaultProxy | undefined;
}

export class TickReplicaProcess extends NodeProgram {
  readonly history: TickHistoryFile;
  /** Its own way to the API server; undefined on the file lock. */
  readonly proxy: FaultProxy | undefined;

  constructor({ settings, proxy, ...launch }: TickReplicaLaunch) {
    super({
      ...launch,
      name: settings.name,
      program: PROGRAM,
      env: { TICK_REPLICA: JSON.stringify(settings) },
    });
    this.proxy = proxy;
    this.history = new TickHistoryFile(settings.historyFile);
  }

  /** As far as it has told: a stopped process tells nothing. */
  get leads(): boolean {
    return !this.hasExited && this.history.look().leads;
  }
}
