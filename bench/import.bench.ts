/**
 * What loading the package costs an application that has loaded NestJS: CPU time of all threads, in fresh processes, as
 * an ES module and as CommonJS, beside a file with nothing in it. `--root` measures another checkout that has been built,
 * in turn with this one. The garbage collector has no threads of its own, as they would clear up after NestJS meanwhile.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const NEST = [
  'reflect-metadata',
  'rxjs',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-express',
];

const { values } = parseArgs({
  options: {
    root: { type: 'string', multiple: true, default: [] },
    processes: { type: 'string', default: '31' },
  },
});

type ModuleSystem = 'module' | 'commonjs';

interface Measured {
  readonly build: string;
  readonly system: ModuleSystem;
  readonly file: string;
  readonly cpuMs: number[];
}

const BUILDS: readonly (readonly [ModuleSystem, string])[] = [
  ['module', 'dist/index.js'],
  ['commonjs', 'dist-commonjs/index.js'],
];

/** The CPU time of one fresh process between NestJS and the end of loading the file. */
function cpuMsOfLoading(file: string, system: ModuleSystem): number {
  const name = JSON.stringify(file);
  const load = (id: string) =>
    system === 'module' ? `await import('${id}');` : `require('${id}');`;
  const script = `
    ${NEST.map(load).join('\n')}
    const before = process.cpuUsage();
    ${system === 'module' ? `await import(${name})` : `require(${name})`};
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) / 1_000);
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--single-threaded-gc', `--input-type=${system}`, '-e', script],
    { encoding: 'utf8' },
  );
  const cpuMs = Number(stdout);
  if (stdout === '' || Number.isNaN(cpuMs)) throw new Error(`${file} did not load: ${stderr}`);
  return cpuMs;
}

const folder = mkdtempSync(join(tmpdir(), 'import-'));
const nothing = { module: join(folder, 'nothing.mjs'), commonjs: join(folder, 'nothing.cjs') };
for (const file of Object.values(nothing)) writeFileSync(file, '');

const roots = [...values.root.map((root) => resolve(root)), process.cwd()];
const measured: Measured[] = BUILDS.flatMap(([system, path]) => [
  { build: 'nothing', system, file: nothing[system], cpuMs: [] },
  ...roots.map((root) => ({ build: root, system, file: join(root, path), cpuMs: [] })),
]);
for (const { file } of measured) if (!existsSync(file)) throw new Error(`${file} is missing.`);

try {
  for (let count = 0; count < Number(values.processes); count += 1) {
    for (const { file, system, cpuMs } of measured) cpuMs.push(cpuMsOfLoading(file, system));
  }
} finally {
  rmSync(folder, { recursive: true });
}

console.table(
  measured.map(({ build, system, cpuMs }) => {
    const sorted = cpuMs.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    return { build, system, 'least, ms': at(0), 'median, ms': at(0.5), 'most, ms': at(1) };
  }),
);
