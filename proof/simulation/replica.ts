import type { ElectionConfig, LockRequest } from '../../lib/core/election-state.js';
import type { Term } from '../../lib/core/term.js';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import { answerContinued, continueElection, startContinued } from './elector-memory.js';
import type { EventOwner, SimulatedEvent } from './event-queue.js';
import type { Link } from './link.js';
import { Network, type Outcome } from './network.js';
import type { RandomStream } from './random-stream.js';
import { RequestBudget } from './request-budget.js';
import type { CandidateTraits } from './scenario.js';
import { SimulatedApplication } from './simulated-application.js';
import { SimulatedEligibility } from './simulated-eligibility.js';
import { SimulatedPlacement } from './simulated-placement.js';
import { SimulatedLock } from './simulated-lock.js';
import type { SimulatedWatch } from './simulated-watch.js';
import { VirtualClock } from './virtual-clock.js';
import type { World } from './world.js';

/**
 * How a process is stopped: `block` is its own long synchronous work, in which it may still ask who leads; `move` is a
 * checkpoint that is restored on a machine whose monotonic clock shows less.
 */
export type Freeze = 'pause' | 'block' | 'sleep' | 'move';

export interface Deed {
  readonly at: number;
  readonly what: LockRequest['verb'] | 'open-watch';
}

/** By how much timers are late at most while they are. */
export const LATEST_TIMER_MS = 1_000;

/** So little of a gap counts as noise between two clocks (R19). */
export const UNNOTICED_MS = 102;

/** Sets the names of clones' random streams apart. */
const CLONES = 500;

/** One process incarnation: production's elector with a simulated clock, lock and application around it. */
export class Replica implements EventOwner {
  readonly id: number;
  readonly name: string;
  readonly config: ElectionConfig;
  readonly clock: VirtualClock;
  readonly elector: LeaderElector;
  readonly random: RandomStream;
  readonly link: Link;
  watch: SimulatedWatch | undefined;
  alive = true;
  stopped = false;
  stopping = false;
  lateTimersUntil = 0;
  failsHandlersUntil = 0;
  /** Counts everything that reaches the elector; tells whether promises had settled. */
  activity = 0;
  /** What it did from the calm on. */
  readonly deeds: Deed[] = [];
  /** The renew time that it wrote last. */
  lastWritten: number | null = null;
  /** How long the last answer took, by the own clock. */
  answerTook = 0;
  /** The latest renew time that it has sent. */
  private lastSentMicros = -Infinity;
  suspended = false;
  /** By the own clock: a term that was given up has its cool-down. */
  standsNotBefore = -Infinity;
  /** Errors of its observer that have not been thrown yet. */
  throwsToCome = 0;
  /** How often the connection of its watch was cut. */
  watchInterruptions = 0;
  /** How often the lease has changed hands by its own acquisitions and releases. */
  ownNews = 0;
  /** How often its watch was opened. */
  opens = 0;
  private heldSince = -Infinity;
  /** What its original wrote until then was sent before the two were parted. */
  private inheritsUntil: number;
  private readonly budget: RequestBudget;
  readonly application: SimulatedApplication;
  readonly eligibility: SimulatedEligibility;
  readonly placement: SimulatedPlacement | undefined;
  private frozen: Freeze | undefined;
  /** By the own clock, when it was parted from its original. */
  private partedAt = -Infinity;
  private backMs = 0;
  private tolerance = 1e-6;
  private readonly deferred: SimulatedEvent[] = [];

  constructor(
    private readonly world: World,
    readonly slot: number,
    readonly traits: CandidateTraits,
    readonly incarnation: number,
    private readonly origin?: Replica,
  ) {
    this.id = world.replicas.length;
    this.name = origin === undefined ? `c${slot}.${incarnation}` : `${origin.name}'${this.id}`;
    this.inheritsUntil = world.now;
    const ownIdentity = world.scenario.sharedIdentity ? 'shared' : this.name;
    const { config } = origin ?? traits;
    const memberUid =
      world.scenario.directs && origin === undefined ? `uid-${this.name}` : undefined;
    this.config = {
      ...traits.config,
      identity: origin?.config.identity ?? ownIdentity,
      memberUid: memberUid ?? config.memberUid,
    };
    this.link = world.links[slot]!;
    this.random = origin?.random.copy() ?? world.stream(`replica ${this.name}`);
    const { latestTimerMs } = world.scenario.network;
    this.clock = new VirtualClock(world.queue, this, traits.clock, () =>
      this.timerLateness(latestTimerMs),
    );
    this.budget = new RequestBudget(world, this);
    this.application = new SimulatedApplication(world, this);
    this.eligibility = new SimulatedEligibility(world, this);
    const dice = world.stream(`dice ${this.name}`);
    this.elector = new world.engine.LeaderElector(this.config, {
      lock: new SimulatedLock(world, this, new Network(world, this.slot * 1_000 + incarnation)),
      clock: this.clock,
      // From the kernel in production, so that clones throw dice of their own (R19).
      random: () => dice.next(),
      observer: this.application,
      successorFor: (name) => world.requests.successorFor(this, name),
    });
    const { places } = world.scenario;
    if (places !== undefined) this.placement = new SimulatedPlacement(world, this, places);
  }

