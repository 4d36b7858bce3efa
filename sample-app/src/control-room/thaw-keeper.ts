import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * `read` ends when the last writer of the pipe is gone, which the kernel sees to however this program dies, also by kill -9. A
 * process that runs is not touched by SIGCONT, so one that has a pid of an earlier replica does not notice.
 */
const SCRIPT = `
pids=
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || kill -CONT $pids`;

/**
 * Thaws every replica when this program ends. A replica ends itself when it has lost its parent, but one that is frozen would
 * notice that at no time, and stay.
 */
export class ThawKeeper {
  private readonly keeper: ChildProcess;
  private readonly pipe: Socket;

  constructor() {
    this.keeper = spawn('sh', ['-c', SCRIPT], {
      // Ctrl+C is for this program alone.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without a shell there is no keeper.
    this.keeper.on('error', () => undefined);
    this.keeper.unref();
    this.pipe = this.keeper.stdin as Socket;
    this.pipe.on('error', () => undefined);
    this.pipe.unref();
  }

  keep(pid: number | undefined): void {
    if (pid !== undefined) this.pipe.write(`${pid}\n`);
  }
}
