import type { ElectionNotice } from '../../lib/core/election-state.js';
import type { ElectionFailure } from '../../lib/core/errors.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { RevocationReason, Term } from '../../lib/core/term.js';
import type { ElectionObserver } from '../../lib/elector/leader-elector.js';
import { isSlow } from './bounds.js';
import type { RandomStream } from './random-stream.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** Old news may be read up to this long after the cache was old: a read that was under way, and the answer to it. */
const STALE_NEWS_MS = 60_000;

/** Back-off, delay and lateness of timers around a request. */
const PAUSE_MS = 1_000;

/** An observer breaks its promise not to throw: the elector throws the error from a timer of its own. */
export class ObserverFault extends Error {
  constructor(private readonly replica: Replica) {
    super('the observer throws');
    replica.throwsToCome++;
  }

  thrown(): void {
    this.replica.throwsToCome--;
  }
}

/** What uses the election: handlers and work that take their time, and a check of everything it is told (S3, S6). */
export class SimulatedApplication implements ElectionObserver {
  term: Term | undefined;
  settling = false;
  /** What was reported as failed, and when, by the world's time. */
  readonly errors: { readonly at: number; readonly error: ElectionFailure }[] = [];
  /** Work of any term that has not ended. */
  private openWork = 0;
  private lossesByWall: number[] = [];
  /** A term that was given up on purpose drains, until then at most by the own clock. */
  private draining: { readonly until: number } | undefined;
  /** Number of the last term that was granted. */
  private lastTerm: number | undefined;

