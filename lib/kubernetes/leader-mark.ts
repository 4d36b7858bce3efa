import type { Clock, Timer } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import { podOf } from '../core/member.js';
import { explainNoAnswer, explainResponse } from './answer-messages.js';
import { isObjectMissing } from './api-status.js';
import type { ClusterConnection } from './connection/cluster-connection.js';
import { KubernetesTransport } from './kubernetes-transport.js';
import { type ApiAnswer, type ObjectAddress, objectPath, podAddress } from './object-request.js';

/** Of a pod: the label of a role has this prefix, and the value `leader`. */
const LABEL_PREFIX = 'nestjs-leader-election/';
const LABEL_VALUE = 'leader';
/** A ReplicaSet that scales down takes pods of a lower cost first; that of others is 0. */
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const COST_OF_LEADER = '1000';
const LONGEST_RETRY_MS = 60_000;

const POD_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

type Report = (error: LockRequestError) => void;

interface MarkedRole {
  readonly report: Report;
  leads: boolean;
  /** What the pod says; undefined where a request may or may not have been applied. */
  isMarked: boolean | undefined;
  /** Identity of the leader before, whose mark is looked for once the own one is written: both need the same right. */
  predecessor: string | undefined;
}

interface LeaderMarkDependencies {
  readonly connection: ClusterConnection;
  readonly namespace: string;
  readonly podName: string;
  readonly clock: Clock;
}

/** Of one role: what it tells the pod's mark. */
export interface RoleMark {
  /** @param predecessor identity of the leader before; its pod's mark is removed if it is still there */
  lead(predecessor: string | undefined): void;
  leave(): void;
  /** Waits for the last request, for up to its timeout. */
  close(): Promise<void>;
}

/**
 * The mark of the pod that leads: a label for each role, and the deletion cost while it leads any. One for a process,
 * as its roles share the pod. Nothing waits for it, except the end of the process: a mark that cannot be written is
 * reported and tried again at a slowing pace, and costs no leadership.
 */
export class LeaderMark {
  private readonly roles = new Map<string, MarkedRole>();
  private readonly transport: KubernetesTransport;
  private readonly stop = new AbortController();
  private readonly clearing = new Set<Promise<void>>();
  private writing: Promise<void> | undefined;
  private retry: Timer | undefined;
  private failures = 0;
  private timeoutMs = 0;

  constructor(private readonly dependencies: LeaderMarkDependencies) {
    this.transport = new KubernetesTransport(dependencies.connection);
  }

  join(role: string, requestTimeoutMs: number, report: Report): RoleMark {
    const marked: MarkedRole = {
      report,
      leads: false,
      isMarked: false,
      predecessor: undefined,
    };
    this.roles.set(role, marked);
    this.timeoutMs = Math.max(this.timeoutMs, requestTimeoutMs);
    const set = (leads: boolean): void => {
      marked.leads = leads;
      this.failures = 0;
      this.retry?.cancel();
      this.write();
    };
    return {
      lead: (predecessor) => {
        marked.predecessor = predecessor;
        set(true);
      },
      leave: () => set(false),
      close: async () => {
        await this.writing;
        await Promise.all(this.clearing);
        this.roles.delete(role);
        if (this.roles.size > 0) return;
        this.retry?.cancel();
        this.stop.abort();
        this.transport.close();
      },
    };
  }

  private write(): void {
    this.writing ??= this.writeAll().finally(() => (this.writing = undefined));
  }

