import { readFileSync } from 'node:fs';
// Not `createRequire` by its name: webpack would read its calls, and warn of those whose argument it does not know.
import nodeModule from 'node:module';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Environment } from '../../core/environment.js';
import { LockRequestError } from '../../core/errors.js';
import { codeOf, messageOf } from '../../core/thrown-value.js';
import { type Kubeconfig, type KubeconfigFile, mergeKubeconfigs } from './kubeconfig.js';

/**
 * The part of `KubeConfig` of `@kubernetes/client-node` that is used here, so that an instance can be passed and no
 * other code needs the types of that package.
 */
export interface KubeConfigLike {
  // Written as methods on purpose: client-node's own types are unions that no structural type can equal.
  /** The name of the context that requests go by. */
  getCurrentContext(): string;
  /** Changes it, as the option `context` asks. */
  setCurrentContext(context: string): void;
  /** All contexts, so that an error can name them. */
  getContexts(): readonly { readonly name: string }[];
  /** The namespace and the user of a context. */
  getContextObject(name: string): { readonly namespace?: string; readonly user: string } | null;
  /** Where the API server is. */
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string } | null;
  /** The user of the current context, with its credentials or how to obtain them. */
  getCurrentUser?(): object | null;
  /** Adds the credentials to the options of a request. */
  applyToHTTPSOptions(options: object): Promise<void>;
}

/** Which files a lock reads. */
export type KubeconfigSource =
  { readonly kind: 'default' } | { readonly kind: 'file'; readonly file: string };

/** What is used of the package. */
export interface ClientNode {
  readonly loadYaml: (text: string) => unknown;
  readonly KubeConfig: new () => KubeConfigLike & { loadFromOptions(options: object): void };
}

/** The package that reads kubeconfigs is not installed, or the one that is installed does not load. */
export class ClientNodeUnavailableError extends Error {
  constructor(
    message: string,
    /** What to do about it. */
    readonly fix: string,
    cause: unknown,
  ) {
    super(message, { cause });
    this.name = 'ClientNodeUnavailableError';
  }
}

const PACKAGE = '@kubernetes/client-node';

export type ImportClientNode = () => Promise<unknown>;

/** The import costs some 300 ms and 50 MB, so it is made only here, and only when a file has to be read. */
const importPackage: ImportClientNode = () => import('@kubernetes/client-node');

export async function loadClientNode(
  importing: ImportClientNode = importPackage,
): Promise<ClientNode> {
  let loaded: Partial<ClientNode>;
  try {
    assertLoadable();
    loaded = (await importing()) as typeof loaded;
  } catch (cause) {
    throw unavailable(cause);
  }
  if (loaded.KubeConfig !== undefined && loaded.loadYaml !== undefined) return loaded as ClientNode;
  throw unavailable(new Error('it exports no KubeConfig or no loadYaml'));
}

/** Reads the files again; kubectl's rules say which. */
export async function readKubeconfig(
  source: KubeconfigSource,
  load: () => Promise<ClientNode> = loadClientNode,
): Promise<Kubeconfig> {
  const { loadYaml } = await load();
  if (source.kind === 'file') {
    const file = readFile(source.file, loadYaml);
    if (file !== undefined) return mergeKubeconfigs([file]);
    throw unreadable(source.file, 'there is no such file');
  }
  const paths = defaultPaths();
  const files = paths.map((path) => readFile(path, loadYaml));
  const found = files.filter((file) => file !== undefined);
  if (found.length > 0) return mergeKubeconfigs(found);
  throw unreadable(
    paths.join(', '),
    paths.length === 1 ? 'there is no such file' : 'none of them exists',
  );
}

export function describeSource(source: KubeconfigSource): string {
  const { KUBECONFIG }: Environment = process.env;
  return source.kind === 'file'
    ? `the kubeconfig ${source.file}`
    : `the default kubeconfig (${KUBECONFIG || '~/.kube/config'})`;
}

function defaultPaths(): string[] {
  const { HOME, KUBECONFIG = '' }: Environment = process.env;
  const listed = KUBECONFIG.split(delimiter).filter((path) => path !== '');
  if (listed.length > 0) return listed;
  return [join(HOME || homedir(), '.kube', 'config')];
}

/** Undefined if there is no such file. An empty one is a kubeconfig with nothing in it. */
function readFile(file: string, loadYaml: (text: string) => unknown): KubeconfigFile | undefined {
  const path = resolve(file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw unreadable(path, messageOf(cause), cause);
  }
  try {
    return { path, content: text.trim() === '' ? {} : loadYaml(text) };
  } catch (error) {
    throw unparsable(path, error);
  }
}

/** Neither message nor cause of the parser: both quote the file, which holds tokens and keys. */
function unparsable(path: string, error: unknown): LockRequestError {
  const { reason, mark } = error as { reason?: string; mark?: { line: number; column: number } };
  // What follows a quote or a colon is of the file.
  const what = reason?.split(/["':<!]/, 1)[0]?.trim();
  const where = mark === undefined ? '' : ` at line ${mark.line + 1}, column ${mark.column + 1}`;
  return new LockRequestError(
    `the kubeconfig cannot be read: ${path}: it is not YAML${where}${what ? ` (${what})` : ''}.`,
    { reason: 'unreachable' },
  );
}

function unreadable(which: string, why: string, cause?: unknown): LockRequestError {
  return new LockRequestError(
    `the kubeconfig cannot be read: ${which}: ${why}. Check that the path is right and that this user may read it.`,
    { reason: 'unreachable', cause },
  );
}

function unavailable(cause: unknown): ClientNodeUnavailableError {
  const why = messageOf(cause);
  if (codeOf(cause)?.endsWith('MODULE_NOT_FOUND') && why.includes(`'${PACKAGE}'`)) {
    return new ClientNodeUnavailableError(
      `reading a kubeconfig needs the optional peer dependency ${PACKAGE}, which is not installed`,
      `npm install ${PACKAGE}${isOldNode() ? '@1' : ''}`,
      cause,
    );
  }
  const version = installed()?.version;
  return new ClientNodeUnavailableError(
    `reading a kubeconfig needs ${PACKAGE}, and the installed version${version ? ` ${version}` : ''} ` +
      `does not load on Node ${process.versions.node} (${why})`,
    isOldNode() && !version?.startsWith('1.')
      ? `run Node 22.19 or later, which version 2 needs, or npm install ${PACKAGE}@1`
      : `see why: node -e "import('${PACKAGE}')"`,
    cause,
  );
}

/**
 * On Node 20 a package that throws while it is imported ends the process, even if the import is caught. So its files
 * are read first.
 */
function assertLoadable(): void {
  const undici = isOldNode() ? installed()?.undici : undefined;
  if (undici !== undefined && Number.parseInt(undici, 10) >= 8) {
    throw new Error(`its undici ${undici} needs Node 22.19`);
  }
}

/** Older than version 2 of client-node loads on: its undici needs 22.19. */
function isOldNode(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major < 22 || (major === 22 && minor < 19);
}

/** What the main script would find of the package, and of the undici that its version 2 needs. */
function installed(): { readonly version: string; readonly undici?: string } | undefined {
  try {
    const main = nodeModule.createRequire(resolve(process.argv[1] ?? 'main.js'));
    const file = main.resolve(`${PACKAGE}/package.json`);
    const { version } = main(file) as { version: string };
    if (version.startsWith('1.')) return { version };
    const { version: undici } = nodeModule.createRequire(file)('undici/package.json') as {
      version: string;
    };
    return { version, undici };
  } catch {
    // It is not installed, or in a way that cannot be looked into; the import shows which.
    return undefined;
  }
}
