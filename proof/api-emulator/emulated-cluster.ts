import type { ClusterConnection } from '../../lib/kubernetes/connection/cluster-connection.js';
import type { KubeConfigLike } from '../../lib/kubernetes/connection/kubeconfig.loader.js';
import type { ClusterAccess } from '../../lib/kubernetes/http/socket-basics.js';
import type { ApiEmulator } from './api-emulator.js';

/** A connection to an emulator whose credentials a test can change. */
export class EmulatedConnection implements ClusterConnection {
  token = 'token-of-the-test';
  /** What `refresh()` sets the token to. */
  nextToken: string | undefined;
  refreshes = 0;
  accesses = 0;
  failure: Error | undefined;

  constructor(private readonly access_: Partial<ClusterAccess> & { readonly server: URL }) {}

  async access(): Promise<ClusterAccess> {
    this.accesses++;
    if (this.failure !== undefined) throw this.failure;
    return { headers: { Authorization: `Bearer ${this.token}` }, tls: {}, ...this.access_ };
  }

  async refresh(): Promise<void> {
    this.refreshes++;
    this.token = this.nextToken ?? this.token;
  }

  describeCredentials(): string {
    return 'the token of the test';
  }
}

export function connectionTo(emulator: ApiEmulator): EmulatedConnection {
  return new EmulatedConnection({ server: new URL(emulator.url) });
}

/** A KubeConfig in shape, as an application would pass one. */
export function kubeConfigTo(
  url: string,
  namespace?: string,
  { token = 'token', ca }: { readonly token?: string; readonly ca?: string } = {},
): KubeConfigLike {
  const contexts = [
    { name: 'test', cluster: 'test', user: 'tester', ...(namespace && { namespace }) },
  ];
  return {
    getCurrentContext(this: { current?: string }) {
      return this.current ?? 'test';
    },
    setCurrentContext(this: { current?: string }, context: string) {
      this.current = context;
    },
    getContexts: () => contexts,
    getContextObject: (name) => contexts.find((context) => context.name === name) ?? null,
    getCurrentCluster: () => ({ server: url }),
    applyToHTTPSOptions: async (options) => {
      Object.assign(options, { ca, headers: { Authorization: `Bearer ${token}` } });
    },
  } as KubeConfigLike;
}
