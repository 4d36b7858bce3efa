import type { Clock, Timer } from '../../lib/core/clock.js';
import type { MemberView } from '../../lib/core/member.js';
import { spreadAssignment } from '../../lib/core/placement.js';
import { RolePlacement } from '../../lib/nest/role-placement.js';
import { EventQueue } from '../simulation/event-queue.js';
import { RandomStream } from '../simulation/random-stream.js';

/** How old what a pod sees of the others may be. */
const OLDEST_VIEW_MS = 5_000;
const COOLDOWN_MS = 30_000;
const LEASE_MS = 15_000;
const LATEST_TAKEOVER_MS = 1_000;
const LONGEST_START_MS = 3_000;
/** From the signal to the end of a pod. */
const ENDING_MS = 2_000;
/** From a release to the grant: of whom it names, and of whoever comes first. */
const NAMED_MS = 20;
const ANYONE_MS = 1_020;

interface Pod {
  readonly uid: string;
  readonly createdAt: Date;
  readonly placements: Map<string, RolePlacement>;
  /** Of all pods, and of who leads, as this one sees them. */
  seen: readonly SeenPod[];
  seenAt: number;
  seenHolders: ReadonlyMap<string, string | undefined>;
  seenHoldersAt: number;
  state: 'starting' | 'ready' | 'terminating' | 'gone';
}

type SeenPod = Pick<MemberView, 'uid' | 'isReady' | 'isTerminating' | 'createdAt'>;

/** A role that was handed over so that the roles are spread. */
interface Move {
  readonly at: number;
  readonly role: string;
}

/** Roles that are spread over pods that come and go, by the placement of the library; the election is a model. */
class SpreadModel {
  readonly moves: Move[] = [];
  private readonly queue = new EventQueue();
  private readonly pods: Pod[] = [];
  private readonly holders = new Map<string, string | undefined>();
  private readonly clock: Clock;
  private balancedSince: number | undefined;

  constructor(
    private readonly roles: readonly string[],
    private readonly random: RandomStream,
    /** How old what a pod sees of the leaders may be. */
    private readonly oldestHoldersMs: number,
  ) {
    const { queue } = this;
    this.clock = {
      now: () => queue.now,
      wallMicros: () => queue.now * 1_000,
      suspendedMs: () => 0,
      setTimer: (callback, delayMs): Timer => {
        const event = queue.after(delayMs, null, callback);
        return { cancel: () => (event.cancelled = true) };
      },
    };
    for (const role of roles) {
      this.holders.set(role, undefined);
      this.vain.set(role, new Set());
    }
  }

  get now(): number {
    return this.queue.now;
  }

  get readyPods(): readonly string[] {
    return this.pods.filter(({ state }) => state === 'ready').map(({ uid }) => uid);
  }

  /** Since when every ready pod leads its share, and every role is led; undefined while that is not so. */
  get isBalancedSince(): number | undefined {
    return this.balancedSince;
  }

  /** How many roles have to move from one ready pod to another before all lead their share. */
  get fewestMoves(): number {
    const assignment = spreadAssignment(this.readyPods, this.holders);
    const isReady = (uid: string | undefined): boolean =>
      uid !== undefined && this.readyPods.includes(uid);
    return [...this.holders].filter(
      ([role, holder]) => isReady(holder) && assignment.get(role) !== holder,
    ).length;
  }

  run(ms: number): void {
    const until = this.now + ms;
    for (let event = this.queue.next(until); event !== undefined; event = this.queue.next(until)) {
      event.happen();
    }
  }

  /** A pod starts and is ready after a while. Roles that nobody leads are taken by whoever comes first. */
  start(readyAfterMs = this.random.between(500, LONGEST_START_MS)): void {
    const pod: Pod = {
      uid: `pod-${this.pods.length}`,
      createdAt: new Date(this.pods.length * 1_000),
      placements: new Map(),
      seen: [],
      seenAt: 0,
      seenHolders: new Map(),
      seenHoldersAt: 0,
      state: 'starting',
    };
    this.pods.push(pod);
    for (const role of this.roles) pod.placements.set(role, this.placementOf(pod, role));
    this.changed();
    this.queue.after(readyAfterMs, null, () => {
      if (pod.state !== 'starting') return;
      pod.state = 'ready';
      this.changed();
      for (const [role, holder] of this.holders) {
        if (holder === undefined) this.free(role);
      }
    });
  }

