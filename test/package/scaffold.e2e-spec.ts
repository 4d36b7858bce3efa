import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const scaffolds = join(root, 'test', 'package', 'scaffolds');

let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scaffolds-'));
  tarball = await packedTarball(folder);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The settings of both are those that `nest new` wrote in November 2026: Jest 30 with ts-jest and CommonJS, Vitest 4 with ESM.
describe.each([
  ['jest-nest-11', 'vitest'],
  ['vitest-nest-12', 'jest'],
])(
  'when the packed tarball is installed in a project as nest new makes it (%s)',
  (name, otherRunner) => {
    it('passes the specs of the project with no setting of its own', async () => {
      const cwd = join(folder, name);
      cpSync(join(scaffolds, name), cwd, { recursive: true });
      cpSync(join(scaffolds, 'specs'), join(cwd, 'src'), {
        recursive: true,
        filter: (file) => !file.endsWith(`.${otherRunner}.spec.ts`),
      });
      await run('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd });
      // Type errors too: ts-jest would report them, and Vitest would not.
      await run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'], {
        cwd,
      });
      const { stdout, stderr } = await run('npm', ['test'], { cwd, env: unmarked() });
      expect(stdout + stderr).toMatch(/Tests:? +1\d passed/);
    }, 300_000);
  },
);

/** Without the flags and marks that this runner gave its own process. */
function unmarked(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, JEST_WORKER_ID: _worker, NODE_ENV: _env, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1' };
}
