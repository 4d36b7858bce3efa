import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

interface NodeOptions {
  readonly flags?: readonly string[];
  /** The binary. */
  readonly node?: string;
}

/** A program that answers each message with one, and ends when it is asked to by `end`. Says `ready` first. */
export class AskedProcess {
  private constructor(private readonly child: ChildProcess) {}

  static async start(
    file: string,
    args: readonly string[],
    { flags = [], node = process.execPath }: NodeOptions = {},
  ): Promise<AskedProcess> {
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
    const child = fork(file, [...args], {
      stdio: [...stdio],
      execArgv: [...flags],
      execPath: node,
    });
    const asked = new AskedProcess(child);
    await asked.answer();
    return asked;
  }

  async ask<Answer>(message: string): Promise<Answer> {
    this.child.send(message);
    return (await this.answer()) as Answer;
  }

  async end(): Promise<void> {
    if (!this.child.connected) return;
    const exit = once(this.child, 'exit');
    this.child.send('end');
    await exit;
  }

  private async answer(): Promise<unknown> {
    const ended = new AbortController();
    const { signal } = ended;
    const exit = once(this.child, 'exit', { signal }).then(([code]) => {
      throw new Error(`${this.child.spawnargs.join(' ')} has ended with ${String(code)}`);
    });
    exit.catch(() => {});
    try {
      const [message] = (await Promise.race([once(this.child, 'message', { signal }), exit])) as [
        unknown,
      ];
      return message;
    } finally {
      ended.abort();
    }
  }
}

/** The other side of an {@link AskedProcess}. */
export function answerMessages(
  answer: (message: string) => unknown,
  end: () => Promise<void>,
): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    if (message === 'end') void end().then(() => process.disconnect());
    else void Promise.resolve(answer(message as string)).then((told) => process.send!(told));
  });
  process.send!('ready');
}
