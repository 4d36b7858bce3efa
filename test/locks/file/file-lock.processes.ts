import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeProgram } from '../../../proof/fleet/node-program.js';
import type { WorkerOrder, WorkerReport } from './file-lock.worker.js';

const PROJECT = process.cwd();

/** Real processes that run the file lock: the library and the worker compiled into a directory of this run. */
export class FileLockProcesses {
  readonly #started: FileLockProcess[] = [];

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
    const program = join(this.build, 'out/test/locks/file/file-lock.worker.js');
    const started = new FileLockProcess({
      name: order.identity,
      program,
      args: [JSON.stringify(order)],
      hasChannel: true,
    });
    this.#started.push(started);
    return started;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#started.splice(0).map((process) => process.kill()));
  }

  async dispose(): Promise<void> {
    await this.killAll();
    await rm(this.build, { recursive: true });
  }
}

export class FileLockProcess extends NodeProgram {
  readonly #reports: WorkerReport[] = [];

  /** The next report; throws if the process ends without one. */
  async report(): Promise<WorkerReport> {
    await this.until('report', () => this.#reports.length > 0 || this.hasExited);
    const report = this.#reports.shift();
    if (report === undefined) throw new Error(`the process ended without a report\n${this.said()}`);
    return report;
  }

  /** What it waits for after its report. */
  goOn(): void {
    this.send('go on');
  }

  /** The exit code, or the signal that ended the process. */
  async ended(): Promise<number | string | undefined> {
    await this.exited;
    return this.outcome;
  }

  protected override received(message: unknown): void {
    this.#reports.push(message as WorkerReport);
  }
}
