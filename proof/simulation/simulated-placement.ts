import type { Member, MemberView } from '../../lib/core/member.js';
import type { RolePlacement } from '../../lib/nest/role-placement.js';
import type { RandomStream } from './random-stream.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** Members are seen up to so much later than they are. */
const OLDEST_VIEW_MS = 5_000;
const STABLE_MS = 5_000;
/** Virtual clocks compute. */
const ROUNDING_MS = 1;
const ROLE = 'role';
/** Other roles of the same application, which others lead as it comes. */
const OTHER_ROLES = ['second', 'third'];

/** The placement of the library in one process, and what it may do with the lease (R25, R26). */
export class SimulatedPlacement {
  private readonly placement: RolePlacement;
  private readonly random: RandomStream;
  private members: readonly Member[] | undefined;
  private listKey = '';
  /** By the own clock. */
  private listedSince = -Infinity;
  private movedAt = -Infinity;
  /** The role came by a release that named this process, and whose that was. */
  private receivedAt = -Infinity;
  private receivedFrom: string | undefined;
  private lastLeader: string | undefined;
  private nominee: string | null = null;
  private moveTarget: string | null = null;
  private others: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
    private readonly places: 'newest' | 'spread',
  ) {
    this.random = world.stream(`placement ${replica.name}`);
    const { elector, clock, eligibility } = replica;
    this.placement = new world.engine.RolePlacement({
      role: ROLE,
      placement: places,
      placementCooldownMs: world.placementCooldownMs,
      clock,
      elector: {
        isLeader: () => elector.isLeader(),
        get namedInVain() {
          return elector.namedInVain;
        },
        get resting() {
          return elector.resting;
        },
        get wasNamed() {
          return elector.wasNamed;
        },
        nominate: (uid) => {
          this.nominee = uid;
          elector.nominate(uid);
        },
        stepDown: (cooldownMs) => this.moves(cooldownMs),
      },
      eligibility: {
        await: () => {},
        judge: () => {},
        setMayHandOver: (mayHandOver) => eligibility.setMayHandOver(mayHandOver),
      },
      members: () => this.views(),
      roles: () => (world.healed ? [ROLE] : [ROLE, ...OTHER_ROLES]),
      warn: (text) => world.violate('no-exception', text),
    });
  }

  granted(): void {
    const { elector, clock } = this.replica;
    // It may lead later, and is then no longer known as named in vain.
    if (elector.namedInVain.includes(this.moveTarget ?? '')) this.movedAt = -Infinity;
    this.receivedAt = elector.wasNamed ? clock.now() : -Infinity;
    this.receivedFrom = this.lastLeader;
    this.placement.granted();
  }

  revoked(...[reason]: Parameters<RolePlacement['revoked']>): void {
    this.placement.revoked(reason);
  }

  leaderChanged(): void {
    this.noteLeader();
    this.placement.review();
  }

  close(): void {
    this.placement.close();
  }

  /** Sees the others as they are at this moment, and again some time later. */
  look(): void {
    const { world, replica, random } = this;
    if (replica.stopping) return;
    replica.activity++;
    this.members = world.replicas
      .filter(({ alive }) => alive)
      .map((other) => ({
        name: other.config.identity,
        uid: other.config.memberUid!,
        isReady: world.healed || random.chance(0.97),
        isTerminating: other.stopping,
        createdAt: new Date(other.id * 1_000),
        isSelf: other === replica,
      }));
    const key = JSON.stringify(
      this.members.map((one) => [one.uid, one.isReady, one.isTerminating]),
    );
    this.noteLeader();
    if (key !== this.listKey) this.listedSince = replica.clock.now();
    this.listKey = key;
    const { members } = this;
    this.others = new Map(OTHER_ROLES.map((role) => [role, random.pick([...members]).uid]));
    this.placement.review();
    world.queue.after(random.between(50, OLDEST_VIEW_MS), replica, () => this.look());
  }

  /** A leader that is not in the list yet is nobody to hand a role back to. */
  private noteLeader(): void {
    const { leader } = this.replica.elector;
    const other = this.members?.find(({ name, isSelf }) => name === leader && !isSelf);
    if (other !== undefined) this.lastLeader = other.name;
  }

  private views(): readonly MemberView[] | undefined {
    const { leader } = this.replica.elector;
    return this.members?.map((member) => {
      const { name, uid, isReady, isTerminating, createdAt, isSelf } = member;
      const isLeader = name === leader;
      const led = OTHER_ROLES.filter((role) => this.others.get(role) === uid);
      const leads = isLeader ? [ROLE, ...led] : led;
      return { name, uid, isReady, isTerminating, createdAt, isSelf, isLeader, leads };
    });
  }

  /** 'newest' never hands over by itself; 'spread' does when the list has stayed the same, and not again soon. */
  private moves(cooldownMs: number): boolean {
    const { world, replica, places } = this;
    const now = replica.clock.now();
    const { sleeps, restores, lawless } = world.scenario;
    const isSoon = now < this.movedAt + world.placementCooldownMs - ROUNDING_MS;
    const isGiverThere = this.members!.some(
      ({ name, isTerminating }) => name === this.receivedFrom && !isTerminating,
    );
    const isReturned =
      isGiverThere && now < this.receivedAt + world.placementCooldownMs - ROUNDING_MS;
    const isUnstable = now < this.listedSince + STABLE_MS - ROUNDING_MS;
    const isExact = !sleeps && !restores && !lawless;
    if (places === 'newest' || (isExact && (isSoon || isReturned || isUnstable))) {
      world.violate('move-is-due', `${replica.name} hands over to ${this.nominee}`);
    }
    this.movedAt = now;
    this.moveTarget = this.nominee;
    const led = replica.stepDown(cooldownMs, 'stepped-down');
    if (led) world.count('moved-to-spread');
    return led;
  }
}
