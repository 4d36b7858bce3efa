import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PACKAGES = {
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  etcd: 'go.etcd.io/etcd/server/v3',
};

export type BinaryName = keyof typeof PACKAGES;

/** Where a build of this program is kept: outside the work tree, one folder per pair of versions. */
export function cachedBuildPath(name: BinaryName): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const versions = `${versionOf('k8s.io/kubernetes')}-etcd-${versionOf(PACKAGES.etcd)}`;
  return join(cache, 'nestjs-leader-election', 'control-plane', versions, name);
}

export async function buildWithGo(name: BinaryName): Promise<string> {
  const target = cachedBuildPath(name);
  mkdirSync(dirname(target), { recursive: true });
  const unlock = await lockBuild(target);
  try {
    if (!existsSync(target)) await build(name, target);
    return target;
  } finally {
    unlock();
  }
}

async function build(name: BinaryName, target: string): Promise<void> {
  const prefix = `.${name}.building.`;
  removeLeftovers(dirname(target), prefix);
  process.stderr.write(`Building ${name} with Go, once; kube-apiserver takes minutes.\n`);
  const output = join(dirname(target), prefix + randomUUID());
  await runGo([
    'build',
    '-mod=readonly',
    '-trimpath',
    '-ldflags',
    linkerFlags(),
    '-o',
    output,
    PACKAGES[name],
  ]);
  // The rename is what makes an interrupted or a concurrent build harmless: the final name only
  // ever holds a whole program.
  renameSync(output, target);
}

function linkerFlags(): string {
  const version = versionOf('k8s.io/kubernetes');
  const [major, minor] = version.slice(1).split('.');
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const settings = Object.entries(stamps).map(
    ([field, value]) => `-X k8s.io/component-base/version.${field}=${value}`,
  );
  return ['-s', '-w', ...settings].join(' ');
}

async function runGo(args: string[]): Promise<void> {
  const go = spawn('go', args, {
    cwd: goModuleDirectory(),
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  go.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    go.once('error', reject).once('close', resolve);
  });
  if (code !== 0) {
    throw new Error(`go ${args[0]} ended with code ${code}:\n${errors.slice(-4000)}`);
  }
}

/**
 * Saves a second builder the work; safety rests on the rename in `build`. The lock names its
 * holder, so that one left by a killed process is recognised and taken over.
 */
async function lockBuild(target: string): Promise<() => void> {
  const lock = `${target}.lock`;
  const claim = `${lock}.${randomUUID()}`;
  writeFileSync(claim, String(process.pid));
  try {
    while (!linked(claim, lock)) {
      if (isHeld(lock)) await delay(500);
      else rmSync(lock, { force: true });
    }
  } finally {
    rmSync(claim);
  }
  return () => rmSync(lock, { force: true });
}

function linked(existing: string, path: string): boolean {
  try {
    linkSync(existing, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function isHeld(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return false;
    if (codeOf(error) === 'EPERM') return true;
    throw error;
  }
}

function removeLeftovers(directory: string, prefix: string): void {
  for (const file of readdirSync(directory)) {
    if (file.startsWith(prefix)) rmSync(join(directory, file));
  }
}

function versionOf(module: string): string {
  const goMod = readFileSync(join(goModuleDirectory(), 'go.mod'), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, 'm').exec(goMod)?.[1];
  if (!version) throw new Error(`${goModuleDirectory()}/go.mod requires no version of ${module}`);
  return version;
}

/** Searched upwards, because this file also runs compiled, from a folder of another depth. */
function goModuleDirectory(): string {
  let root = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(root, 'test/control-plane/go.mod'))) {
    if (root === dirname(root)) {
      throw new Error(`no test/control-plane/go.mod above ${fileURLToPath(import.meta.url)}`);
    }
    root = dirname(root);
  }
  return join(root, 'test/control-plane');
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
