import type { LockRequest } from '../../lib/core/election-state.js';
import { holdsLease } from './elector-memory.js';
import type { Outcome } from './network.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

const WINDOW_MS = 10_000;

/** Reads after a change of role, a lost answer, a resumption. */
const SPARE = 4;

const WATCH_WINDOW_MS = 60_000;
const WATCH_OPENS = 12;

/** The failures after which the next attempt waits longer. */
const SLOWED: readonly string[] = ['not-applied', 'unknown'];

type Replacement = Extract<LockRequest, { verb: 'replace' }>;

interface Window {
  readonly endsAt: number;
  readonly newsBefore: number;
  readonly opensBefore: number;
  asHolder: number;
  asFollower: number;
}

/** S8: how many requests one process may send in a window of time, whatever goes wrong. */
export class RequestBudget {
  private window: Window = { endsAt: 0, newsBefore: 0, opensBefore: 0, asHolder: 0, asFollower: 0 };
  /** The version that a replacement of ours last conflicted with, and since when that is known. */
  private refuted: { readonly revision: bigint; readonly since: number } | undefined;
  /** The newest known one, and after a restore the newest since. */
  private newestRevision = -1n;
  private voidAgainAt = 0;
  /** Acquisitions of one version in a row that failed in the same way, and when the last of them was sent. */
  private failed: { revision: bigint; as: string; count: number; sentAt: number } | undefined;
  private attemptSentAt = 0;
  private isAttemptAnswered = true;
  private opened: readonly number[] = [];

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
  ) {}

  /** R21: a watch that hears nothing is opened at ever longer distances, and no failure of a request opens it. */
  opensWatch(): void {
    const { now, replica, world } = this;
    this.opened = [...this.opened.filter((at) => at > now - WATCH_WINDOW_MS), now];
    // Each thing that is heard in between starts the distances from one second again.
    const longestPauses = WATCH_WINDOW_MS / replica.config.leaseDurationMs;
    if (this.opened.length <= longestPauses + WATCH_OPENS + replica.watchInterruptions) return;
    const detail = `${replica.name} opened ${this.opened.length} watches within ${WATCH_WINDOW_MS} ms`;
    world.violate('watch-budget', detail);
    this.opened = [];
  }

  spend(request: LockRequest): void {
    if (request.verb === 'replace' && isAcquisition(request)) this.checkAttempt(request);
    const { world, replica } = this;
    const { now } = this;
    if (now >= this.window.endsAt) {
      const news = world.store.news - replica.ownNews;
      const { opens } = replica;
      const endsAt = now + WINDOW_MS;
      this.window = { endsAt, newsBefore: news, opensBefore: opens, asHolder: 0, asFollower: 0 };
    }
    const { window } = this;
    if (holdsLease(replica.elector)) this.check('holder', ++window.asHolder, this.ofHolder());
    else this.check('follower', ++window.asFollower, this.ofFollower());
  }

  hears(revision: bigint): void {
    if (revision > this.newestRevision) this.newestRevision = revision;
  }

  /** What came back: a conflict refutes a version, and a read below what was known voids that. */
  learns(request: LockRequest, outcome: Outcome): void {
    if (request.verb === 'replace' && isAcquisition(request))
      this.learnsOfAttempt(request, outcome);
    if (outcome.kind !== 'found' && outcome.kind !== 'applied') return;
    const { revision } = outcome.stored;
    const isOlder = revision < this.newestRevision || revision < (this.refuted?.revision ?? 0n);
    this.hears(revision);
    const { now, replica } = this;
    // Two servers of different age look like a restored store again and again: that counts once per lease duration.
    if (outcome.kind !== 'found' || !isOlder || now < this.voidAgainAt) return;
    this.voidAgainAt = now + replica.config.leaseDurationMs - 1;
    this.newestRevision = revision;
    this.refuted = undefined;
    // A read below what was known is news, and the first attempt after news is not delayed.
    this.failed = undefined;
  }

  private learnsOfAttempt({ expected: { revision } }: Replacement, outcome: Outcome): void {
    const { kind } = outcome;
    this.isAttemptAnswered = true;
    if (kind === 'conflict') this.refuted = { revision, since: this.now };
    // A server that cannot be reached bears nothing, and is to be found again soon.
    if ('error' in outcome && outcome.error.reason === 'unreachable') {
      this.failed = undefined;
      return;
    }
    const { failed, attemptSentAt } = this;
    const again = failed?.revision === revision && failed.as === kind;
    const count = again ? failed.count + 1 : 1;
    this.failed = { revision, as: kind, count, sentAt: attemptSentAt };
  }

  /**
   * R21: what has conflicted with a version does so again, but for a restored store; and what has failed several times
   * in one way is tried at ever longer distances.
   */
  private checkAttempt({ expected: { revision } }: Replacement): void {
    const { refuted, failed, now, replica, world } = this;
    const { leaseDurationMs, retryPeriodMs } = replica.config;
    const since = refuted?.revision === revision ? now - refuted.since : Infinity;
    if (since < leaseDurationMs - 1) {
      const detail = `${replica.name} tries version ${revision} again after ${since.toFixed(0)} ms`;
      world.violate('conflict-remembered', detail);
    }
    // One that was given up without an answer failed in another way than its neighbours.
    if (!this.isAttemptAnswered) this.failed = undefined;
    this.isAttemptAnswered = false;
    this.attemptSentAt = now;
    if (failed?.revision !== revision || !SLOWED.includes(failed.as)) return;
    // The proof of a death is news too.
    const { reportsDeath, watchesPods } = world.scenario;
    if (replica.stopping || reportsDeath || watchesPods) return;
    const leastMs = 0.8 * Math.min(retryPeriodMs * 2 ** (failed.count - 1), leaseDurationMs);
    if (now - failed.sentAt >= leastMs - 1) return;
    const detail = `${replica.name} makes attempt ${failed.count + 1} after ${(now - failed.sentAt).toFixed(0)} ms`;
    world.violate('repetition-slows-down', detail);
  }

  /** Not the clock of the process, which may be set back. */
  private get now(): number {
    return this.world.now * this.replica.clockRate;
  }

  /** One renewal per retry period; where something fails, a write and a read-back per back-off (R9). */
  private ofHolder(): number {
    const { world, replica } = this;
    const { retryPeriodMs } = replica.config;
    const since = world.now - (2 * WINDOW_MS) / replica.clockRate;
    const hindered =
      world.hinderedUntil('any', replica.slot) > since ||
      world.hinderedUntil('refusal', replica.slot) > since;
    if (hindered) return (2 * WINDOW_MS) / Math.min(250, 0.8 * retryPeriodMs) + 20;
    return (1.25 * WINDOW_MS) / retryPeriodMs + 2 * SPARE;
  }

  /** A look and an attempt per retry period, and both again at once when the lease changes hands. */
  private ofFollower(): number {
    const { world, replica, window } = this;
    const periods = WINDOW_MS / (0.5 * replica.config.retryPeriodMs) + 1;
    const news = world.store.news - replica.ownNews - window.newsBefore;
    const opens = replica.opens - window.opensBefore;
    // Who has to end within two timeouts does not wait for a retry period.
    const atTheEnd = replica.stopping ? (4 * replica.config.requestTimeoutMs) / 250 : 0;
    return 2 * periods + 2 * news + opens + atTheEnd + SPARE;
  }

  private check(role: string, spent: number, allowed: number): void {
    if (spent <= allowed) return;
    const { world, replica } = this;
    const detail = `${replica.name} sent ${spent} requests as ${role} within ${WINDOW_MS} ms`;
    world.violate('request-budget', detail);
    this.window.asFollower = this.window.asHolder = -Infinity;
  }
}

/** The acquiring write has one time twice. */
function isAcquisition({ record }: Replacement): boolean {
  const { acquireTimeMicros, renewTimeMicros, holderIdentity } = record;
  return holderIdentity !== '' && acquireTimeMicros === renewTimeMicros;
}
