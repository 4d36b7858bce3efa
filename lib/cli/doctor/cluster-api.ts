import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import type { LockRequester } from '../../core/resource-lock.js';
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import { type ApiRequest, KubernetesTransport } from '../../kubernetes/kubernetes-transport.js';
import type { ApiAnswer } from '../../kubernetes/object-request.js';
import { chooseCluster, type LeaseLockOptions } from '../../locks/kubernetes/lease.lock.js';
import { LeaseTarget } from '../../locks/kubernetes/lease-target.js';

/** The API server of a lock, asked for more than the lock asks for, within one bound for all of it. */
export class ClusterApi {
  private readonly transport: KubernetesTransport;
  private readonly until: number;

  private constructor(
    private readonly target: LeaseTarget,
    readonly namespace: string,
    limitMs: number,
  ) {
    this.transport = new KubernetesTransport(target.connection);
    this.until = performance.now() + limitMs;
  }

  /** @throws LeaderElectionOptionsError @throws LockRequestError if the kubeconfig cannot be read */
  static async open(
    options: LeaseLockOptions,
    requester: LockRequester,
    pod: PodEnvironment,
    limitMs: number,
  ): Promise<ClusterApi> {
    const choice = chooseCluster('leaseLock', options, pod);
    const target = await LeaseTarget.find(choice, { kind: 'Lease' }, requester, pod);
    const { namespace } = await target.address();
    return new ClusterApi(target, namespace, limitMs);
  }

  /** Never rejects. */
  ask(request: ApiRequest, timeoutMs = Infinity): Promise<ApiAnswer> {
    const { signal } = new AbortController();
    return this.transport.send(request, { timeoutMs: Math.min(timeoutMs, this.leftMs), signal });
  }

  /** The object of a 200; undefined for any other answer. */
  async object(
    path: string,
    query: Record<string, string> = {},
  ): Promise<JsonDocument | undefined> {
    const answer = await this.ask({ method: 'GET', path, query });
    return bodyOf(answer, 200);
  }

  get leftMs(): number {
    return Math.max(1, Math.floor(this.until - performance.now()));
  }

  /** Whose rights they are, without revealing them. */
  describeCredentials(): string {
    return this.target.connection.describeCredentials();
  }

  close(): void {
    this.transport.close();
  }
}

/** The JSON of an answer with one of these statuses. */
export function bodyOf(answer: ApiAnswer, ...statuses: number[]): JsonDocument | undefined {
  if (answer.kind !== 'response' || !statuses.includes(answer.status)) return undefined;
  try {
    const body: unknown = JSON.parse(answer.body);
    return isJsonObject(body) ? body : undefined;
  } catch {
    // A proxy that answers in HTML.
    return undefined;
  }
}
