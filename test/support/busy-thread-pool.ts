import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** libuv's default is four threads; more than the pool has do no harm. */
const THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);

/**
 * Runs a task while every thread of libuv's pool is taken: each waits for somebody to write to a named pipe, as long
 * as the task takes. Whatever in the task needs the pool never ends.
 */
export async function withBusyThreadPool<T>(task: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'busy-pool-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const readers = Array.from({ length: THREADS }, () => open(pipe, 'r'));
  try {
    return await task();
  } finally {
    const writer = openSync(pipe, constants.O_RDWR);
    for (const reader of await Promise.all(readers)) await reader.close();
    closeSync(writer);
    rmSync(folder, { recursive: true });
  }
}
