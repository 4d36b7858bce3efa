import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import { packedTarball } from './packed-tarball.js';
import { unmarked } from './reader.js';

const run = promisify(execFile);

let folder: string;
let tarball: string;
let replicas: NodeProgram[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nest-add-'));
  tarball = await packedTarball(folder);
}, 120_000);

afterEach(async () => {
  for (const replica of replicas) await replica.kill();
  replicas = [];
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['11', '12'])(
  'when `nest add` runs in a project that `nest new` %s has just made',
  (version) => {
    it('makes an application of which two replicas elect a leader and hand over', async () => {
      const cwd = await newProject(version);
      const npx = (...args: string[]) => run('npx', args, { cwd, env: unmarked() });
      await npx('nest', 'add', 'nestjs-leader-election', '--skip-install');
      await npx('nest', 'build');

      const first = start(cwd, 'the first replica');
      await first.line(/became leader/);
      const second = start(cwd, 'the second replica');
      await second.line(/follows/);
      first.signal('SIGTERM');
      await second.line(/became leader/);
      await first.line(/released the lease/);
      // It released the lease, where it would have been left to expire without the line in main.ts.
      expect(first.lines.map(({ text }) => text).join('\n')).toContain('released the lease');
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
  await run('npx', ['nest', ...scaffold], { cwd: parent, env: unmarked() });

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

function start(cwd: string, name: string): NodeProgram {
  // Lock files of its own, as other projects of this name would compete with it.
  const env = { PORT: '0', TMPDIR: folder };
  const replica = new NodeProgram({ name, program: join(cwd, 'dist/main.js'), env });
  replicas.push(replica);
  return replica;
}
