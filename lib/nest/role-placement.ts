import type { Clock, Timer } from '../core/clock.js';
import { fitMembers, newestMember, spreadAssignment } from '../core/placement.js';
import { restsUntil } from '../core/resting.js';
import type { RevocationReason } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import { adoptWork } from '../elector/work-in-flight.js';
import type { RoleElector } from '../elector/leader-elector.js';
import type { MemberView } from '../core/member.js';
import type { RoleEligibility } from './role-eligibility.js';

/**
 * Chooses who is to follow: the name of one of these members, or undefined for whoever comes first. It is given the
 * members that are fit to take over and all roles of the application. A pure function, so that all replicas agree.
 */
export type PlacementFunction = (
  members: readonly MemberView[],
  roles: readonly string[],
) => string | undefined;

/** Who is to lead: the youngest replica, each about as many roles, whoever comes first, or whom a function names. */
export type Placement = 'newest' | 'spread' | 'any' | PlacementFunction;

/** A member list is acted upon when it has stayed the same for this long. */
const STABLE_MS = 5_000;
/** A placement function that takes longer delays renewals. */
const SLOW_MS = 100;

interface PlacementDependencies {
  readonly role: string;
  readonly placement: Placement;
  readonly placementCooldownMs: number;
  readonly clock: Clock;
  readonly elector: Pick<
    RoleElector,
    'isLeader' | 'namedInVain' | 'nominate' | 'resting' | 'stepDown' | 'wasNamed'
  >;
  readonly eligibility: Pick<RoleEligibility, 'await' | 'judge' | 'setMayHandOver'>;
  readonly members: () => readonly MemberView[] | undefined;
  readonly roles: () => readonly string[];
  readonly warn: (text: string) => void;
}

/**
 * What one role makes of the members (R25, R26): whether this replica is fit to lead, whom its release names and, where
 * roles are spread, when it hands over. Nothing is asked of the others, and nothing is written but the name.
 */
export class RolePlacement {
  private listKey = '';
  private stableSince = 0;
  private movedAt = -Infinity;
  /** Who has handed the role over to this member, and when. */
  private received: { readonly from: string; readonly at: number } | undefined;
  private lastOtherLeader: string | undefined;
  private isSlow = false;
  private warned: string | undefined;
  /** Whom a handover that is under way is meant for. */
  private target: string | undefined;
  private avoidTemplateHash: string | undefined;
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(private readonly its: PlacementDependencies) {
    its.eligibility.await('pod', 'it is not known yet whether the pod is Ready');
  }

  granted(): void {
    // It has come back, as the member that it was meant for did not come: that was no move.
    if (this.target !== undefined && this.unfit.has(this.target)) this.movedAt = -Infinity;
    this.target = undefined;
    this.avoidTemplateHash = undefined;
    const { elector, clock } = this.its;
    const isReceived = elector.wasNamed && this.lastOtherLeader !== undefined;
    this.received = isReceived ? { from: this.lastOtherLeader!, at: clock.now() } : undefined;
    this.review();
  }

  revoked(reason: RevocationReason): void {
    const self = this.its.members()?.find(({ isSelf }) => isSelf);
    if (reason === 'handler-failed') this.avoidTemplateHash = self?.templateHash;
    this.review();
  }

