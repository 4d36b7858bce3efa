import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkerOrder, WorkerReport } from './file-lock.worker.js';

const PROJECT = process.cwd();

/** Real processes that run the file lock: the library and the worker compiled into a directory of this run. */
export class FileLockProcesses {
  readonly #running = new Set<ChildProcess>();

  private constructor(private readonly build: string) {}

  static async compile(): Promise<FileLockProcesses> {
    const build = await mkdtemp(join(tmpdir(), 'file-lock-build-'));
    await mkdir(join(build, 'out'));
    await symlink(join(PROJECT, 'node_modules'), join(build, 'node_modules'));
    await writeFile(join(build, 'out', 'package.json'), '{ "type": "module" }');
    const configuration = {
      extends: join(PROJECT, 'tsconfig.json'),
      compilerOptions: { rootDir: PROJECT, outDir: join(build, 'out'), types: ['node'] },
      include: [],
      files: [join(PROJECT, 'test/locks/file/file-lock.worker.ts')],
    };
    await writeFile(join(build, 'tsconfig.json'), JSON.stringify(configuration));
    const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', build], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stdout);
    return new FileLockProcesses(build);
  }

  start(order: WorkerOrder): FileLockProcess {
    const worker = join(this.build, 'out/test/locks/file/file-lock.worker.js');
    const child = fork(worker, [JSON.stringify(order)], { execArgv: [] });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return new FileLockProcess(child);
  }

  async killAll(): Promise<void> {
    const exits = [...this.#running].map((child) => once(child, 'exit'));
    for (const child of this.#running) child.kill('SIGKILL');
    await Promise.all(exits);
  }

  async dispose(): Promise<void> {
    await this.killAll();
    await rm(this.build, { recursive: true });
  }
}

export class FileLockProcess {
  readonly #exit: Promise<unknown[]>;
  readonly #reports: WorkerReport[] = [];

  constructor(private readonly child: ChildProcess) {
    this.#exit = once(child, 'exit');
    child.on('message', (report) => this.#reports.push(report as WorkerReport));
  }

  /** The next report; throws if the process ends without one. */
  async report(): Promise<WorkerReport> {
    let hasEnded = false;
    const end = this.#exit.then(() => {
      hasEnded = true;
    });
    while (this.#reports.length === 0) {
      if (hasEnded) throw new Error('the process ended without a report');
      await Promise.race([once(this.child, 'message'), end]);
    }
    return this.#reports.shift()!;
  }

  /** What it waits for after its report. */
  goOn(): void {
    this.child.send('go on');
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The exit code, or the signal that ended the process. */
  async ended(): Promise<number | string> {
    const [code, signal] = (await this.#exit) as [number | null, string | null];
    return code ?? signal ?? 'unknown';
  }
}
