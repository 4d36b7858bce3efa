import { Logger } from '@nestjs/common';
import type { Clock } from '../core/clock.js';
import type { ContainerEnd, ContainerMark, ContainerUnknown } from '../core/container.js';
import { LeaderElectionOptionsError, MembersUnknownError } from '../core/errors.js';
import {
  type Member,
  memberHolding,
  type MemberSource,
  type MemberView,
  podOf,
} from '../core/member.js';
import type { ResourceLock } from '../core/resource-lock.js';
import { messageOf } from '../core/thrown-value.js';
import { atHome } from '../elector/system-clock.js';
import { ClusterLock } from '../locks/kubernetes/cluster-lock.js';
import { LogLines } from '../election/log-entry.js';
import type { ResolvedModuleOptions } from './leader-election.options.js';
import { containerTold, endTold, membersTold, sourceMade, whyUnknown } from './told-members.js';

/** Who asks for the members: one role of the application. */
export interface MembersRequester {
  readonly options: Pick<ResolvedModuleOptions, 'role' | 'identity' | 'members' | 'namespace'>;
  readonly lock: ResourceLock;
  /** Identity of the leader of the role. */
  readonly leader: string | undefined;
  membersChanged(members: readonly Member[] | undefined): void;
  /** One of the roles has another leader. */
  leadersChanged(): void;
  membersUnknown(error: MembersUnknownError): void;
  containerEnded(end: ContainerEnd): void;
}

/** How to find out who the members are; roles whose keys have the same parts share one source. */
export interface MemberOrigin {
  readonly key: readonly unknown[];
  make(): MemberSource;
}

export type MemberSources = (
  requester: MembersRequester,
  dependencies: { readonly clock: Clock; readonly random: () => number },
) => MemberOrigin;

/** @throws LeaderElectionOptionsError if this lock, or this identity, cannot have members */
export const memberOrigin: MemberSources = ({ options, lock }, { clock, random }) => {
  if (lock instanceof ClusterLock) {
    const { cluster, pod } = lock;
    const labelSelector = options.members?.labelSelector;
    const podName = pod.name();
    const isPodNameCertain = Boolean(pod.env['POD_NAME']?.trim());
    checkIdentity(options.identity, podName, isPodNameCertain);
    const namespace = pod.namespace() ?? options.namespace;
    return {
      key: ['pods', ...partsOf(cluster), podName, namespace, labelSelector],
      make: () => lock.podMembers({ clock, random, labelSelector, podName, isPodNameCertain }),
    };
  }
  if (typeof lock.competitors === 'function') {
    return { key: [lock], make: () => lock.competitors!() };
  }
  throw new LeaderElectionOptionsError([
    {
      field: 'members',
      value: true,
      rule: `need a lock that knows who competes, and ${lock.describe()} has no competitors()`,
      fix: 'implement competitors() in the lock, or leave members out',
    },
  ]);
};

function partsOf(cluster: ClusterLock['cluster']): unknown[] {
  if (cluster.kind === 'in-cluster') return [cluster.kind];
  return [cluster.kind, ...Object.values(cluster.source), cluster.context];
}

/** The leader is found among the pods by its holder identity. */
function checkIdentity(identity: string, podName: string, isPodNameCertain: boolean): void {
  if (podOf(identity) === podName) return;
  const name = isPodNameCertain ? 'POD_NAME' : 'the host name, as POD_NAME is not set';
  throw new LeaderElectionOptionsError([
    {
      field: 'identity',
      value: identity,
      rule: `must begin with the name of the pod (${podName}, from ${name}) and an underscore where members are on, as the pod that leads is found by it`,
      fix: isPodNameCertain
        ? 'leave identity out, or begin it with `${process.env.POD_NAME}_`'
        : 'set POD_NAME from the field metadata.name of the pod, and leave identity out',
    },
  ]);
}

const NAMES_IN_LOG = 20;

/** The members that some roles of the application share. */
export class SharedMembers {
  /** Undefined while they are not known. */
  current: readonly Member[] | undefined;
  /** Known once the members have been. */
  selfUid: string | undefined;
  isClosed = false;
  /** Of `current`. */
  private byName: ReadonlyMap<string, Member> = new Map();
  private self: Member | undefined;
  private readonly requesters: MembersRequester[] = [];
  private readonly logger = new Logger('LeaderElection');
  private toldNames: readonly string[] | undefined;
  private toldProblem: string | undefined;
  private left = 0;
  private source: MemberSource | undefined;
  private hasStarted = false;

  /** @param everyone all roles of the application, whoever shares their members */
  constructor(
    readonly origin: MemberOrigin,
    private readonly everyone: readonly MembersRequester[],
  ) {}

  get roles(): readonly string[] {
    return this.everyone.map(({ options }) => options.role);
  }

  join(requester: MembersRequester): void {
    this.requesters.push(requester);
  }

