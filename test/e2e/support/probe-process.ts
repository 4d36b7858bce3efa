import { fileURLToPath } from 'node:url';
import { NodeProgram } from '../../../proof/fleet/node-program.js';
import type { ProbeSettings } from './probe-settings.js';

/** What a replica has told, on the monotonic clock that all processes of the machine share. */
export interface ProbeEvent {
  readonly at: number;
  readonly event:
    'ready' | 'granted' | 'revoked' | 'revoked-handled' | 'leader' | 'error' | 'members' | 'traced';
  readonly term?: number;
  readonly token?: string;
  readonly reason?: string;
  readonly leader?: string;
  readonly message?: string;
  readonly identity?: string;
  readonly members?: readonly string[];
  /** What was traced, where something preloaded does. */
  readonly stage?: string;
  /** CPU time of the process by then. */
  readonly cpuMs?: number;
}

const PROGRAM = fileURLToPath(
  new URL('../../../.tools/test/e2e/support/probe-replica.js', import.meta.url),
);

/** One replica process under test. */
export class ProbeProcess extends NodeProgram {
  readonly events: ProbeEvent[] = [];
  /** Everything else that it printed: the log a user would read. */
  readonly log: string[] = [];

  constructor(name: string, settings: ProbeSettings, env?: NodeJS.ProcessEnv, program = PROGRAM) {
    super({
      name,
      program,
      env: { ...env, PROBE_SETTINGS: JSON.stringify(settings) },
    });
  }

  get isReady(): boolean {
    return !this.isEnding && this.events.some(({ event }) => event === 'ready');
  }

  /** True from its last grant until a revocation or its end. */
  get leads(): boolean {
    const last = this.events.findLast(({ event }) => event === 'granted' || event === 'revoked');
    return !this.hasExited && last?.event === 'granted';
  }

  /** The first event of a kind that it told at or after an instant. */
  async event(
    kind: ProbeEvent['event'],
    { since = 0, withinMs }: { since?: number; withinMs?: number } = {},
  ): Promise<ProbeEvent> {
    const wanted = (): ProbeEvent | undefined =>
      this.events.find(({ event, at }) => event === kind && at >= since);
    await this.until(`"${kind}"`, () => wanted() !== undefined, withinMs);
    return wanted()!;
  }

  protected override heard(line: string): void {
    if (line.startsWith('{"at":')) this.events.push(JSON.parse(line) as ProbeEvent);
    else this.log.push(line);
  }
}
