import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { Term } from '../../lib/core/term.js';
import type { LeaseStore } from './lease-store.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** The shortest and the additional grace of R23, on the clock of whoever waits. */
const GRACE_MS = 1_000;
const LET_GO_MS = 2_000;

/** Clocks are sums of floating-point numbers. */
const ROUNDING_MS = 1e-3;

/** What a release that names a successor asks of all others (R23). */
export class SuccessionCheck {
  /** The last release, and whom it names. */
  private released: { readonly at: number; readonly uid: string | undefined } | undefined;
  /** Whom a process has followed on a release that named another one, and in which term. */
  private readonly passedOver = new Map<Replica, { readonly uid: string; readonly term: number }>();
  /** Who has followed on a release that named another one: both names. */
  private readonly followed = new Set<string>();

  /** Who has given up in which term, and when a record that says it, or its release, was applied; Infinity before. */
  private readonly gaveUp = new Map<string, { readonly term: number; at: number }>();

  constructor(private readonly world: World) {}

  givesUp({ config: { memberUid } }: Replica, { number }: Term): void {
    if (memberUid !== undefined) this.gaveUp.set(memberUid, { term: number, at: Infinity });
  }

  namedSince(at: number): string | undefined {
    return this.released !== undefined && this.released.at >= at ? this.released.uid : undefined;
  }

  checkWrite(replica: Replica, record: LeaseRecord): void {
    const { successor, holderIdentity, leaseTransitions, releasedTransitions } = record;
    if (successor === undefined) return;
    const { uid, transitions } = successor;
    const isClean = holderIdentity === '' && releasedTransitions === leaseTransitions;
    if (!isClean || transitions !== leaseTransitions || uid === replica.config.memberUid) {
      const detail = `${replica.name} names ${uid} in "${holderIdentity}" #${leaseTransitions}`;
      this.world.violate('name-on-release-only', detail);
    }
    this.checkRest(replica, uid, leaseTransitions);
    const before = this.passedOver.get(replica);
    if (before?.term !== leaseTransitions || before.uid !== uid) return;
    this.world.violate('vain-name-repeated', `${replica.name} names ${uid} again`);
  }

  checkApplied(
    replica: Replica,
    record: LeaseRecord,
    before: Pick<LeaseStore, 'lease' | 'writer' | 'writtenAt'>,
  ): void {
    const { world } = this;
    this.noteStored(record.gaveUp?.uid, record.gaveUp?.transitions);
    if (record.holderIdentity === '') {
      this.noteStored(replica.config.memberUid, record.leaseTransitions);
      this.released = { at: world.now, uid: record.successor?.uid };
      return;
    }
    const former = before.lease?.record;
    // A lease that was deleted begins with the same numbers again.
    if (former?.holderIdentity !== record.holderIdentity) this.passedOver.delete(replica);
    this.noteFollowed(former);
    const named = nameIn(former);
    if (named === undefined) return;
    if (named === replica.config.memberUid) return world.count('named-followed');
    world.count('named-in-vain');
    this.passedOver.set(replica, { uid: named, term: record.leaseTransitions });
    const { lawless, restores, clones } = world.scenario;
    if (lawless || restores || clones || world.restored) return;
    const graceMs = Math.min(replica.config.retryPeriodMs, GRACE_MS);
    const leastMs = before.writer === replica.id ? graceMs + LET_GO_MS : graceMs;
    const waitedMs = (world.now - before.writtenAt) * replica.clockRate;
    if (waitedMs >= leastMs - ROUNDING_MS) return;
    const detail = `${replica.name} follows after ${waitedMs.toFixed(1)} ms a release that names ${named}`;
    world.violate('grace-respected', detail);
  }

  private noteStored(uid: string | undefined, term: number | undefined): void {
    const givenUp = uid === undefined ? undefined : this.gaveUp.get(uid);
    if (givenUp !== undefined && givenUp.term === term) {
      givenUp.at = Math.min(givenUp.at, this.world.now);
    }
  }

