import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);

let folder: string;
let tarball: string;
let replicas: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nest-add-'));
  tarball = await packedTarball(folder);
}, 120_000);

afterEach(async () => {
  for (const replica of replicas) if (replica.exitCode === null) replica.kill('SIGKILL');
  replicas = [];
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['11', '12'])(
  'when `nest add` runs in a project that `nest new` %s has just made',
  (version) => {
    it('makes an application of which two replicas elect a leader and hand over', async () => {
      const cwd = await newProject(version);
      const npx = (...args: string[]) => run('npx', args, { cwd, env: environment() });
      await npx('nest', 'add', 'nestjs-leader-election', '--skip-install');
      await npx('nest', 'build');

      const first = start(cwd);
      await first.says('became leader');
      const second = start(cwd);
      await second.says('follows');
      first.process.kill('SIGTERM');
      await second.says('became leader');
      // It released the lease, where it would have been left to expire without the line in main.ts.
      expect(first.lines.join('\n')).toContain('released the lease');
    }, 300_000);
  },
);

/** As `nest new` makes it, without the tools that it does not need here. */
async function newProject(version: string): Promise<string> {
  const parent = mkdtempSync(join(folder, `cli-${version}-`));
  writeFileSync(join(parent, 'package.json'), '{ "private": true }');
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', [...install, `@nestjs/cli@${version}`], { cwd: parent });
  const scaffold = ['new', 'plans', '--skip-git', '--skip-install', '--package-manager', 'npm'];
  await run('npx', ['nest', ...scaffold], { cwd: parent, env: environment() });

  const cwd = join(parent, 'plans');
  const file = join(cwd, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const needed = Object.entries(manifest.devDependencies).filter(([name]) =>
    /^(@nestjs\/(cli|schematics)|@types\/.*|typescript|vitest)$/.test(name),
  );
  writeFileSync(file, JSON.stringify({ ...manifest, devDependencies: Object.fromEntries(needed) }));
  await run('npm', [...install, tarball], { cwd });
  return cwd;
}

interface Replica {
  readonly process: ChildProcess;
  readonly lines: string[];
  says(text: string): Promise<void>;
}

function start(cwd: string): Replica {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  // Lock files of its own, as other projects of this name would compete with it.
  const env = { ...environment(), PORT: '0', TMPDIR: folder, NODE_ENV: 'development' };
  const replica = spawn(process.execPath, ['dist/main.js'], { cwd, env, stdio: [...stdio] });
  replicas.push(replica);
  const lines: string[] = [];
  const output = createInterface({ input: replica.stdout! });
  output.on('line', (line) => lines.push(line));
  const ended = once(replica, 'exit').then(([status]) => {
    throw new Error(`it ended with ${status} and said\n${lines.join('\n')}`);
  });
  ended.catch(() => {}); // it may end when nothing more is awaited of it
  const says = async (text: string): Promise<void> => {
    while (!lines.some((line) => line.includes(text))) {
      await Promise.race([once(output, 'line'), ended]);
    }
  };
  return { process: replica, lines, says };
}

/** Without the flags and marks that this runner gave its own process. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, JEST_WORKER_ID: _worker, NODE_ENV: _env, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1' };
}