  /** Members, or who leads, have changed. */
  review(): void {
    if (this.isClosed) return;
    const { elector, eligibility } = this.its;
    this.timer?.cancel();
    const members = this.its.members();
    if (members === undefined) {
      eligibility.judge('pod', undefined);
      eligibility.setMayHandOver(false);
      return elector.nominate(null);
    }
    const self = members.find(({ isSelf }) => isSelf);
    const leader = members.find(({ isLeader }) => isLeader);
    if (leader !== undefined && !leader.isSelf) this.lastOtherLeader = leader.uid;
    eligibility.judge('pod', faultOf(self));
    const others = fitMembers(members, this.unfit).filter(({ isSelf }) => !isSelf);
    eligibility.setMayHandOver(others.length > 0);
    elector.nominate(this.choose(others, members) ?? null);
    this.noteList(members);
    const reviewAt = Math.min(this.rebalance(), this.nextEndOfRest);
    // Handing over has led to another review.
    this.timer?.cancel();
    if (reviewAt === Infinity || this.isClosed) return;
    const { clock } = this.its;
    this.timer = clock.setTimer(() => this.review(), reviewAt - clock.now());
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private get unfit(): ReadonlySet<string> {
    const { namedInVain } = this.its.elector;
    return new Set([...namedInVain, ...this.resting.map(({ uid }) => uid)]);
  }

  private get resting(): { readonly uid: string; readonly until: number }[] {
    const { elector, clock, placementCooldownMs } = this.its;
    return elector.resting
      .map((member) => ({ uid: member.uid, until: restsUntil(member, placementCooldownMs) }))
      .filter(({ until }) => until > clock.now());
  }

  private get nextEndOfRest(): number {
    return Math.min(Infinity, ...this.resting.map(({ until }) => until));
  }

  private choose(
    others: readonly MemberView[],
    members: readonly MemberView[],
  ): string | undefined {
    const { placement, role } = this.its;
    if (this.target !== undefined && others.some(({ uid }) => uid === this.target)) {
      return this.target;
    }
    if (placement === 'any') return undefined;
    if (placement === 'newest') return newestMember(others, this.avoidTemplateHash)?.uid;
    if (placement === 'spread') return this.spread(others, members).get(role);
    return this.its.elector.isLeader() ? this.ask(placement, others) : undefined;
  }

  private spread(fit: readonly MemberView[], members: readonly MemberView[]): Map<string, string> {
    const leaderOf = (role: string) => members.find(({ leads }) => leads.includes(role))?.uid;
    const holders = new Map(this.its.roles().map((role) => [role, leaderOf(role)]));
    return spreadAssignment(
      fit.map(({ uid }) => uid),
      holders,
    );
  }

  /** Foreign code: whatever it does, the worst is that no member is named. */
  private ask(placement: PlacementFunction, others: readonly MemberView[]): string | undefined {
    if (this.isSlow || others.length === 0) return undefined;
    const { clock } = this.its;
    const since = clock.now();
    try {
      const answer: unknown = placement(others, this.its.roles());
      if (clock.now() - since > SLOW_MS) {
        this.isSlow = true;
        return this.degrade(`took longer than ${SLOW_MS} ms, and is not called again`);
      }
      if (answer === undefined || answer === null) return undefined;
      const uid = others.find(({ name }) => name === answer)?.uid;
      if (uid !== undefined) return uid;
      if (typeof answer === 'object') {
        // A promise that no other code handles.
        const adopted: unknown = adoptWork(answer, () => {});
        if (adopted instanceof Promise) adopted.catch(() => {});
      }
      return this.degrade(
        'returned something else than the name of one of the members it was given',
      );
    } catch (error) {
      return this.degrade(`threw: ${messageOf(error)}`);
    }
  }

  private degrade(what: string): undefined {
    if (this.warned === what) return;
    this.warned = what;
    this.its.warn(`the placement function ${what}; releases name no successor`);
  }

  private noteList(members: readonly MemberView[]): void {
    const key = members
      .map(({ uid, isReady, isTerminating }) => `${uid} ${isReady} ${isTerminating}`)
      .toSorted()
      .join('\n');
    if (key === this.listKey) return;
    this.listKey = key;
    this.stableSince = this.its.clock.now();
  }

  /**
   * When another member has moved the role here. Its view may have been older than this one, or younger, and the role is not
   * to go to and fro between the two. One that ends would have moved it anyway.
   */
  private receivedAt(members: readonly MemberView[]): number {
    const { received } = this;
    const isThere = members.some(
      ({ uid, isTerminating }) => uid === received?.from && !isTerminating,
    );
    return received !== undefined && isThere ? received.at : -Infinity;
  }

  /**
   * Only a leader can hand over without a gap, so each looks after its own roles. Answers when it wants to hand over later;
   * Infinity if it does not.
   */
  private rebalance(): number {
    const { placement, clock, elector, role, placementCooldownMs } = this.its;
    if (placement !== 'spread' || !elector.isLeader()) return Infinity;
    const members = this.its.members() ?? [];
    const self = members.find(({ isSelf }) => isSelf);
    const fit = fitMembers(members, this.unfit);
    // An unfit leader hands over by eligibility, once per episode.
    if (self === undefined || !fit.includes(self)) return Infinity;
    const target = this.spread(fit, members).get(role);
    if (target === undefined || target === self.uid) return Infinity;
    const movedAt = Math.max(this.movedAt, this.receivedAt(members));
    const dueAt = Math.max(this.stableSince + STABLE_MS, movedAt + placementCooldownMs);
    if (clock.now() < dueAt) return dueAt;
    this.movedAt = clock.now();
    this.target = target;
    elector.nominate(target);
    elector.stepDown(0);
    return Infinity;
  }
}

/** The first report of a pod that is not in its own list says nothing. */
function faultOf(self: MemberView | undefined): string | undefined {
  if (self === undefined) return undefined;
  if (self.isTerminating) return 'the pod is terminating';
  return self.isReady ? undefined : 'the pod is not Ready';
}