  get mayBeCloned(): boolean {
    return this.frozen === undefined && !this.stopping && this.application.isIdleInTerm;
  }

  /** A second process with the same past, whose connections are gone. It has to be started. */
  clone(): Replica {
    const { world, slot, traits, incarnation } = this;
    const copy = new Replica(world, slot, traits, CLONES + incarnation, this);
    copy.clock.standsLike(this.clock);
    copy.heldSince = this.heldSince;
    copy.standsNotBefore = this.standsNotBefore;
    copy.lastSentMicros = this.lastSentMicros;
    copy.partedAt = this.clock.now();
    copy.application.continues(continueElection(this.elector, copy.elector));
    return copy;
  }

  startAsClone(): void {
    this.log(`is a clone of ${this.origin!.name}`);
    const pending = startContinued(this.elector);
    if (pending === null) return;
    // Its request was the original's too, and its answer comes to the original, if to anybody.
    const { world, clock, config } = this;
    const until = clock.trueTimeOf(clock.now() + config.requestTimeoutMs);
    world.queue.at(until, this, () => answerContinued(this.elector, pending));
  }

  /** Whether this process has the right to that record, as it was written before the two were parted. */
  inherits(writer: number | null, writtenAt: number): boolean {
    return writer !== null && writer === this.origin?.id && writtenAt <= this.inheritsUntil;
  }

  get believes(): boolean {
    return this.alive && this.world.beliefs.believes(this.id, this.world.now);
  }

  get clockRate(): number {
    return this.clock.rate;
  }

  start(): void {
    this.log('starts');
    this.elector.start();
    this.placement?.look();
    const { jobEveryMs } = this.traits;
    if (jobEveryMs !== undefined) this.application.scheduleJob(jobEveryMs);
  }

  accepts(event: SimulatedEvent): boolean {
    if (!this.alive) return false;
    if (this.frozen !== undefined) {
      this.deferred.push(event);
      return false;
    }
    // Its stop goes on through promises, whichever event lets it.
    if (this.stopping && !this.stopped) this.world.promisesMove('lifecycle');
    return true;
  }

  settled(): void {
    if (!this.alive) return;
    const { beliefs, now } = this.world;
    if (!this.elector.isLeader()) return beliefs.ends(this.id, now);
    const { validUntil, term } = this.elector.probe();
    if (term === undefined) return beliefs.ends(this.id, now);
    const end = this.clock.trueTimeOf(validUntil!);
    const latest = this.heldSince + this.config.renewDeadlineMs;
    if (end < now - 1e-6 || validUntil! > latest + this.tolerance) this.violatesValidity(term);
    beliefs.holds(this.id, now, end, term);
  }

  /** A write by which this process holds the lease was applied; it was sent at this reading of the own clock. */
  hasHeldSince(sentAt: number): void {
    this.heldSince = Math.max(this.heldSince, sentAt);
    if (!this.world.scenario.clones) return;
    // What was under way when the two were parted is the copy's own too.
    for (const copy of this.world.replicas) {
      if (copy.origin !== this || sentAt > copy.partedAt) continue;
      copy.inheritsUntil = this.world.now;
      copy.hasHeldSince(sentAt);
    }
  }

  private violatesValidity(term: Term): void {
    this.world.violate(
      'belief-within-validity',
      `${this.name} #${term.number} believes for longer than its writes allow`,
    );
  }

  freeze(how: Freeze, ms: number): void {
    if (this.frozen !== undefined) return;
    const { world } = this;
    this.log(`${how} for ${ms.toFixed(0)} ms`);
    this.frozen = how;
    if (how !== 'block') world.beliefs.ends(this.id, world.now);
    if (how === 'sleep') this.clock.fallAsleep();
    world.queue.after(ms, null, () => this.thaw(how));
  }

  /** What had to wait happens now, in any order: timers and sockets are polled in turns. */
  private thaw(how: Freeze): void {
    this.frozen = undefined;
    if (!this.alive) return;
    this.clock.wakeUp();
    if (how === 'move') this.setBack();
    if (how === 'sleep' && this.application.term !== undefined) this.world.count('slept-in-term');
    const { beliefs, now } = this.world;
    if (this.application.term !== undefined && !this.elector.isLeader()) {
      this.world.count('deadline-passed-while-stopped');
    }
    if (how === 'block' && !this.elector.isLeader()) beliefs.ends(this.id, now);
    this.settled();
    for (const event of this.random.shuffle(this.deferred.splice(0))) {
      if (!event.cancelled) this.world.queue.postpone(event, now);
    }
  }

