import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
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

const JUDGE = 'proof/chaos/judge';
/** One file for all minors, built with the modules of each. */
const ELECTOR = 'proof/control-plane/client-go-elector';
const KUBERNETES = 'k8s.io/kubernetes';
const ETCD = 'go.etcd.io/etcd/server/v3';
const PROMETHEUS = 'proof/prometheus';
const ACTIONLINT = 'proof/actionlint';

/** A module of its own each, as one build can hold one version of Kubernetes; the first is the default. */
export const KUBERNETES_MINORS = ['1.37', '1.36', '1.35'] as const;

/** The minor that KUBERNETES_MINOR asks for; undefined when the choice is left to us. */
export function demandedMinor(): string | undefined {
  const demanded = process.env['KUBERNETES_MINOR'];
  if (!demanded || KUBERNETES_MINORS.some((minor) => minor === demanded)) {
    return demanded || undefined;
  }
  throw new Error(
    `KUBERNETES_MINOR is ${demanded}; use one of ${KUBERNETES_MINORS.join(', ')}, or unset it`,
  );
}

const SERVERS = `proof/control-plane/kubernetes-${demandedMinor() ?? KUBERNETES_MINORS[0]}`;

/** Go packages and the folders of the modules that require them. */
const PROGRAMS = {
  'kube-apiserver': { module: SERVERS, package: `${KUBERNETES}/cmd/kube-apiserver` },
  'kube-controller-manager': {
    module: SERVERS,
    package: `${KUBERNETES}/cmd/kube-controller-manager`,
  },
  'kube-scheduler': { module: SERVERS, package: `${KUBERNETES}/cmd/kube-scheduler` },
  kubectl: { module: SERVERS, package: `${KUBERNETES}/cmd/kubectl` },
  etcd: { module: SERVERS, package: ETCD },
  'client-go-elector': { module: SERVERS, package: `${ELECTOR}/main.go` },
  'chaos-judge': { module: JUDGE, package: '.' },
  promtool: { module: PROMETHEUS, package: 'github.com/prometheus/prometheus/cmd/promtool' },
  actionlint: { module: ACTIONLINT, package: 'github.com/rhysd/actionlint/cmd/actionlint' },
};

export type BinaryName = keyof typeof PROGRAMS;

/** Where a build of this program is kept: outside the work tree, one folder for all that it is made of. */
export function cachedBuildPath(name: BinaryName): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'nestjs-leader-election', ...folderOf(name), name);
}

function folderOf(name: BinaryName): string[] {
  if (name === 'client-go-elector') {
    return [name, `${versionOf(KUBERNETES)}-${hashOf(ELECTOR, ['main.go'])}`];
  }
  if (name === 'promtool') return [name, hashOf(PROMETHEUS, ['go.mod', 'go.sum'])];
  if (name === 'actionlint') return [name, hashOf(ACTIONLINT, ['go.mod', 'go.sum'])];
  if (name === 'chaos-judge') return [name, hashOf(JUDGE, ['go.mod', 'go.sum', 'main.go'])];
  return ['control-plane', `${versionOf(KUBERNETES)}-etcd-${versionOf(ETCD)}`];
}

function hashOf(directory: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(inRepository(join(directory, file))));
  return hash.digest('hex').slice(0, 16);
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
  const note = name.startsWith('kube-') || name === 'promtool' ? ', which takes minutes' : '';
  process.stderr.write(`Building ${name} with Go, once${note}.\n`);
  const output = join(dirname(target), prefix + randomUUID());
  const { module, package: program } = PROGRAMS[name];
  const flags = ['-mod=readonly', '-trimpath', '-ldflags', linkerFlags(module)];
  const source = program.endsWith('.go') ? inRepository(program) : program;
  await runGo(dirname(inRepository(`${module}/go.mod`)), ['build', ...flags, '-o', output, source]);
  // The rename is what makes an interrupted or a concurrent build harmless: the final name only
  // ever holds a whole program.
  renameSync(output, target);
}

function linkerFlags(module: string): string {
  if (module !== SERVERS) return '-s -w';
  const version = versionOf(KUBERNETES);
  const [major, minor] = version.slice(1).split('.');
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const settings = Object.entries(stamps).map(
    ([field, value]) => `-X k8s.io/component-base/version.${field}=${value}`,
  );
  return ['-s', '-w', ...settings].join(' ');
}

async function runGo(cwd: string, args: string[]): Promise<void> {
  const go = spawn('go', args, {
    cwd,
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

export function versionOf(module: string): string {
  const goMod = readFileSync(inRepository(`${SERVERS}/go.mod`), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, 'm').exec(goMod)?.[1];
  if (!version) throw new Error(`${SERVERS}/go.mod requires no version of ${module}`);
  return version;
}

/** Searched upwards, because programs also run compiled, from a folder of another depth. */
export function inRepository(path: string): string {
  let root = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(root, path))) {
    if (root === dirname(root)) {
      throw new Error(`no ${path} above ${fileURLToPath(import.meta.url)}`);
    }
    root = dirname(root);
  }
  return join(root, path);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
