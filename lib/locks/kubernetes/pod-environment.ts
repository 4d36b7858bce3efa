import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the kubelet mounts the token, the CA and the namespace of a pod's service account. */
export const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What a process can tell of the pod it runs in. Both places are arguments for the tests. */
export class PodEnvironment {
  constructor(
    readonly env: Environment = process.env,
    readonly directory: string = SERVICE_ACCOUNT_DIRECTORY,
  ) {}

  /** True with a mounted service-account token and the address of the API server. */
  isInPod(): boolean {
    return this.env['KUBERNETES_SERVICE_HOST'] ? existsSync(this.tokenFile) : false;
  }

  get tokenFile(): string {
    return join(this.directory, 'token');
  }

  get caFile(): string {
    return join(this.directory, 'ca.crt');
  }

  get namespaceFile(): string {
    return join(this.directory, 'namespace');
  }

  /** The pod's own namespace; undefined where nothing says it. Never `default` by guess. */
  namespace(): string | undefined {
    return this.env['POD_NAMESPACE']?.trim() || this.mountedNamespace() || undefined;
  }

  private mountedNamespace(): string | undefined {
    try {
      return readFileSync(this.namespaceFile, 'utf8').trim();
    } catch {
      // Pods with automountServiceAccountToken: false have no such file; the caller asks for the option then.
      return undefined;
    }
  }
}