  private async writeAll(): Promise<void> {
    for (;;) {
      const due = [...this.roles].filter(([, { leads, isMarked }]) => leads !== isMarked);
      if (due.length === 0) return this.clearPredecessors();
      const wanted = due.map(([name, role]) => ({ name, role, leads: role.leads }));
      const leadsAny = [...this.roles.values()].some(({ leads }) => leads);
      const labels = wanted.map(({ name, leads }) => [
        LABEL_PREFIX + name,
        leads ? LABEL_VALUE : null,
      ]);
      const answer = await this.patch(this.dependencies.podName, {
        labels: Object.fromEntries(labels) as object,
        annotations: { [DELETION_COST]: leadsAny ? COST_OF_LEADER : null },
      });
      const error = this.errorOf(answer);
      if (error === undefined) {
        for (const { role, leads } of wanted) role.isMarked = leads;
        continue;
      }
      for (const { role } of wanted) {
        if (error.reason === 'unclear') role.isMarked = undefined;
        role.report(error);
      }
      // News came meanwhile: it is worth an attempt of its own.
      if (wanted.some(({ role, leads }) => role.leads !== leads)) continue;
      if (!this.stop.signal.aborted) this.writeLater();
      return;
    }
  }

  private writeLater(): void {
    const delayMs = Math.min(1_000 * 2 ** this.failures, LONGEST_RETRY_MS);
    this.failures += 1;
    this.retry = this.dependencies.clock.setTimer(() => this.write(), delayMs);
  }

  private clearPredecessors(): void {
    for (const [name, role] of this.roles) {
      const { leads, predecessor, report } = role;
      if (!leads || predecessor === undefined) continue;
      role.predecessor = undefined;
      const cleared = this.clear(name, predecessor, report);
      this.clearing.add(cleared);
      void cleared.finally(() => this.clearing.delete(cleared));
    }
  }

  /** A leader that died has left its mark. Tried once: the next leader tries again. */
  private async clear(role: string, identity: string, report: Report): Promise<void> {
    const podName = podOf(identity);
    if (podName === this.dependencies.podName || !POD_NAME.test(podName)) return;
    const answer = await this.patch(podName, { labels: { [LABEL_PREFIX + role]: null } });
    const address = this.addressOf(podName);
    if (answer.kind === 'response' && isObjectMissing(answer, address)) return;
    const error = this.errorOf(answer, podName);
    if (error !== undefined) report(error);
    else if (answer.kind === 'response' && isCostLeft(answer.body)) {
      await this.patch(podName, { annotations: { [DELETION_COST]: null } });
    }
  }

  private patch(podName: string, metadata: object): Promise<ApiAnswer> {
    const request = {
      method: 'PATCH',
      path: objectPath(this.addressOf(podName)),
      body: { metadata },
    } as const;
    return this.transport.send(request, { timeoutMs: this.timeoutMs, signal: this.stop.signal });
  }

  private errorOf(
    answer: ApiAnswer,
    podName = this.dependencies.podName,
  ): LockRequestError | undefined {
    const { connection } = this.dependencies;
    const address = this.addressOf(podName);
    const context = {
      verb: 'patch',
      address,
      describeCredentials: () => connection.describeCredentials(),
    } as const;
    if (answer.kind !== 'response') return explainNoAnswer(context, answer);
    if (answer.status === 200) return undefined;
    if (!isObjectMissing(answer, address)) return explainResponse(context, answer);
    return new LockRequestError(
      `patch Pod ${address.namespace}/${podName}: there is no such pod, so podLabel cannot mark it as the leader. ` +
        'The name comes from POD_NAME, or otherwise HOSTNAME. Set POD_NAME by the downward API: ' +
        '{ name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }.',
      { reason: 'rejected' },
    );
  }

  private addressOf(podName: string): ObjectAddress {
    return podAddress(this.dependencies.namespace, podName);
  }
}

/** True if the cost of a leader is left on a pod that no longer leads a role. */
function isCostLeft(body: string): boolean {
  try {
    const { labels = {}, annotations = {} } = (JSON.parse(body) as PodBody).metadata ?? {};
    const leads = Object.entries(labels).some(
      ([name, value]) => name.startsWith(LABEL_PREFIX) && value === LABEL_VALUE,
    );
    return !leads && annotations[DELETION_COST] === COST_OF_LEADER;
  } catch {
    // Something between here and the API server answered in its place; its own request explains that.
    return false;
  }
}

interface PodBody {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}
