import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const INSTALL_LIMIT_MS = 300_000;
const NAME = 'nestjs-leader-election';
/** Of npm: all that it would run when the package is installed, from the registry or from its repository. */
const RUN_BY_INSTALL = [
  'preinstall',
  'install',
  'postinstall',
  'prepublish',
  'preprepare',
  'prepare',
  'postprepare',
];

interface Manifest {
  readonly version: string;
  readonly scripts: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>;
}

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
}

interface Bom {
  readonly metadata: { readonly component: { readonly purl: string } };
  readonly components: readonly { readonly purl: string; readonly hashes?: readonly object[] }[];
}

let folder: string;
let tarball: string;
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'supply-chain-'));
  tarball = await packedTarball(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function peers({ optional }: { optional: boolean }): string[] {
  const names = Object.keys(own.peerDependencies);
  return names
    .filter((name) => optional || !own.peerDependenciesMeta[name]?.optional)
    .map((name) => `${name}@${own.peerDependencies[name]!.split(' || ').at(-1)!}`);
}

async function installed(name: string, packages: readonly string[]): Promise<string> {
  const cwd = mkdtempSync(join(folder, `${name}-`));
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name, version: '1.0.0' }));
  const options = ['--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...options, tarball, ...packages], { cwd });
  return cwd;
}

async function bomOf(args: readonly string[], cwd: string): Promise<Bom> {
  const { stdout } = await run('npm', args, { cwd, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as Bom;
}

/** Whose files the bundler takes into it. */
async function packagesInPage(): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['lib/dashboard/page/main.tsx'],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    outdir: folder,
  });
  const names = Object.keys(metafile.inputs).map(
    (file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1],
  );
  return [...new Set(names)].filter((name) => name !== undefined);
}

describe('when the package is packed', () => {
  it('depends on nothing but peers, and has nothing that an installation would run', async () => {
    const { stdout } = await run('tar', ['-xzOf', tarball, 'package/package.json']);
    const packed = JSON.parse(stdout) as Manifest;
    const kinds = Object.keys(packed).filter((key) => /dependencies$/i.test(key));
    expect(kinds.toSorted()).toEqual(['devDependencies', 'peerDependencies']);
    expect(Object.keys(packed.scripts).filter((name) => RUN_BY_INSTALL.includes(name))).toEqual([]);
  });

  it('has a bill of materials with the package itself, and what the page of the dashboard is made of', async () => {
    const bom = await bomOf(['run', '-s', 'sbom'], root);
    expect(bom.metadata.component.purl).toBe(`pkg:npm/${NAME}@${own.version}`);
    const parts = await packagesInPage();
    expect(parts).toEqual(['preact']);
    expect(bom.components).toMatchObject(
      parts.map((name) => ({
        name,
        purl: `pkg:npm/${name}@${own.devDependencies[name]}`,
        scope: 'required',
        licenses: [{ license: { id: 'MIT' } }],
        hashes: [{ alg: 'SHA-512' }],
        properties: [{ name: 'cdx:npm:package:bundled', value: 'true' }],
      })),
    );
  });

  it('has the license of what is in the page', async () => {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    const { stdout } = await run('tar', ['-xzOf', tarball, 'package/dist/dashboard.js'], options);
    expect(stdout).toContain('Copyright (c) 2015-present Jason Miller');
    expect(stdout).toContain('The above copyright notice and this permission notice');
  });
});

describe.each([
  { which: 'the required peers', optional: false },
  { which: 'all peers', optional: true },
])('when the tarball is installed with $which', ({ optional }) => {
  let cwd: string;
  let packages: [string, LockedPackage][];

  beforeAll(async () => {
    cwd = await installed('application', peers({ optional }));
    const lock = JSON.parse(readFileSync(join(cwd, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, LockedPackage>;
    };
    packages = Object.entries(lock.packages).filter(([path]) => path !== '');
  }, INSTALL_LIMIT_MS);

  it('adds no package of its own beside itself', () => {
    expect(packages.length).toBeGreaterThan(5);
    const below = packages.filter(([path]) => path.startsWith(`node_modules/${NAME}/`));
    expect(below).toEqual([]);
  });

  it('has no package that runs a script when it is installed', () => {
    expect(
      packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
    ).toEqual([]);
  });

  it('has only packages whose content is known by its hash', () => {
    const unknown = packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
    expect(unknown.map(([path]) => path)).toEqual([]);
  });

  it('has a bill of materials that names every package of the tree with its hash', async () => {
    const bom = await bomOf(['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], cwd);
    const purls = bom.components.map(({ purl }) => decodeURIComponent(purl.split('?')[0]!));
    const expected = packages
      .filter(([, { optional: isOptional }]) => !isOptional)
      .map(([path, { version }]) => `pkg:npm/${path.split('node_modules/').at(-1)!}@${version}`);
    expect(purls).toEqual(expect.arrayContaining(expected));
    expect(bom.components.filter(({ hashes = [] }) => hashes.length === 0)).toEqual([]);
  });
});