  /** Freezes the process and restores it where the monotonic clock shows less by so much. */
  move(ms: number, backMs: number): void {
    if (this.frozen !== undefined) return;
    this.backMs = backMs;
    this.freeze('move', ms);
  }

  private setBack(): void {
    if (this.application.term !== undefined) this.world.count('moved-in-term');
    this.clock.setBack(this.backMs);
    this.heldSince -= this.backMs;
    this.standsNotBefore -= this.backMs;
    this.tolerance = UNNOTICED_MS;
  }

  kill(): void {
    if (!this.alive) return;
    this.log('is killed');
    this.world.beliefs.ends(this.id, this.world.now);
    this.alive = false;
    this.watch?.close();
  }

  stepDown(cooldownMs: number, reason: 'stepped-down' | 'handler-failed'): boolean {
    const led = this.elector.stepDown(cooldownMs, reason);
    const standsNotBefore = this.clock.now() + cooldownMs;
    if (led) this.standsNotBefore = Math.max(this.standsNotBefore, standsNotBefore);
    return led;
  }

  suspend(): void {
    this.suspended = true;
    this.elector.suspend();
  }

  resume(): void {
    this.suspended = false;
    this.elector.resume();
  }

  /** Whether it wants to lead at all. */
  get stands(): boolean {
    return !this.stopping && !this.suspended && this.clock.now() >= this.standsNotBefore - 1e-6;
  }

  /** As an application that closes: drain, release, gone. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.log('stops');
    if (this.application.settling) this.world.count('settle-stop');
    this.world.promisesMove('lifecycle');
    this.close().then(
      () => this.onStopped(),
      (error: unknown) => this.world.violate('no-exception', String(error)),
    );
  }

  /** The application's own hooks run between the drain and the release; some take long. */
  private async close(): Promise<void> {
    const { world, traits, elector } = this;
    const hooksTakeTime = traits.hooksMs > 0 && !world.healed;
    await elector.drain();
    if (hooksTakeTime) {
      await new Promise<void>((resolve) => {
        world.queue.after(traits.hooksMs, this, () => {
          world.count('release-after-hooks');
          world.promisesMove('lifecycle');
          resolve();
        });
      });
    }
    this.placement?.close();
    await elector.release();
  }

  /** Something that costs the API server; on an ordinary day there is little of it. */
  does(what: Deed['what']): void {
    const { now, scenario } = this.world;
    if (what === 'open-watch') {
      this.opens++;
      this.budget.opensWatch();
    }
    if (now >= scenario.calmAt) this.deeds.push({ at: now, what });
  }

  /** Its watch tells of this version. */
  hears(revision: bigint): void {
    this.budget.hears(revision);
  }

  onRequest(request: LockRequest): void {
    this.activity++;
    this.does(request.verb);
    if (this.stopped) this.world.violate('nothing-after-stop', `${this.name} sent a request`);
    this.budget.spend(request);
    if (request.verb === 'read') return;
    const { record } = request;
    this.world.succession.checkWrite(this, record);
    if (record.renewTimeMicros! <= this.lastSentMicros) {
      this.world.violate('renew-time-grows', `${this.name} sends ${record.renewTimeMicros}`);
    }
    this.lastSentMicros = record.renewTimeMicros!;
    if (record.holderIdentity === '') this.application.checkRelease(record);
    else if (record.acquireTimeMicros !== record.renewTimeMicros) this.application.checkRenewal();
    else this.eligibility.checkAttempt(request);
  }

  onAnswer(request: LockRequest, outcome: Outcome, sentAt: number): void {
    const { world } = this;
    world.trace?.add(world.now, this.name, `${request.verb}: ${outcome.kind}`);
    this.activity++;
    this.budget.learns(request, outcome);
    const now = this.clock.now();
    this.answerTook = now - sentAt;
    if (outcome.kind === 'applied' && now >= sentAt + this.config.renewDeadlineMs) {
      world.count('late-success');
    }
    if (this.application.term !== undefined && !this.elector.isLeader()) {
      world.count('answer-before-overdue-deadline');
    }
  }

  log(what: string): void {
    this.world.trace?.add(this.world.now, this.name, what);
  }

  private onStopped(): void {
    this.log('has stopped');
    this.stopped = true;
    this.activity++;
    const { pendingTimers } = this.clock;
    if (
      pendingTimers > this.throwsToCome ||
      this.watch?.isClosed === false ||
      this.elector.isLeader()
    ) {
      this.world.violate('nothing-after-stop', `${this.name} left ${pendingTimers} timers`);
    }
  }

  private timerLateness(latest: number): number {
    const usual = latest === 0 ? 0 : this.random.next() * latest;
    return this.world.now < this.lateTimersUntil
      ? usual + this.random.next() * LATEST_TIMER_MS
      : usual;
  }
}
