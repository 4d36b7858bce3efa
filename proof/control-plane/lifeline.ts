import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * `read` ends when the last writer of the pipe is gone, which the kernel sees to however this
 * process dies: by an exit, a signal, or SIGKILL, where no handler of ours would run.
 */
const SCRIPT = `
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && exit 0; sleep 0.1; done
exit 1`;

/** Ends server processes and removes their directory when this process ends, in whatever way. */
export class Lifeline {
  private readonly guardian: ChildProcess;
  private readonly pipe: Socket;
  private readonly pids = new Set<number>();

  constructor(private readonly directory: string) {
    this.guardian = spawn('sh', ['-c', SCRIPT, 'lifeline', directory], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.pipe = this.guardian.stdin as Socket;
    this.guardian.unref();
    this.pipe.unref();
  }

  add(pid: number): void {
    this.pids.add(pid);
    this.announce();
  }

  remove(pid: number): void {
    this.pids.delete(pid);
    this.announce();
  }

  async release(): Promise<void> {
    if (this.pipe.writableEnded) return;
    this.guardian.ref();
    this.pipe.end();
    const [code] = await once(this.guardian, 'exit');
    if (code !== 0) throw new Error(`could not remove ${this.directory}: remove it by hand`);
  }

  private announce(): void {
    if (!this.pipe.writableEnded) this.pipe.write(`${[...this.pids].join(' ')}\n`);
  }
}
