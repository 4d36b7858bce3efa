import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import type { ProbeSettings } from './probe-settings.js';

/** What a replica has told, on the monotonic clock that all processes of the machine share. */
export interface ProbeEvent {
  readonly at: number;
  readonly event: 'ready' | 'granted' | 'revoked' | 'revoked-handled' | 'leader' | 'error';
  readonly term?: number;
  readonly token?: string;
  readonly reason?: string;
  readonly leader?: string;
  readonly message?: string;
  readonly identity?: string;
}

const PROGRAM = fileURLToPath(
  new URL('../../../.tools/test/e2e/support/probe-replica.js', import.meta.url),
);

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One replica process under test. */
export class ProbeProcess {
  readonly events: ProbeEvent[] = [];
  /** Everything else that it printed: the log a user would read. */
  readonly log: string[] = [];
  readonly exited: Promise<void>;
  hasExited = false;
  private readonly child: ChildProcess;
  private readonly waiting = new Set<() => void>();

  constructor(
    readonly name: string,
    settings: ProbeSettings,
    env: NodeJS.ProcessEnv = {},
  ) {
    this.child = spawn(process.execPath, [PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NO_COLOR: '1',
        ...env,
        PROBE_SETTINGS: JSON.stringify(settings),
      },
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.read(line));
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.log.push(line));
    this.exited = once(this.child, 'exit').then(() => {
      this.hasExited = true;
      this.wake();
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** True from its last grant until a revocation or its end. */
  get leads(): boolean {
    const last = this.events.findLast(({ event }) => event === 'granted' || event === 'revoked');
    return !this.hasExited && last?.event === 'granted';
  }

  /** The first event of a kind that it told at or after an instant. */
  async event(
    kind: ProbeEvent['event'],
    { since = 0, withinMs = 60_000 }: { since?: number; withinMs?: number } = {},
  ): Promise<ProbeEvent> {
    const wanted = (): ProbeEvent | undefined =>
      this.events.find(({ event, at }) => event === kind && at >= since);
    await this.until(() => wanted() !== undefined, withinMs, `"${kind}"`);
    return wanted()!;
  }

  async until(holds: () => boolean, withinMs: number, what: string): Promise<void> {
    const giveUpAt = monotonicMs() + withinMs;
    while (!holds()) {
      const remaining = giveUpAt - monotonicMs();
      if (remaining <= 0)
        throw new Error(`${this.name}: no ${what} in ${withinMs} ms\n${this.told()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, remaining);
        const waiting = this.waiting;
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    }
  }

  signal(name: NodeJS.Signals): number {
    const at = monotonicMs();
    this.child.kill(name);
    return at;
  }

  async kill(): Promise<void> {
    if (this.hasExited) return;
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Everything it has said, for the message of a failed expectation. */
  told(): string {
    return [...this.log, ...this.events.map((event) => JSON.stringify(event))]
      .slice(-40)
      .join('\n');
  }

  private read(line: string): void {
    if (line.startsWith('{"at":')) this.events.push(JSON.parse(line) as ProbeEvent);
    else this.log.push(line);
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
  }
}
