import type { Clock, Timer } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import { type JsonDocument, parseDocument, partOf } from '../core/json-document.js';
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
  /** Whether identities begin with the names of pods. */
  readonly namesPods: boolean;
  leads: boolean;
  /** What the pod says; undefined where a request may or may not have been applied. */
  isMarked: boolean | undefined;
  /** Undefined while no one leads, or while it is not known who. */
  leaderPod: string | undefined;
  /** Pods that may carry the mark of a leader that is gone, and the last error that was reported of each. */
  readonly stale: Map<string, string | undefined>;
}

interface LeaderMarkDependencies {
  readonly connection: ClusterConnection;
  readonly namespace: string;
  readonly podName: string;
  readonly clock: Clock;
}

export interface MarkedRoleOptions {
  readonly requestTimeoutMs: number;
  readonly identity: string;
  readonly report: Report;
}

/** Of one role: what it tells the pod's mark. */
export interface RoleMark {
  /** This process leads. */
  lead(): void;
  /** It leads no longer. */
  leave(): void;
  /** Another process leads, or no one. */
  follow(leader: string | undefined): void;
  /** Waits for the last request, for up to its timeout. */
  close(): Promise<void>;
}

/**
 * The mark of the pod that leads: a label for each role, and the deletion cost while it leads any. One for a process,
 * as its roles share the pod. Nothing waits for it, except the end of the process: a mark that cannot be written is
 * reported and tried again at a slowing pace, and costs no leadership. One request at a time, so that none overtakes
 * another.
 */
export class LeaderMark {
  private readonly roles = new Map<string, MarkedRole>();
  private readonly transport: KubernetesTransport;
  private readonly stop = new AbortController();
  private writing: Promise<void> | undefined;
  private isWriting = false;
  private clearing: AbortController | undefined;
  private retry: Timer | undefined;
  private failures = 0;
  private retryAfterMs = 0;
  private timeoutMs = 0;

  constructor(private readonly dependencies: LeaderMarkDependencies) {
    this.transport = new KubernetesTransport(dependencies.connection);
  }

  join(role: string, { requestTimeoutMs, identity, report }: MarkedRoleOptions): RoleMark {
    const { podName } = this.dependencies;
    const marked: MarkedRole = {
      report,
      namesPods: podOf(identity) === podName,
      leads: false,
      isMarked: false,
      leaderPod: undefined,
      // A container that is restarted in its pod may have been killed as the leader.
      stale: new Map([[podName, undefined]]),
    };
    this.roles.set(role, marked);
    this.timeoutMs = Math.max(this.timeoutMs, requestTimeoutMs);
    let lastOther: string | undefined;
    return {
      lead: () => {
        marked.leaderPod = podName;
        marked.stale.delete(podName);
        if (lastOther !== undefined && lastOther !== podName)
          marked.stale.set(lastOther, undefined);
        // Another leader may have taken this pod for that of a dead one meanwhile.
        marked.isMarked = undefined;
        this.set(marked, true);
      },
      leave: () => {
        marked.leaderPod = undefined;
        this.set(marked, false);
      },
      follow: (leader) => {
        marked.leaderPod = leader === undefined ? undefined : podOf(leader);
        if (marked.leaderPod === undefined) return;
        if (marked.namesPods && POD_NAME.test(marked.leaderPod)) lastOther = marked.leaderPod;
        this.write();
      },
      close: async () => {
        // The stale marks of others are left to the next start of their containers.
        marked.leaderPod = undefined;
        this.clearing?.abort();
        await this.writing;
        this.roles.delete(role);
        if (this.roles.size > 0) return;
        this.retry?.cancel();
        this.stop.abort();
        this.transport.close();
      },
    };
  }

  private set(role: MarkedRole, leads: boolean): void {
    role.leads = leads;
    this.failures = 0;
    this.clearing?.abort();
    this.write();
  }

  private write(): void {
    if (this.isWriting) return;
    this.retry?.cancel();
    this.writing = this.writeAll();
  }

  /** `isWriting` ends in the step that finds nothing due: news between the two would be lost. */
  private async writeAll(): Promise<void> {
    this.isWriting = true;
    this.retryAfterMs = 0;
    const tried = new Set<string>();
    let isComplete = true;
    try {
      for (;;) {
        const due = [...this.roles].filter(([, { leads, isMarked }]) => leads !== isMarked);
        if (due.length > 0) {
          if (await this.writeOwn(due)) continue;
          return this.writeLater();
        }
        const stale = this.stalePods().find(
          ({ name, podName }) => !tried.has(keyOf(name, podName)),
        );
        if (stale === undefined) {
          if (!isComplete) return this.writeLater();
          this.failures = 0;
          return;
        }
        tried.add(keyOf(stale.name, stale.podName));
        isComplete = (await this.clear(stale)) && isComplete;
      }
    } finally {
      this.isWriting = false;
    }
  }