  private readonly successors: RandomStream;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
  ) {
    this.successors = world.stream(`successors ${replica.name}`);
  }

  get isIdleInTerm(): boolean {
    return this.term !== undefined && this.openWork === 0;
  }

  /** As a clone that finds itself in the middle of a term. */
  continues(term: Term): void {
    this.term = term;
    this.lastTerm = term.number;
  }

  onGranted(term: Term): Promise<void> | undefined {
    const { world, replica } = this;
    replica.log(`granted #${term.number} token ${term.fencingToken}`);
    world.count('granted');
    if (this.term !== undefined || !replica.elector.isLeader()) {
      world.violate('event-alternation', `${replica.name} granted #${term.number} out of turn`);
    }
    if (this.openWork > 0) {
      world.violate('event-alternation', `${replica.name} granted while work of a term runs`);
    }
    if (!replica.stands) {
      world.violate('event-alternation', `${replica.name} granted though it does not stand`);
    }
    // Two such answers do not fit into the renew deadline: the term could only end (R20).
    if (!world.scenario.strict && replica.answerTook > replica.config.renewDeadlineMs / 2 + 1) {
      const detail = `${replica.name} granted after ${replica.answerTook.toFixed(0)} ms`;
      world.violate('grant-in-time', detail);
    }
    this.term = term;
    this.lastTerm = term.number;
    this.settling = false;
    this.draining = undefined;
    this.nominate();
    replica.placement?.granted();
    world.kubelet.granted(replica, term);
    const gated = this.work();
    if (gated !== undefined) replica.elector.track(gated);
    const handled = this.work();
    if (world.now < replica.failsHandlersUntil) this.fail(handled);
    return handled;
  }

  onRevoked(term: Term, reason: RevocationReason): Promise<void> | undefined {
    const { world, replica } = this;
    replica.log(`revoked #${term.number}: ${reason}`);
    if (this.term !== term || replica.elector.isLeader() || !term.signal.aborted) {
      world.violate('event-alternation', `${replica.name} revoked #${term.number} out of turn`);
    }
    this.checkRevocation(term, reason);
    if (reason === 'ineligible') replica.eligibility.handsOver(term);
    this.term = undefined;
    if (isVoluntary(reason)) {
      const until = replica.clock.now() + Math.max(1, replica.config.drainTimeoutMs);
      this.draining = { until };
    }
    world.promisesMove('lifecycle');
    if (this.successors.chance(0.5)) this.nominate();
    if (reason === 'ineligible' || reason === 'handler-failed')
      world.succession.givesUp(replica, term);
    replica.placement?.revoked(reason);
    if (world.now < replica.failsHandlersUntil && replica.random.chance(0.5)) {
      world.count('observer-threw');
      throw new ObserverFault(replica);
    }
    return this.work();
  }

  /** Whom the release is to name, if there is one. */
  private nominate(): void {
    const { world, replica, successors } = this;
    if (!world.scenario.directs || replica.placement !== undefined) return;
    const living = world.replicas.filter(({ alive }) => alive);
    const other = successors.pick(living).config.memberUid ?? null;
    replica.elector.nominate(successors.pick([other, other, other, 'uid-gone', null]));
  }

  onNotice(notice: ElectionNotice): void {
    if (notice.kind === 'failed') this.failed(notice.error);
    else if (notice.kind === 'leader-changed') this.replica.placement?.leaderChanged();
    else if (notice.kind === 'request-answered') {
      const { request, refused } = notice;
      this.world.requests.heard(this.replica, request, refused);
    } else if (notice.kind === 'released') this.world.count('released');
    else if (notice.kind === 'named-in-vain') {
      this.world.succession.heardInVain(this.replica, notice.uid, notice.leader);
    } else if (notice.kind === 'ineligible-acquisition') this.world.count('led-ineligible');
    else if (notice.kind === 'settling') {
      this.settling = true;
      this.draining = undefined;
    }
  }

  private failed(error: ElectionFailure): void {
    const { world, replica } = this;
    replica.log(`error ${error.code}: ${error.message}`);
    if (error.code === 'ERR_DRAIN_TIMEOUT') {
      world.count('drain-timeout');
      if (this.openWork === 0) world.violate('drain-ends', `${replica.name} waits for no work`);
    }
    // It may have counted an ending that had another cause as well, and then distrusts sooner than is asked of it.
    if (error.code === 'ERR_WALL_CLOCK') this.lossesByWall = [world.now, world.now];
    if (world.healed) this.errors.push({ at: world.now, error });
  }

  /** Work that starts by itself now and then, as jobs do, and only while this process leads. */
  scheduleJob(everyMs: number): void {
    const { world, replica } = this;
    if (world.healed) return;
    world.queue.after(everyMs, replica, () => {
      if (replica.stopped) return;
      if (replica.elector.isLeader()) this.runJob();
      this.scheduleJob(everyMs);
    });
  }

  /** Some jobs leave work behind that has to end in the same term. */
  private runJob(): void {
    const { world, replica } = this;
    const job = this.work(true);
    if (job === undefined) return;
    replica.elector.track(job);
    void job.then(() => {
      if (this.term === undefined) world.count('job-outlived-term');
      const rest = replica.random.chance(0.4) ? this.work(true) : undefined;
      if (rest !== undefined) replica.elector.track(rest);
    });
  }

  /** S6: nothing is released while this process believes; as a clean release, only what was granted and has drained. */
  checkRelease(record: LeaseRecord): void {
    const { openWork, replica } = this;
    const { leaseTransitions: released, releasedTransitions: marker } = record;
    const believes = replica.elector.isLeader();
    // To others the shape of client-go's release says as much as the marker.
    const looksClean =
      marker !== null ||
      (record.leaseDurationSeconds === 1 && record.acquireTimeMicros === record.renewTimeMicros);
    const falselyClean = looksClean && (openWork > 0 || released !== this.lastTerm);
    if (believes || falselyClean) {
      this.world.violate(
        'release-after-drain',
        `${replica.name} releases #${released} with ${openWork} pieces of work open, leader: ${believes}`,
      );
    }
  }

  /** R10: a lease is renewed for its holder's work, and no longer than the drain may take. */
  checkRenewal(): void {
    const { draining, world, replica } = this;
    if (draining === undefined || replica.clock.now() <= draining.until + 1e-6) return;
    world.violate('drain-ends', `${replica.name} renews after its time to drain`);
  }

  /** R10: whoever drains in its time, and is not kept from renewing, keeps the lease meanwhile. */
  checkLostLease(taker: string): void {
    const { world, replica, draining, openWork } = this;
    if (draining === undefined || openWork === 0) return;
    // Where the clock shows less, all that was known is void, and the lease with it (R19).
    if (world.scenario.kinds.includes('clock-restore')) return;
    if (replica.clock.now() >= draining.until || world.scenario.network.steadyMs > 0) return;
    // A read that shows an old holder loses the lease for the rest of the drain (R9).
    const drainedMs = replica.config.drainTimeoutMs - (draining.until - replica.clock.now());
    const sinceStaleMs = replica.link.sinceEndOf('stale-read', world.now);
    if (sinceStaleMs * replica.clockRate < drainedMs) return;
    // Time for a request that was under way, and for the next one.
    const enoughMs = (replica.config.renewDeadlineMs + PAUSE_MS) / replica.clockRate;
    if (isHindered(world, replica.slot, world.now - enoughMs)) return;
    world.violate('drain-keeps-lease', `${taker} takes the lease while ${replica.name} drains`);
  }

  /** The handler of the grant fails, at once or when its work has ended: the term is given up, as the module does. */
  private fail(handled: Promise<void> | undefined): void {
    const { world, replica } = this;
    const giveUp = (): void => {
      const cooldownMs = replica.random.next() * replica.config.leaseDurationMs;
      if (replica.stepDown(cooldownMs, 'handler-failed')) world.count('handler-failed');
    };
    if (handled === undefined) giveUp();
    else void handled.then(giveUp);
  }

  /** Nobody is revoked because of old news, or for want of a renewal that could have been made. */
  private checkRevocation(term: Term, reason: RevocationReason): void {
    const { scenario, store } = this.world;
    if (reason === 'renew-deadline') return this.checkLoss(term);
    if (
      scenario.restores ||
      scenario.clones ||
      (reason !== 'superseded' && reason !== 'lease-deleted')
    )
      return;
    // A read that shows an old holder ends a term, whatever the age of what it shows (R9).
    if (this.replica.link.sinceEndOf('stale-read', this.world.now) < STALE_NEWS_MS) return;
    if (store.changedHandsAt <= term.fencingToken) {
      this.world.violate('needless-revocation', `${this.replica.name} #${term.number}: ${reason}`);
    }
  }

  /**
   * R18: where every failure is told at once, the pauses after it leave time for one more request before the end of
   * validity.
   */
  private checkLoss({ number }: Term): void {
    const { world, replica } = this;
    const { renewDeadlineMs, requestTimeoutMs } = replica.config;
    const { clockRate, slot } = replica;
    const calmMs = (renewDeadlineMs + 2 * requestTimeoutMs) / clockRate;
    // It had to find out first how slow the server is (R20).
    const { candidates, network } = world.scenario;
    if (isSlow(candidates, network.steadyMs)) return;
    // The request that was under way, the read-back and the renewal, each as slow as the server is.
    const lastTryMs = (requestTimeoutMs + PAUSE_MS) / clockRate + 3 * network.steadyMs;
    const isWallAmiss = world.hinderedUntil('wall', slot) > world.now - calmMs;
    const isHindered =
      world.hinderedUntil('any', slot) > world.now - calmMs ||
      world.hinderedUntil('refusal', slot) > world.now - lastTryMs;
    if (isHindered) {
      // Whether the wall clock ended it or the other trouble cannot be told: the count begins again.
      if (isWallAmiss) this.lossesByWall = [];
      return;
    }
    if (isWallAmiss) return this.countLossByWall();
    world.violate('needless-loss', `${replica.name} #${number} was not renewed though it could be`);
  }

  /** R19: a wall clock that has ended three terms within 20 D ends none before it was right for 10 D. */
  private countLossByWall(): void {
    const { world, replica } = this;
    world.count('lost-by-wall-clock');
    const leaseMs = replica.config.leaseDurationMs / replica.clockRate;
    const [first, , third] = this.lossesByWall;
    const isDistrusted = third !== undefined && third - first! < 20 * leaseMs;
    const isTooSoon = isDistrusted && world.now - third < 10 * leaseMs;
    // Once it is trusted again, what it did before no longer counts.
    const before = isDistrusted && !isTooSoon ? [] : this.lossesByWall.slice(-2);
    this.lossesByWall = [...before, world.now];
    if (isTooSoon) world.violate('wall-flapping', `${replica.name} loses a term by its wall clock`);
  }

  /** Work of a term: now and then it takes much longer than anybody wants to wait. */
  private work(always = false): Promise<void> | undefined {
    const { world, replica } = this;
    const happens = always || replica.random.chance(replica.traits.slowWorkShare);
    if (world.healed || !happens) return undefined;
    const longest = 2 * replica.config.drainTimeoutMs + replica.config.leaseDurationMs;
    const left = world.scenario.healAt - world.now - 1;
    const ms = Math.min(left, replica.random.next() ** 2 * longest);
    this.openWork++;
    return new Promise<void>((resolve) => {
      world.queue.after(ms, replica, () => {
        this.openWork--;
        world.promisesMove('lifecycle');
        resolve();
      });
    });
  }
}

function isHindered(world: World, slot: number, since: number): boolean {
  const kinds = ['any', 'refusal', 'wall'] as const;
  return kinds.some((kind) => world.hinderedUntil(kind, slot) > since);
}

function isVoluntary(reason: RevocationReason): boolean {
  return reason !== 'renew-deadline' && reason !== 'superseded' && reason !== 'lease-deleted';
}
