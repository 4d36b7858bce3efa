import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../core/environment.js';
import { isJsonObject, type JsonDocument } from '../../core/json-document.js';

const MOUNT =
  'mount the service account: remove automountServiceAccountToken: false from the pod and its ServiceAccount, ' +
  'or project a serviceAccountToken and the kube-root-ca.crt ConfigMap to that folder';

/** One thing that a pod lacks, and its remedy: the two halves of a sentence. */
export interface PodLack {
  readonly what: string;
  readonly fix: string;
}

/** Where the kubelet mounts the token, the CA and the namespace of a pod's service account. */
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What a process can know about the pod it runs in. Tests pass other places. */
export class PodEnvironment {
  constructor(
    readonly env: Environment = process.env,
    readonly directory: string = SERVICE_ACCOUNT_DIRECTORY,
  ) {}

  /**
   * What shows that this is a pod, e.g. `KUBERNETES_SERVICE_HOST is set`; undefined where nothing does. Half of what a
   * pod has is enough: a pod that is taken for a laptop would elect a leader of its own.
   */
  sign(): string | undefined {
    if (this.env['KUBERNETES_SERVICE_HOST']) return 'KUBERNETES_SERVICE_HOST is set';
    return existsSync(this.directory) ? `${this.directory} is mounted` : undefined;
  }

  /** What a process in a pod lacks to reach its API server. */
  lacks(): PodLack[] {
    const lacks: PodLack[] = [];
    if (!this.env['KUBERNETES_SERVICE_HOST']) {
      lacks.push({
        what: 'KUBERNETES_SERVICE_HOST is not set',
        fix: 'start the process with the environment that Kubernetes gives the container (env -i and sudo drop it)',
      });
    }
    for (const file of [this.tokenFile, this.caFile]) {
      if (!existsSync(file)) lacks.push({ what: `there is no ${file}`, fix: MOUNT });
    }
    return lacks;
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

  /**
   * The name that this pod has as far as the process knows. Only POD_NAME is certain: the host name is that of the node
   * with hostNetwork, may be set otherwise in the spec, and is cut off after 63 characters.
   */
  name(): string {
    return this.env['POD_NAME']?.trim() || this.env['HOSTNAME']?.trim() || hostname();
  }

  /**
   * The uid of this pod; undefined where nothing says it. The token is bound to the pod that it is mounted in, whereas the
   * environment of a process that was restored from a checkpoint is that of another pod.
   */
  uid(): string | undefined {
    const { 'kubernetes.io': bound } = claimsOf(this.token()) ?? {};
    const pod = isJsonObject(bound) ? bound['pod'] : undefined;
    const uid = isJsonObject(pod) ? pod['uid'] : undefined;
    return typeof uid === 'string' ? uid : this.env['POD_UID']?.trim() || undefined;
  }

  private token(): string | undefined {
    try {
      return readFileSync(this.tokenFile, 'utf8');
    } catch {
      // Pods with automountServiceAccountToken: false have none.
      return undefined;
    }
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

/** What a bearer token says about itself; undefined if it is not a readable JWT. The signature is not checked. */
export function claimsOf(token: string | undefined): JsonDocument | undefined {
  const payload = token?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isJsonObject(claims) ? claims : undefined;
  } catch {
    // Static tokens are not JWTs.
    return undefined;
  }
}