  /** It terminates, and releases what it leads to whom its placement has named. */
  stop(uid: string): void {
    const pod = this.podOf(uid);
    pod.state = 'terminating';
    for (const role of this.roles) if (this.holders.get(role) === uid) this.release(pod, role);
    this.changed();
    this.queue.after(ENDING_MS, null, () => this.end(pod));
  }

  /** Others take over when its leases have run out. */
  crash(uid: string): void {
    const pod = this.podOf(uid);
    this.end(pod);
    for (const role of this.roles) {
      if (this.holders.get(role) !== uid) continue;
      this.holders.set(role, undefined);
      this.free(role, LEASE_MS + this.random.between(0, LATEST_TAKEOVER_MS));
    }
    this.changed();
  }

  /** Pods and roles of which it was named. */
  private readonly named = new Set<string>();
  /** Of each role, who was named and did not come. */
  private readonly vain = new Map<string, Set<string>>();
  private readonly nominees = new Map<string, string | null>();

  private placementOf(pod: Pod, role: string): RolePlacement {
    const key = `${pod.uid} ${role}`;
    const { named } = this;
    const vain = this.vain.get(role)!;
    const leads = (): boolean => this.holders.get(role) === pod.uid;
    return new RolePlacement({
      role,
      placement: 'spread',
      placementCooldownMs: COOLDOWN_MS,
      clock: this.clock,
      elector: {
        get wasNamed() {
          return named.has(key);
        },
        isLeader: leads,
        get namedInVain() {
          return [...vain];
        },
        resting: [],
        nominate: (uid) => void this.nominees.set(key, uid),
        stepDown: () => {
          if (!leads()) return false;
          this.release(pod, role, { at: this.now, role });
          return true;
        },
      },
      eligibility: { await: () => {}, judge: () => {}, setMayHandOver: () => {} },
      members: () => this.viewOf(pod, role),
      roles: () => this.roles,
      warn: (text) => {
        throw new Error(text);
      },
    });
  }

  private release(pod: Pod, role: string, move?: Move): void {
    this.holders.set(role, undefined);
    pod.placements.get(role)!.revoked('stepped-down');
    const named = this.nominees.get(`${pod.uid} ${role}`) ?? undefined;
    if (named === undefined) return this.free(role);
    this.queue.after(NAMED_MS, null, () => {
      if (this.podOf(named).state === 'ready') {
        if (move !== undefined) this.moves.push(move);
        return this.grant(role, named, true);
      }
      this.vain.get(role)!.add(named);
      this.free(role);
    });
  }

  private free(role: string, afterMs = ANYONE_MS): void {
    this.queue.after(afterMs, null, () => {
      const ready = this.readyPods;
      if (this.holders.get(role) === undefined && ready.length > 0) {
        this.grant(role, this.random.pick(ready), false);
      }
    });
  }

  private grant(role: string, uid: string, isNamed: boolean): void {
    if (this.holders.get(role) !== undefined) return;
    this.holders.set(role, uid);
    this.vain.get(role)!.delete(uid);
    const key = `${uid} ${role}`;
    if (isNamed) this.named.add(key);
    else this.named.delete(key);
    this.changed();
    this.podOf(uid).placements.get(role)!.granted();
  }

  private end(pod: Pod): void {
    pod.state = 'gone';
    for (const placement of pod.placements.values()) placement.close();
    this.changed();
  }

  private podOf(uid: string): Pod {
    return this.pods.find((pod) => pod.uid === uid)!;
  }

  /** Every pod hears of it in its own time, of the pods by one watch and of who leads by others. */
  private changed(): void {
    this.noteBalance();
    const since = this.now;
    const holders = new Map(this.holders);
    const seen = this.pods
      .filter(({ state }) => state !== 'gone')
      .map(({ uid, createdAt, state }): SeenPod => ({
        uid,
        createdAt,
        isReady: state !== 'starting',
        isTerminating: state === 'terminating',
      }));
    for (const pod of this.pods) {
      if (pod.state === 'gone') continue;
      this.hears(pod, OLDEST_VIEW_MS, () => {
        // What is older comes later now and then; it is not news.
        if (pod.seenAt > since) return;
        pod.seen = seen;
        pod.seenAt = since;
      });
      this.hears(pod, this.oldestHoldersMs, () => {
        if (pod.seenHoldersAt > since) return;
        pod.seenHolders = holders;
        pod.seenHoldersAt = since;
      });
    }
  }

