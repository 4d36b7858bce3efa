import type { ContainerEnd, ContainerMark, ContainerUnknown } from './container.js';
import type { MembersUnknownError } from './errors.js';
import type { LeaseRecord } from './lease-record.js';

/** One process of the deployment: a pod, or on the file and memory locks a process that competes. */
export interface Member {
  /** Name of the pod; on the file and memory locks the holder identity. */
  readonly name: string;
  /** Differs from that of every other member, also of an earlier one with the same name: the uid of the pod. */
  readonly uid: string;
  /** Whether its readiness probe passes: the condition Ready of the pod. True for a process that competes. */
  readonly isReady: boolean;
  /** It has been asked to end: the pod has a deletion timestamp. */
  readonly isTerminating: boolean;
  /** When it was created, by the clock of the API server. */
  readonly createdAt: Date;
  /** Which revision of the deployment it is of: the label `pod-template-hash`. Absent where no controller set it. */
  readonly templateHash?: string;
  /** The node that it runs on. Absent until it is scheduled, and outside of Kubernetes. */
  readonly node?: string;
  /** True for this process. */
  readonly isSelf: boolean;
}

/** A replica of the application, as one of its roles sees it. */
export interface MemberView extends Member {
  /** Whether it leads the role, as far as this process knows. */
  readonly isLeader: boolean;
  /** All roles of this application that it leads, as far as this process knows. */
  readonly leads: readonly string[];
}

/** What a member source tells. */
export interface MemberObserver {
  /**
   * All members, in any order: once when they are first known, and then when one of them has changed. They are copied. A
   * list with anything wrong in it counts as unknown members, and the error says what is wrong.
   */
  members(members: readonly Member[]): void;
  /** Who the members are is not known, or no longer. The source tries again by itself. */
  unknown(error: MembersUnknownError): void;
  /** It is proved that a container has ended, perhaps one of a member that is gone. Told again and again (R24). */
  containerEnded?(end: ContainerEnd): void;
}

/** Knows the members of one deployment, for all roles of one application. */
export interface MemberSource {
  /** Begins to observe. Called once. */
  start(observer: MemberObserver): void;
  /** Asks now in which container this process runs, where members are pods. Never rejects. */
  ownContainer?(signal: AbortSignal): Promise<ContainerMark | ContainerUnknown>;
  /** Ends it. No call of the observer comes afterwards, and no socket, timer or file is left. */
  close(): Promise<void>;
}

/** A process that competes under this identity. */
export function competingMember(identity: string, createdAt: Date, isSelf: boolean): Member {
  return Object.freeze({
    name: identity,
    uid: identity,
    isReady: true,
    isTerminating: false,
    createdAt,
    isSelf,
  });
}

/**
 * The member that holds a lease under this identity, `<name>_<anything>` or the name alone, as the default identities
 * and those of client-go are. The name of a pod has no underscore.
 */
export function memberHolding(
  byName: ReadonlyMap<string, Member>,
  holderIdentity: string | undefined,
): Member | undefined {
  if (holderIdentity === undefined) return undefined;
  return byName.get(holderIdentity) ?? byName.get(podOf(holderIdentity));
}

/** Whether this names the holder of a lease: by its identity or its pod, whole, or by the uid that its record has. */
export function namesHolder(
  name: string,
  { holderIdentity, memberUid }: Pick<LeaseRecord, 'holderIdentity' | 'memberUid'>,
): boolean {
  return name === holderIdentity || name === podOf(holderIdentity) || name === memberUid;
}

/** What stands before the underscore. */
export function podOf(holderIdentity: string): string {
  return holderIdentity.split('_', 1)[0]!;
}
