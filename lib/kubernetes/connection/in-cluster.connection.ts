import { existsSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { LockRequestError } from '../../core/errors.js';
import { isJsonObject } from '../../core/json-document.js';
import { codeOf, messageOf } from '../../core/thrown-value.js';
import type { ClusterAccess } from '../http/socket-basics.js';
import type { ClusterConnection } from './cluster-connection.js';

const MOUNT =
  'mount the service account: remove automountServiceAccountToken: false from the pod and its ServiceAccount, ' +
  'or project a serviceAccountToken and the kube-root-ca.crt ConfigMap to that folder';

/** One thing that a pod lacks, and its remedy: the two halves of a sentence. */
export interface PodLack {
  readonly what: string;
  readonly fix: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

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

/**
 * What a bearer token says about itself, as the end of a sentence; empty if it is not a readable JWT. Never the token
 * or a part of it. The signature is not checked: this only helps people to see an expired or misdirected token.
 */
export function describeToken(token: string | undefined): string {
  const claims = claimsOf(token);
  if (claims === undefined) return '';
  const facts: string[] = [];
  if (typeof claims['sub'] === 'string') facts.push(`subject ${claims['sub']}`);
  const audience = [claims['aud']].flat().filter((each) => typeof each === 'string');
  if (audience.length > 0) facts.push(`audience ${audience.join(', ')}`);
  if (typeof claims['exp'] === 'number') facts.push(expiry(claims['exp']));
  return facts.length === 0 ? '' : ` (${facts.join('; ')})`;
}

function claimsOf(token: string | undefined): Record<string, unknown> | undefined {
  const payload = token?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null
      ? (claims as Record<string, unknown>)
      : undefined;
  } catch {
    // Static tokens are not JWTs.
    return undefined;
  }
}

function expiry(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return 'no readable expiry';
  return `${date.getTime() < Date.now() ? 'expired' : 'expires'} ${date.toISOString()}`;
}

/**
 * The API server of the cluster this pod runs in, as the pod's service account. Token and CA are read before every
 * request: two small files every retry period, and a rotation can be neither missed nor late. If they cannot be read
 * (no file descriptor left, a mount being swapped) the last ones are used until the server refuses them.
 *
 * Read synchronously, because they are in memory (the kubelet mounts a tmpfs, so a read takes microseconds), whereas an
 * asynchronous read waits in the thread pool behind the application's own work: a few password hashes at once would
 * cost leadership. No other part of a request needs that pool, with one exception: where the platform puts a name into
 * KUBERNETES_SERVICE_HOST, a new connection has to look it up. Requests use a kept connection.
 */
export class InClusterConnection implements ClusterConnection {
  private last: { readonly token: string; readonly ca: string } | undefined;
  private readonly server: string;

  constructor(private readonly pod: PodEnvironment = new PodEnvironment()) {
    const host = pod.env['KUBERNETES_SERVICE_HOST'] ?? '';
    const port = pod.env['KUBERNETES_SERVICE_PORT'] || '443';
    this.server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  async access(): Promise<ClusterAccess> {
    if (!URL.canParse(this.server)) {
      throw new LockRequestError(
        `KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make no URL: ${this.server}. ` +
          'Leave them as Kubernetes sets them.',
        { reason: 'unreachable' },
      );
    }
    const { token, ca } = this.read();
    return {
      server: new URL(this.server),
      headers: { Authorization: `Bearer ${token}` },
      tls: { ca },
    };
  }

  /** The kept token was refused: from now on only the files count. */
  async refresh(): Promise<void> {
    this.last = undefined;
    this.read();
  }

  describeCredentials(): string {
    return `the service-account token in ${this.pod.tokenFile}${describeToken(this.last?.token)}`;
  }

  private read(): { token: string; ca: string } {
    try {
      const token = this.readText(this.pod.tokenFile, 'token').trim();
      const ca = this.readText(this.pod.caFile, 'CA certificate');
      this.last = { token, ca };
    } catch (error) {
      if (this.last === undefined) throw error;
    }
    return this.last;
  }

  private readText(file: string, what: string): string {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (cause) {
      const code = codeOf(cause) ?? messageOf(cause);
      throw new LockRequestError(
        `the service account's ${what} cannot be read: ${file}: ${code}. ${remedy(code)}`,
        { reason: 'unreachable', cause },
      );
    }
    if (text.trim() !== '') return text;
    throw new LockRequestError(`the service account's ${what} is empty: ${file}. ${remedy('')}`, {
      reason: 'unreachable',
    });
  }
}

function remedy(code: string): string {
  if (code === 'EACCES') {
    return (
      'Let the user the container runs as read it: set securityContext.fsGroup in the pod, ' +
      'or run as the user that owns the file.'
    );
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return 'This process has no file descriptor left: find what keeps them open, or raise the limit.';
  }
  return (
    'Mount the token: remove automountServiceAccountToken: false from the pod and its ' +
    'ServiceAccount, or project a serviceAccountToken volume to that folder.'
  );
}