  /** The lease has another version, perhaps with another holder. */
  noteFollowed(former: LeaseRecord | undefined): void {
    const holder = this.world.store.lease?.record.holderIdentity;
    const named = nameIn(former);
    if (named !== undefined && holder) this.followed.add(`${named} ${holder}`);
  }

  /** A name of another term means nothing, however long other clients have kept it. */
  heardInVain(replica: Replica, uid: string, leader: string): void {
    const { lawless, restores, clones, kinds } = this.world.scenario;
    if (lawless || restores || clones || this.followed.has(`${uid} ${leader}`)) return;
    // What makes a release an acquisition looks to who polls like another's in the place of the one that was named.
    if (kinds.includes('webhook')) return;
    const detail = `${replica.name} heeds a name of another term: ${uid}, where ${leader} follows`;
    this.world.violate('stale-name-ignored', detail);
  }

  /**
   * Who gave up in the term before is known to whoever follows, and who gave up before that to whoever follows then (R25). Other
   * clients, webhooks and people take marks off.
   */
  private checkRest(replica: Replica, uid: string, term: number): void {
    const { scenario, placementCooldownMs, now } = this.world;
    const { lawless, restores, sleeps, kinds, places } = scenario;
    const givenUp = this.gaveUp.get(uid);
    if (places === undefined || givenUp === undefined) return;
    if (lawless || restores || sleeps || this.world.restored) return;
    if (kinds.includes('webhook') || kinds.includes('stranger') || kinds.includes('broken-lock'))
      return;
    const termsAgo = term - givenUp.term;
    // Where neither its renewals nor its release came through, no other can know.
    if (termsAgo < 1 || termsAgo > 2 || givenUp.at === Infinity) return;
    // A record has room for one, and says it of the last.
    const gaveUpSince = [...this.gaveUp.values()].some((other) => other.term === term - 1);
    if (termsAgo === 2 && gaveUpSince) return;
    const elapsedMs = (now - givenUp.at) * replica.clockRate;
    if (elapsedMs >= 10 * placementCooldownMs - 1) return;
    const detail = `${replica.name} names ${uid}, which gave up #${givenUp.term} ${elapsedMs.toFixed(0)} ms ago`;
    this.world.violate('rest-respected', detail);
  }

  /** In the calm the named one is first, if it can be at all. */
  judgeHandover(process: number): void {
    const { world } = this;
    const { candidates, network, handoverAt, coordinated } = world.scenario;
    // Each of them leaves the lease to a coordinator first, and no two clocks agree on how long that is.
    if (coordinated) return;
    const uid = this.namedSince(handoverAt);
    const named = world.replicas.find(({ config }) => config.memberUid === uid);
    if (uid === undefined || named?.alive !== true || !named.stands) return;
    const slowestMs = 2 * (2 * network.mostDelayMs + network.latestTimerMs) + network.steadyMs;
    const graces = candidates.map(({ config, clock }) => config.retryPeriodMs / clock.rate);
    const isFast = candidates.every(({ watches }) => watches) && slowestMs < 0.5 * GRACE_MS;
    if (!isFast || slowestMs >= 0.5 * Math.min(...graces)) return;
    world.count('named-first');
    const first = world.replicas[process];
    if (first?.config.memberUid === uid) return;
    world.violate('named-first', `${first?.name} follows a release that names ${named.name}`);
  }
}

/**
 * Whom a stored release names: only the term that it ends can have done so, and only by a clean release. What something
 * has altered on the way is not the one that was sent.
 */
function nameIn(record: LeaseRecord | undefined): string | undefined {
  if (record?.holderIdentity !== '') return undefined;
  const { successor, leaseTransitions, releasedTransitions } = record;
  if (releasedTransitions !== leaseTransitions) return undefined;
  return successor?.transitions === leaseTransitions ? successor.uid : undefined;
}
