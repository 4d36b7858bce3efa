import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type BinaryName, buildWithGo, cachedBuildPath, demandedMinor } from './go-build.js';

/** What setup-envtest ships, so only these may be demanded of its folder. */
const ENVTEST_BINARIES: readonly BinaryName[] = ['etcd', 'kube-apiserver', 'kubectl'];

/** Programs that setup-envtest does not know. */
const OWN_BINARIES: readonly BinaryName[] = [
  'client-go-elector',
  'chaos-judge',
  'promtool',
  'actionlint',
];

/** There is none, and nothing to build it with. */
export class MissingBinaryError extends Error {}

/** KUBEBUILDER_ASSETS, then setup-envtest's store, then an earlier build with Go, then a new one. */
export async function findBinary(name: BinaryName): Promise<string> {
  const assets = OWN_BINARIES.includes(name) ? [] : [assetPath(name), ...envtestPaths(name)];
  const ready = [...assets, cachedBuildPath(name)].find(
    (path) => path !== undefined && existsSync(path),
  );
  return ready ?? (await buildOrExplain(name));
}

async function buildOrExplain(name: BinaryName): Promise<string> {
  try {
    return await buildWithGo(name);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' || syscall !== 'spawn go') throw error;
    const isShipped = ENVTEST_BINARIES.includes(name);
    const otherwise = isShipped ? ', or run setup-envtest and set KUBEBUILDER_ASSETS' : '';
    throw new MissingBinaryError(`No ${name}: install Go 1.26 or later${otherwise}.`, {
      cause: error,
    });
  }
}

function assetPath(name: BinaryName): string | undefined {
  const directory = process.env['KUBEBUILDER_ASSETS'];
  if (!directory) return undefined;
  const path = join(directory, name);
  if (ENVTEST_BINARIES.includes(name) && !existsSync(path)) {
    throw new Error(
      `KUBEBUILDER_ASSETS names ${directory}, which has no ${name}: correct or unset it.`,
    );
  }
  return path;
}

/** Of the minor that is asked for, the newest version first. The store's place is the one setup-envtest itself computes. */
function envtestPaths(name: BinaryName): string[] {
  const store =
    process.platform === 'darwin'
      ? join(homedir(), 'Library/Application Support/io.kubebuilder.envtest/k8s')
      : join(
          process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'),
          'kubebuilder-envtest/k8s',
        );
  if (!existsSync(store)) return [];
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const minor = demandedMinor();
  return readdirSync(store)
    .filter((version) => minor === undefined || version.startsWith(`${minor}.`))
    .filter((version) => version.endsWith(`-${process.platform}-${arch}`))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((version) => join(store, version, name));
}