  start(): void {
    if (this.hasStarted || this.isClosed) return;
    this.hasStarted = true;
    try {
      atHome(() => {
        this.source = sourceMade(this.origin.make());
        // Whatever JavaScript returns: it may be a promise.
        const started: unknown = this.source.start({
          members: (members) => atHome(() => this.told(members)),
          unknown: (error) => atHome(() => this.unknown(whyUnknown(error))),
          containerEnded: (end) => atHome(() => this.containerEnded(endTold(end))),
        });
        Promise.resolve(started).catch((error: unknown) => this.failed(error));
      });
    } catch (error) {
      this.failed(error);
    }
  }

  /** A lock of the application's own. The election needs no members. */
  private failed(error: unknown): void {
    const message = `their source threw: ${messageOf(error)}`;
    this.unknown(new MembersUnknownError(message, { cause: error }));
  }

  /** As MemberSource.ownContainer; undefined where members are no pods. */
  async ownContainer(signal: AbortSignal): Promise<ContainerMark | ContainerUnknown | undefined> {
    return containerTold(await this.source?.ownContainer?.(signal));
  }

  /** The source is closed when all roles have left. Rejects as its `close()` does. */
  async leave(): Promise<void> {
    this.left += 1;
    if (this.left < this.requesters.length) return;
    this.isClosed = true;
    this.current = undefined;
    await this.source?.close();
  }

  viewOf(requester: MembersRequester): readonly MemberView[] | undefined {
    const { current, byName, self } = this;
    if (current === undefined) return undefined;
    const leads = new Map<Member, string[]>();
    for (const { options, leader } of this.everyone) {
      const holder = leader === options.identity ? self : memberHolding(byName, leader);
      if (holder === undefined) continue;
      const led = leads.get(holder);
      if (led === undefined) leads.set(holder, [options.role]);
      else led.push(options.role);
    }
    const { role } = requester.options;
    return current.map((member) => {
      const led = leads.get(member) ?? [];
      return { ...member, isLeader: led.includes(role), leads: led };
    });
  }

  /** Another process leads one of the roles, which all of them show, whichever source they have. */
  leaderChanged(): void {
    for (const requester of this.everyone) requester.leadersChanged();
  }

  private told(list: unknown): void {
    let members: readonly Member[];
    try {
      members = membersTold(list);
    } catch (error) {
      const why = `their source tells what is no list of members: ${messageOf(error)}`;
      return this.unknown(new MembersUnknownError(why, { cause: error }));
    }
    this.known(members);
  }

  private known(members: readonly Member[]): void {
    if (this.isClosed) return;
    this.current = members;
    this.byName = new Map(members.map((member) => [member.name, member]));
    this.self = members.find(({ isSelf }) => isSelf);
    this.selfUid = this.self?.uid ?? this.selfUid;
    this.log(members.map(({ name }) => name).toSorted());
    for (const requester of this.requesters) requester.membersChanged(members);
  }

  private containerEnded(end: ContainerEnd | undefined): void {
    if (this.isClosed || end === undefined) return;
    for (const requester of this.requesters) requester.containerEnded(end);
  }

  private unknown(error: MembersUnknownError): void {
    if (this.isClosed) return;
    const wasKnown = this.current !== undefined;
    if (!wasKnown && error.message === this.toldProblem) return;
    this.toldProblem = error.message;
    this.current = undefined;
    this.toldNames = undefined;
    this.lines.say({
      event: 'members.unknown',
      level: 'warn',
      text: error.message,
      fields: { code: error.code },
    });
    for (const requester of this.requesters) {
      requester.membersUnknown(error);
      if (wasKnown) requester.membersChanged(undefined);
    }
  }

  /** About all roles that share them. */
  private get lines(): LogLines {
    const roles = this.requesters.map(({ options }) => options.role).join(', ');
    const selector = this.requesters[0]?.options.members?.labelSelector;
    const subject = selector === undefined ? roles : `${roles}; members ${selector}`;
    return new LogLines(this.logger, subject, { role: roles });
  }

  /** One line when the set changes; that a member is ready or not is no change of the set. */
  private log(names: readonly string[]): void {
    const before = this.toldNames;
    this.toldNames = names;
    const [known, now] = [new Set(before), new Set(names)];
    const joined = names.filter((name) => !known.has(name));
    const left = before?.filter((name) => !now.has(name)) ?? [];
    if (before !== undefined && joined.length + left.length === 0) return;
    const changes = [
      ...(before !== undefined && joined.length > 0 ? [`joined: ${listed(joined)}`] : []),
      ...(left.length > 0 ? [`left: ${listed(left)}`] : []),
    ];
    const text = [`members (${names.length}): ${listed(names)}`, ...changes].join('; ');
    this.lines.say({
      event: 'members.changed',
      level: 'log',
      text,
      fields: { members: names.length },
    });
  }
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_IN_LOG;
  return names.slice(0, NAMES_IN_LOG).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
