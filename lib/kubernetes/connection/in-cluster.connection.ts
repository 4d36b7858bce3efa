import { readFileSync } from 'node:fs';
import { LockRequestError } from '../../core/errors.js';
import { codeOf, messageOf, TOO_MANY_OPEN_FILES } from '../../core/thrown-value.js';
import type { ClusterAccess } from '../http/socket-basics.js';
import { claimsOf, PodEnvironment } from './pod-environment.js';
import type { ClusterConnection } from './cluster-connection.js';

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
    // Of a name or an address; Node's own test of one takes 3 ms the first time.
    this.server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
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
    return `Fix: ${TOO_MANY_OPEN_FILES[code]}.`;
  }
  return (
    'Mount the token: remove automountServiceAccountToken: false from the pod and its ' +
    'ServiceAccount, or project a serviceAccountToken volume to that folder.'
  );
}