  private hears(pod: Pod, latestMs: number, learn: () => void): void {
    this.queue.after(this.random.between(0, latestMs), null, () => {
      if (pod.state === 'gone') return;
      learn();
      for (const placement of pod.placements.values()) placement.review();
    });
  }

  /** What a pod leads itself it knows at once. */
  private viewOf(pod: Pod, role: string): readonly MemberView[] {
    const leads = new Map<string, string[]>();
    for (const [other, seen] of pod.seenHolders) {
      const isOwn = this.holders.get(other) === pod.uid;
      const holder = isOwn ? pod.uid : seen === pod.uid ? undefined : seen;
      if (holder !== undefined) leads.set(holder, [...(leads.get(holder) ?? []), other]);
    }
    return pod.seen.map((seen) => ({
      ...seen,
      name: seen.uid,
      isSelf: seen.uid === pod.uid,
      isLeader: leads.get(seen.uid)?.includes(role) === true,
      leads: leads.get(seen.uid) ?? [],
    }));
  }

  private noteBalance(): void {
    const ready = this.readyPods;
    const loads = ready.map((uid) => [...this.holders.values()].filter((of) => of === uid).length);
    const led = loads.reduce((sum, load) => sum + load, 0);
    const isBalanced = led === this.roles.length && Math.max(...loads) - Math.min(...loads) <= 1;
    if (!isBalanced) this.balancedSince = undefined;
    else this.balancedSince ??= this.now;
  }
}

export interface SpreadResult {
  readonly changes: number;
  /** Roles that were handed over in order to be spread, for each change of the members. */
  readonly moves: number;
  /** What no balanced placement could do with less, where all leaders knew all at the instant of the change. */
  readonly fewest: number;
  /** From a change, or after a crash from when others lead its roles, until every member leads its share. */
  readonly longestMs: number;
  readonly unbalanced: number;
  /** Roles that were handed over again within 30 s. */
  readonly again: number;
}

/** Pods come and go at random, a minute or two apart. */
export function spreadWhileMembersChange(
  roles: number,
  pods: number,
  { seed, changes, oldestHoldersMs }: { seed: number; changes: number; oldestHoldersMs: number },
): SpreadResult {
  const random = new RandomStream(seed, `${roles} roles ${pods} pods`);
  const names = Array.from({ length: roles }, (_, role) => `role-${role}`);
  const model = new SpreadModel(names, random, oldestHoldersMs);
  for (let pod = 0; pod < pods; pod++) model.start();
  model.run(120_000);
  const before = model.moves.length;
  let [fewest, longestMs, unbalanced] = [0, 0, 0];
  for (let change = 0; change < changes; change++) {
    model.run(changeMembers(model, random, pods));
    const since = model.now;
    fewest += model.fewestMoves;
    model.run(random.pick([60_000, 120_000]));
    const balancedAt = model.isBalancedSince;
    if (balancedAt === undefined) unbalanced++;
    else longestMs = Math.max(longestMs, balancedAt - since);
  }
  const moves = model.moves.slice(before);
  const again = moves.filter(({ role, at }, index) =>
    moves.slice(0, index).some((former) => former.role === role && at - former.at < COOLDOWN_MS),
  ).length;
  return {
    changes,
    moves: moves.length / changes,
    fewest: fewest / changes,
    longestMs: Math.round(longestMs),
    unbalanced,
    again,
  };
}

/** Answers after which time the change has come to everybody that it changes. */
function changeMembers(model: SpreadModel, random: RandomStream, pods: number): number {
  const ready = model.readyPods;
  const kinds = ['start', 'stop', 'crash'] as const;
  const kind = ready.length < Math.max(2, pods - 2) ? 'start' : random.pick(kinds);
  if (kind === 'start' && ready.length < pods + 3) {
    model.start();
    return LONGEST_START_MS;
  }
  if (kind !== 'crash') {
    model.stop(random.pick(ready));
    return ENDING_MS;
  }
  model.crash(random.pick(ready));
  return LEASE_MS + LATEST_TAKEOVER_MS;
}
