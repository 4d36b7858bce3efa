import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export type ModuleSystem = 'module' | 'commonjs';

export const OURS = 'nestjs-leader-election';

/** What npm would put there of a checkout. */
const PUBLISHED = ['package.json', 'dist', 'dist-commonjs'];

/**
 * A folder in which this library is installed as users have it: its built files, found by the map of exports. Everything
 * else is what this repository has installed, also for the build of another checkout, so that there is one NestJS.
 */
export class Packages {
  private readonly folder = mkdtempSync(join(tmpdir(), 'process-cost-'));

  constructor(readonly checkout: string) {
    const own = join(this.folder, 'node_modules');
    for (const name of PUBLISHED) {
      const from = resolve(checkout, name);
      if (!existsSync(from)) throw new Error(`${from} is missing: build that checkout first.`);
      cpSync(from, join(own, OURS, name), { recursive: true });
    }
    const installed = dirname(dirname(createRequire(import.meta.url).resolve('rxjs/package.json')));
    for (const name of readdirSync(installed)) {
      if (name !== OURS && !name.startsWith('.'))
        symlinkSync(join(installed, name), join(own, name));
    }
    // With the same content in each, and a name of its own for who reads a profile.
    writeFileSync(this.loader('module'), 'export const load = (name) => import(name);\n');
    writeFileSync(this.loader('commonjs'), 'exports.load = async (name) => require(name);\n');
    writeFileSync(this.nothing('module'), '');
    writeFileSync(this.nothing('commonjs'), '');
  }

  /** A file that exports `load(name)`, which loads a package as modules of that kind do. */
  loader(system: ModuleSystem): string {
    return join(this.folder, system === 'module' ? 'load.mjs' : 'load.cjs');
  }

  /** A module with nothing in it. */
  nothing(system: ModuleSystem): string {
    return join(this.folder, system === 'module' ? 'nothing.mjs' : 'nothing.cjs');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
