import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SIZE_KB = 512;

/** Unmounts when the pipe's last writer is gone, however this process ends. */
const GUARDIAN = 'while read -r line; do :; done; umount -l "$1"; rmdir "$1"';

/** A file system of its own that can be full. */
export class SmallDisk {
  /** Undefined where this user may not mount one. */
  static mount(): SmallDisk | undefined {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
    const path = mkdtempSync(join(tmpdir(), 'chaos-disk-'));
    const options = ['-t', 'tmpfs', '-o', `size=${SIZE_KB}k`, 'tmpfs', path];
    if (spawnSync('mount', options, { stdio: 'ignore' }).status === 0) return new SmallDisk(path);
    rmdirSync(path);
    return undefined;
  }

  private readonly guardian: ChildProcess;

  private constructor(readonly path: string) {
    this.guardian = spawn('sh', ['-c', GUARDIAN, 'small-disk', path], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.guardian.unref();
  }

  fill(): void {
    try {
      for (let part = 0; ; part += 1) writeFileSync(this.filler(part), Buffer.alloc(4_096));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  free(): void {
    for (let part = 0; part <= SIZE_KB / 4; part += 1) rmSync(this.filler(part), { force: true });
  }

  async unmount(): Promise<void> {
    this.guardian.ref();
    this.guardian.stdin!.end();
    await once(this.guardian, 'exit');
  }

  private filler(part: number): string {
    return join(this.path, `filler-${part}`);
  }
}
