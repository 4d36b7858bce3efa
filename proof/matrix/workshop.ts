import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Where things are installed and built: each once, however many combinations need it. */
export class Workshop {
  private readonly made = new Map<string, Promise<unknown>>();

  constructor(
    private readonly folder: string,
    /** The packed library. */
    readonly tarball: string,
    /** The sub-paths of the package, as an application imports them. */
    readonly entries: readonly string[],
  ) {}

  once<T>(key: string, make: () => Promise<T>): Promise<T> {
    const making = (this.made.get(key) as Promise<T> | undefined) ?? make();
    this.made.set(key, making);
    return making;
  }

  /** A folder with these packages, as npm installs them for a user: nothing of this repository reaches it. */
  install(name: string, packages: readonly string[]): Promise<string> {
    return this.once(`install ${name}`, async () => {
      const cwd = join(this.folder, name);
      mkdirSync(cwd);
      writeFileSync(join(cwd, 'package.json'), '{"private":true}');
      await run('npm', ['install', '--no-audit', '--no-fund', ...packages], cwd);
      return cwd;
    });
  }
}

/** What the program printed. @throws with all of it, if it fails */
export async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await execute(program, [...args], { cwd, maxBuffer: 64 << 20 });
    return stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout: string; stderr: string } & Error;
    throw new Error(`${message}\n${stdout}\n${stderr}`, { cause: error });
  }
}

export function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}