  /** False if it failed, and nothing has changed meanwhile that would make another attempt worth while at once. */
  private async writeOwn(due: readonly (readonly [string, MarkedRole])[]): Promise<boolean> {
    const wanted = due.map(([name, role]) => ({ name, role, leads: role.leads }));
    const leadsAny = [...this.roles.values()].some(({ leads }) => leads);
    const labels = wanted.map(({ name, leads }) => [
      LABEL_PREFIX + name,
      leads ? LABEL_VALUE : null,
    ]);
    const metadata = {
      labels: Object.fromEntries(labels) as object,
      annotations: { [DELETION_COST]: leadsAny ? COST_OF_LEADER : null },
    };
    const { podName } = this.dependencies;
    const answer = await this.patch(podName, metadata, this.stop.signal);
    const error = this.errorOf(answer, podName);
    if (error === undefined) {
      for (const { role, leads } of wanted) role.isMarked = leads;
      return true;
    }
    this.retryAfterMs = Math.max(this.retryAfterMs, error.retryAfterMs ?? 0);
    for (const { role } of wanted) {
      if (error.reason === 'unclear') role.isMarked = undefined;
      role.report(error);
    }
    return wanted.some(({ role, leads }) => role.leads !== leads);
  }

  private writeLater(): void {
    if (this.stop.signal.aborted) return;
    const usualMs = 1_000 * 2 ** this.failures;
    const delayMs = Math.min(Math.max(usualMs, this.retryAfterMs), LONGEST_RETRY_MS);
    this.failures += 1;
    this.retry = this.dependencies.clock.setTimer(() => this.write(), delayMs);
  }

  /** Only while another pod leads: the mark of the present leader is no stale one. */
  private stalePods(): StaleMark[] {
    return [...this.roles].flatMap(([name, role]) =>
      [...role.stale.keys()]
        .filter((podName) => isStale(role, podName))
        .map((podName) => ({ name, role, podName })),
    );
  }

  /**
   * Removes what a leader that is gone may have left, and is true once nothing of it is there. The second request names
   * the version that the first has read, as that pod may lead again meanwhile. The first is a PATCH too, of nothing, as
   * the Role need not grant more.
   */
  private async clear({ name, role, podName }: StaleMark): Promise<boolean> {
    const clearing = new AbortController();
    this.clearing = clearing;
    let answer = await this.patch(podName, {}, clearing.signal);
    if (answer.kind === 'response' && answer.status === 200) {
      const metadata = partOf(parseDocument(answer.body), 'metadata');
      const { resourceVersion } = metadata;
      const left = marksLeft(metadata, LABEL_PREFIX + name);
      // Without a version something between here and the API server answered in its place.
      if (typeof resourceVersion !== 'string' || !isStale(role, podName)) return false;
      if (left !== undefined) {
        answer = await this.patch(podName, { resourceVersion, ...left }, clearing.signal);
      }
    }
    if (clearing.signal.aborted) return false;
    const isGone = answer.kind === 'response' && isObjectMissing(answer, this.addressOf(podName));
    const error = isGone ? undefined : this.errorOf(answer, podName);
    if (error === undefined) {
      role.stale.delete(podName);
      return true;
    }
    // The pod has changed in between, which happens to any.
    if (answer.kind === 'response' && answer.status === 409) return false;
    this.retryAfterMs = Math.max(this.retryAfterMs, error.retryAfterMs ?? 0);
    if (role.stale.get(podName) !== error.message) role.report(error);
    role.stale.set(podName, error.message);
    return false;
  }

  private patch(podName: string, metadata: object, signal: AbortSignal): Promise<ApiAnswer> {
    const request = {
      method: 'PATCH',
      path: objectPath(this.addressOf(podName)),
      body: { metadata },
      isRepeatable: !('resourceVersion' in metadata),
    } as const;
    return this.transport.send(request, { timeoutMs: this.timeoutMs, signal });
  }

  private errorOf(answer: ApiAnswer, podName: string): LockRequestError | undefined {
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

interface StaleMark {
  readonly name: string;
  readonly role: MarkedRole;
  readonly podName: string;
}

function keyOf(role: string, podName: string): string {
  return `${role} ${podName}`;
}

function isStale({ leaderPod }: MarkedRole, podName: string): boolean {
  return leaderPod !== undefined && leaderPod !== podName;
}

/**
 * What removes the label, and with the last of them the cost of a leader; undefined if there is nothing to remove. A
 * cost of another value is one of others.
 */
function marksLeft(metadata: JsonDocument, label: string): object | undefined {
  const labels = partOf(metadata, 'labels');
  const leadsElse = Object.entries(labels).some(
    ([name, value]) => name !== label && name.startsWith(LABEL_PREFIX) && value === LABEL_VALUE,
  );
  const isCostLeft = partOf(metadata, 'annotations')[DELETION_COST] === COST_OF_LEADER;
  if (labels[label] !== LABEL_VALUE) return undefined;
  return {
    labels: { [label]: null },
    ...(isCostLeft && !leadsElse && { annotations: { [DELETION_COST]: null } }),
  };
}
