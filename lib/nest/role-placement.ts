import type { Clock, Timer } from '../core/clock.js';
import { fitMembers, newestMember, spreadAssignment } from '../core/placement.js';
import type { SuccessorChoice } from '../core/election-state.js';
import { restsUntil } from '../core/resting.js';
import type { RevocationReason } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import { ignoreOutcome } from '../elector/work-in-flight.js';
import type { RoleElector } from '../elector/leader-elector.js';
import type { MemberView } from '../core/member.js';
import type { RoleEligibility } from '../election/role-eligibility.js';

/**
 * Chooses who is to follow: the name of one of these members, or undefined for whoever comes first. It is given the
 * members that are fit to take over and all roles of the application. Pure; called in the process that leads or drains, whenever
 * it hears of a change. One that takes longer than 100 ms three times in a row is not called again.
 */
export type PlacementFunction = (
  members: readonly MemberView[],
  roles: readonly string[],
) => string | undefined;

/** Who is to lead: the youngest replica, each about as many roles, whoever comes first, or whom a function names. */
export type Placement = 'newest' | 'spread' | 'any' | PlacementFunction;

/** A member list is acted upon when it has stayed the same for this long. */
const STABLE_MS = 5_000;
/** A placement function that takes longer delays renewals. One call may have met a pause of the process. */
const SLOW_MS = 100;
const SLOW_CALLS_IN_A_ROW = 3;
/** So long a replica that starts waits for its members before it counts as fit without them. */
const FIRST_LIST_MS = 5_000;

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
  /** Undefined while the members are unknown: what is listed after that has not been the same for any time. */
  private listKey: string | undefined;
  private stableSince = 0;
  private movedAt = -Infinity;
  /** Who has handed the role over to this member, and when. */
  private received: { readonly from: string; readonly at: number } | undefined;
  private lastOtherLeader: string | undefined;
  /** From a grant until another member leads: the release may be yet to come when leadership has ended. */
  private mayRelease = false;
  private slowCalls = 0;
  private readonly warned = new Set<string>();
  /** Whom a handover that is under way is meant for. */
  private target: string | undefined;
  private avoidTemplateHash: string | undefined;
  private timer: Timer | undefined;
  private firstList: Timer | undefined;
  private isClosed = false;

  constructor(private readonly its: PlacementDependencies) {
    its.eligibility.await('pod', 'it is not known yet who the members are');
  }

  /** A source that says nothing must not keep this process from competing. */
  start(): void {
    if (this.isClosed) return;
    this.firstList = this.its.clock.setTimer(() => this.review(), FIRST_LIST_MS);
  }

  granted(): void {
    const { elector, clock } = this.its;
    // It has come back, as the member that it was meant for did not come: that was no move.
    const wasInVain = this.target !== undefined && elector.namedInVain.includes(this.target);
    if (wasInVain) this.movedAt = -Infinity;
    this.target = undefined;
    this.avoidTemplateHash = undefined;
    this.mayRelease = true;
    const isReceived = elector.wasNamed && this.lastOtherLeader !== undefined;
    this.received = isReceived ? { from: this.lastOtherLeader!, at: clock.now() } : undefined;
    this.review();
  }

  revoked(reason: RevocationReason): void {
    const self = this.its.members()?.find(({ isSelf }) => isSelf);
    if (reason === 'handler-failed') this.avoidTemplateHash = self?.templateHash;
    this.review();
  }

  /** A person asks for a handover to this member, by its name or uid: it is the target of the one that follows (R27). */
  directTo(name: string): SuccessorChoice {
    const members = this.its.members();
    if (members === undefined) {
      return { refused: 'this leader does not know its members at the moment' };
    }
    const member = members.find((one) => one.name === name || one.uid === name);
    if (member === undefined) return { refused: `there is no member ${name}${known(members)}` };
    if (member.isSelf) return { refused: `${name} leads already` };
    if (!fitMembers(members, this.unfit).includes(member)) {
      return { refused: `${name} is not fit to lead: ${this.whyUnfit(member)}` };
    }
    this.target = member.uid;
    return { uid: member.uid };
  }

  /** Members, or who leads, have changed. */
  review(): void {
    if (this.isClosed) return;
    const { elector, eligibility } = this.its;
    this.firstList?.cancel();
    this.timer?.cancel();
    const members = this.its.members();
    if (members === undefined) {
      this.listKey = undefined;
      eligibility.judge('pod', undefined);
      eligibility.setMayHandOver(false);
      return elector.nominate(null);
    }
    const self = members.find(({ isSelf }) => isSelf);
    const leader = members.find(({ isLeader }) => isLeader);
    if (leader !== undefined && !leader.isSelf) {
      this.lastOtherLeader = leader.uid;
      this.mayRelease = false;
    }
    eligibility.judge('pod', faultOf(self));
    const others = fitMembers(members, this.unfit).filter(({ isSelf }) => !isSelf);
    eligibility.setMayHandOver(others.length > 0);
    const next = this.mayRelease ? this.choose(others, members) : undefined;
    elector.nominate(next ?? null);
    this.noteList(members);
    const reviewAt = Math.min(this.rebalance(members), this.nextEndOfRest);
    // Handing over has led to another review.
    this.timer?.cancel();
    if (reviewAt === Infinity || this.isClosed) return;
    const { clock } = this.its;
    this.timer = clock.setTimer(() => this.review(), reviewAt - clock.now());
  }

  close(): void {
    this.isClosed = true;
    this.firstList?.cancel();
    this.timer?.cancel();
  }

  private get unfit(): ReadonlySet<string> {
    const { namedInVain } = this.its.elector;
    return new Set([...namedInVain, ...this.resting.map(({ uid }) => uid)]);
  }

  private whyUnfit(member: MemberView): string {
    const fault = faultOf(member);
    if (fault !== undefined) return fault;
    return this.resting.some(({ uid }) => uid === member.uid)
      ? 'it has given leadership up lately, as it was unfit or a handler failed'
      : 'the last handover to it was in vain, as it did not acquire the lease';
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
    return this.ask(placement, others);
  }

  private spread(fit: readonly MemberView[], members: readonly MemberView[]): Map<string, string> {
    const leaders = new Map(
      members.flatMap(({ uid, leads }) => leads.map((role) => [role, uid] as const)),
    );
    const holders = new Map(this.its.roles().map((role) => [role, leaders.get(role)]));
    return spreadAssignment(
      fit.map(({ uid }) => uid),
      holders,
    );
  }

  /** Foreign code: whatever it does, the worst is that no member is named. */
  private ask(placement: PlacementFunction, others: readonly MemberView[]): string | undefined {
    if (this.slowCalls >= SLOW_CALLS_IN_A_ROW || others.length === 0) return undefined;
    const { clock } = this.its;
    const since = clock.now();
    let answer: unknown;
    try {
      answer = placement(others, this.its.roles());
    } catch (error) {
      return this.degrade('threw', `: ${messageOf(error)}`);
    } finally {
      this.noteDuration(clock.now() - since);
    }
    if (answer === undefined || answer === null) return undefined;
    // A promise that no other code handles.
    ignoreOutcome(answer);
    const uid = others.find(({ name }) => name === answer)?.uid;
    if (uid !== undefined) return uid;
    return this.degrade('returned something else than the name of one of the members it was given');
  }

  private noteDuration(tookMs: number): void {
    this.slowCalls = tookMs > SLOW_MS ? this.slowCalls + 1 : 0;
    if (this.slowCalls < SLOW_CALLS_IN_A_ROW) return;
    const often = `${SLOW_CALLS_IN_A_ROW} times in a row`;
    this.degrade(`took longer than ${SLOW_MS} ms`, ` ${often}, and is not called again`);
  }

  /** @param what is warned of once, whatever the details, which may differ each time */
  private degrade(what: string, details = ''): undefined {
    if (this.warned.has(what)) return;
    this.warned.add(what);
    this.its.warn(`the placement function ${what}${details}; releases name no successor`);
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
  private rebalance(members: readonly MemberView[]): number {
    const { placement, clock, elector, role, placementCooldownMs } = this.its;
    if (placement !== 'spread' || !elector.isLeader()) return Infinity;
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

const MOST_NAMED = 10;

function known(members: readonly MemberView[]): string {
  const others = members.filter(({ isSelf }) => !isSelf).map(({ name }) => name);
  if (others.length === 0) return ', nor any other member';
  const more = others.length > MOST_NAMED ? `, and ${others.length - MOST_NAMED} more` : '';
  return `; there are ${others.slice(0, MOST_NAMED).join(', ')}${more}`;
}

/** The first report of a pod that is not in its own list says nothing. */
function faultOf(self: MemberView | undefined): string | undefined {
  if (self === undefined) return undefined;
  if (self.isTerminating) return 'the pod is terminating';
  return self.isReady ? undefined : 'the pod is not Ready';
}
