import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { publint } from 'publint';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

const ENTRIES = [
  'contracts',
  'core',
  'dashboard',
  'health',
  'index',
  'metrics',
  'schedule',
  'testing',
  'tracing',
];
/** What entries share, with types; and what has no public types: the records of jobs, what competes, and what is loaded with a lock or an option. */
const SHARED = ['kit', 'nest', 'shared'];
const UNTYPED = ['election', 'files', 'jobs', 'kubeconfig', 'kubernetes', 'optional', 'role'];

/** Every file of the package: what is not here is not published, and what is here is needed. */
const FILES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  // One page for coding assistants, which read what is installed, and a list of the others.
  'docs/for-coding-assistants.md',
  'llms.txt',
  'package.json',
  'monitoring/alerts.yaml',
  'monitoring/grafana-dashboard.json',
  'dist/cli/main.js',
  'dist/cli/main.js.map',
  // What `nest add` runs.
  'dist/schematics/collection.json',
  'dist/schematics/nest-add.cjs',
  'dist/schematics/schema.json',
  // What the program and the dashboard share.
  'dist/fleet.js',
  'dist/fleet.js.map',
  // Makes Node.js and TypeScript read the folder as CommonJS.
  'dist-commonjs/package.json',
  ...['dist', 'dist-commonjs'].flatMap((dir) => [
    ...[...ENTRIES, ...SHARED, ...UNTYPED].flatMap((name) => [
      `${dir}/${name}.js`,
      `${dir}/${name}.js.map`,
    ]),
    ...[...ENTRIES, ...SHARED].map((name) => `${dir}/${name}.d.ts`),
  ]),
];

/**
 * Some 5 % above what it is. A feature may raise them; see first what it costs, and whether all of it is needed.
 * Of an entry counts what Node.js loads with it, each file gzipped.
 */
const KILOBYTES = {
  packed: 1_050,
  unpacked: 5_185,
  contracts: 78,
  core: 65,
  dashboard: 163,
  health: 92,
  index: 94,
  metrics: 66,
  schedule: 154,
  testing: 99,
  tracing: 63,
};

let folder: string;
let tarball: string;
let unpacked: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tarball-'));
  tarball = await packedTarball(folder);
  await run('tar', ['-xzf', tarball, '-C', folder]);
  unpacked = join(folder, 'package');
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function text(file: string): string {
  return readFileSync(join(unpacked, file), 'utf8');
}

/** The file and all of the package's own that loading it loads at once. */
function loadedBy(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const names = text(file).matchAll(/^(?:import|export)\b[^'"]*['"]\.\/([^'"]+)['"]/gm);
  for (const [, name] of names) loadedBy(`dist/${name!}`, loaded);
  return loaded;
}

function sizes(): Record<string, number> {
  const gzipped = (file: string) => gzipSync(text(file), { level: 9 }).length;
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    packed: readFileSync(tarball).length,
    unpacked: sum(FILES.map((file) => Buffer.byteLength(text(file)))),
    ...Object.fromEntries(
      ENTRIES.map((name) => [name, sum([...loadedBy(`dist/${name}.js`)].map(gzipped))]),
    ),
  };
}

describe('when the package is packed', () => {
  it('contains these files and no others', () => {
    const found = readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(unpacked.length + 1));
    expect(found.toSorted()).toEqual(FILES.toSorted());
  });

  it('is no larger than it needs to be', () => {
    const measured = Object.entries(sizes());
    console.log(
      measured.map(([name, bytes]) => `${name}: ${(bytes / 1_000).toFixed(1)} kB`).join('\n'),
    );
    const larger = measured.filter(
      ([name, bytes]) => bytes > KILOBYTES[name as keyof typeof KILOBYTES] * 1_000,
    );
    expect(Object.fromEntries(larger)).toEqual({});
  });

  it('has an exports map in which publint finds no fault', async () => {
    const { buffer, byteOffset, byteLength } = readFileSync(tarball);
    const content = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    const { messages } = await publint({ pack: { tarball: content }, strict: true });
    expect(messages).toEqual([]);
  });

  it('gives each entry types that fit its code, by every way in which TypeScript resolves it', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    if (result.types === false) throw new Error('no types were found');
    expect(Object.keys(result.entrypoints).toSorted()).toEqual(
      ['.', './package.json', ...ENTRIES.map((name) => `./${name}`)]
        .filter((entry) => entry !== './index')
        .toSorted(),
    );
    expect(result.problems).toEqual([]);
  });

  it.each(['import', 'require'])(
    'leads from a stack to the file and the line of the source (%s)',
    async (kind) => {
      const modules = join(folder, kind, 'node_modules');
      mkdirSync(modules, { recursive: true });
      cpSync(unpacked, join(modules, 'nestjs-leader-election'), { recursive: true });
      for (const peer of ['@nestjs', 'rxjs', 'reflect-metadata', 'tslib'])
        symlinkSync(join(root, 'node_modules', peer), join(modules, peer));
      const load =
        kind === 'import'
          ? `await import('nestjs-leader-election')`
          : // The CommonJS build, which Jest loads: Node.js itself would take the ES module.
            `createRequire(import.meta.url)('./node_modules/nestjs-leader-election/dist-commonjs/index.js')`;
      const program = `
        import { createRequire } from 'node:module';
        try {
          (${load}).OnGranted(7);
        } catch (error) {
          console.log(error.stack);
        }
      `;
      const args = ['--enable-source-maps', '--input-type=module', '-e', program];
      const { stdout } = await run(process.execPath, args, { cwd: join(folder, kind) });
      const place = /nestjs-leader-election\/(lib\/[\w/.-]+\.ts):(\d+)/.exec(stdout);
      const [, file, line] = place ?? [stdout, stdout];
      const source = readFileSync(join(root, file!), 'utf8').split('\n');
      expect(source[Number(line) - 1]).toContain('new LeaderElectionOptionsError');
    },
  );
});

describe('when the package is packed in another folder, at another time, by another user', () => {
  it('has the same bytes', async () => {
    const copy = join(folder, 'a', 'copy of it');
    mkdirSync(copy, { recursive: true });
    for (const part of new Set(FILES.map((file) => file.split('/')[0]!)))
      cpSync(join(root, part), join(copy, part), { recursive: true });
    cpSync(join(root, 'prepack.js'), join(copy, 'prepack.js'));
    for (const file of FILES) {
      chmodSync(join(copy, file), 0o600);
      utimesSync(join(copy, file), 1_000_000_000, 1_000_000_000);
    }
    const options = { cwd: copy, env: { ...process.env, TZ: 'Asia/Tokyo', LC_ALL: 'C' } };
    await run('sh', ['-c', 'umask 077; node prepack.js && npm pack --ignore-scripts'], options);
    const again = readFileSync(join(copy, tarball.slice(folder.length + 1)));
    expect(again.equals(readFileSync(tarball))).toBe(true);
  });
});
