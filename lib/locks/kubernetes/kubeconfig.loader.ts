import { LockRequestError } from '../../core/errors/lock-request.error.js';
import { messageOf } from '../../core/thrown-value.js';

/**
 * What is used of `KubeConfig` of `@kubernetes/client-node`, so that an instance can be passed without that package's
 * types being needed by everybody else.
 */
export interface KubeConfigLike {
  getCurrentContext(): string;
  setCurrentContext(context: string): void;
  getContexts(): readonly { readonly name: string }[];
  getContextObject(name: string): { readonly namespace?: string; readonly user: string } | null;
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string } | null;
  // Written as a method on purpose: client-node's own parameter type is a union that no structural type can equal.
  applyToHTTPSOptions(options: object): Promise<void>;
}

interface LoadableKubeConfig extends KubeConfigLike {
  loadFromDefault(): void;
  loadFromFile(file: string): void;
}

/** Which kubeconfig a lock reads. */
export type KubeConfigSource =
  | { readonly kind: 'instance'; readonly kubeConfig: KubeConfigLike }
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string };

/** The package that reads kubeconfigs is not installed. */
export class MissingClientNodeError extends Error {
  constructor(cause: unknown) {
    super(
      'reading a kubeconfig needs the optional peer dependency @kubernetes/client-node, which cannot be imported ' +
        `(${messageOf(cause)}). Install it: npm install @kubernetes/client-node`,
      { cause },
    );
    this.name = 'MissingClientNodeError';
  }
}

type ImportClientNode = () => Promise<unknown>;

/** Costs some 300 ms and 50 MB, hence only here and only when a file has to be read. */
const importClientNode: ImportClientNode = () => import('@kubernetes/client-node');

/** Reads the kubeconfig anew, or takes the application's own. */
export async function loadKubeConfig(
  source: KubeConfigSource,
  importPackage: ImportClientNode = importClientNode,
): Promise<KubeConfigLike> {
  if (source.kind === 'instance') return source.kubeConfig;
  const kubeConfig = await newKubeConfig(importPackage);
  const where = describeSource(source);
  try {
    if (source.kind === 'file') kubeConfig.loadFromFile(source.file);
    else kubeConfig.loadFromDefault();
  } catch (cause) {
    throw new LockRequestError(
      `${where} cannot be read: ${messageOf(cause)}. ` +
        'Check that the path is right and that this user may read it.',
      { reason: 'unreachable', cause },
    );
  }
  return kubeConfig;
}

export function describeSource(source: KubeConfigSource): string {
  switch (source.kind) {
    case 'instance':
      return 'the given KubeConfig';
    case 'file':
      return `the kubeconfig ${source.file}`;
    case 'default':
      return `the default kubeconfig (${process.env['KUBECONFIG'] || '~/.kube/config'})`;
  }
}

async function newKubeConfig(importPackage: ImportClientNode): Promise<LoadableKubeConfig> {
  let loaded: { KubeConfig?: new () => LoadableKubeConfig };
  try {
    loaded = (await importPackage()) as typeof loaded;
  } catch (cause) {
    throw new MissingClientNodeError(cause);
  }
  if (loaded.KubeConfig === undefined) {
    throw new MissingClientNodeError(new Error('it exports no KubeConfig'));
  }
  return new loaded.KubeConfig();
}
