import type { ElectionConfig, LockRequest } from '../../lib/core/election-state.js';
import type { Term } from '../../lib/core/term.js';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import type { EventOwner, SimulatedEvent } from './event-queue.js';
import type { Link } from './link.js';
import { Network, type Outcome } from './network.js';
import type { RandomStream } from './random-stream.js';
import { RequestBudget } from './request-budget.js';
import type { CandidateTraits } from './scenario.js';
import { SimulatedApplication } from './simulated-application.js';
import { SimulatedLock } from './simulated-lock.js';
import type { SimulatedWatch } from './simulated-watch.js';
import { VirtualClock } from './virtual-clock.js';
import type { World } from './world.js';

/** How a process is stopped: `block` is its own long synchronous work, in which it may still ask who leads. */
export type Freeze = 'pause' | 'block' | 'sleep';

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
  private heldSince = -Infinity;
  private readonly budget: RequestBudget;
  private readonly application: SimulatedApplication;
  private frozen: Freeze | undefined;
  private sleptInTerm: Term | undefined;
  private readonly deferred: SimulatedEvent[] = [];

  constructor(
    private readonly world: World,
    readonly slot: number,
    readonly traits: CandidateTraits,
    readonly incarnation: number,
  ) {
    this.id = world.replicas.length;
    this.name = `c${slot}.${incarnation}`;
    const identity = world.scenario.sharedIdentity ? 'shared' : this.name;
    this.config = { ...traits.config, identity };
    this.link = world.links[slot]!;
    this.random = world.stream(`replica ${this.name}`);
    const { latestTimerMs } = world.scenario.network;
    this.clock = new VirtualClock(
      world.queue,
      this,
      { rate: traits.clockRate, wallStartMs: traits.wallStartMs },
      () => this.timerLateness(latestTimerMs),
    );
    this.budget = new RequestBudget(world, this);
    this.application = new SimulatedApplication(world, this);
    this.elector = new world.engine.LeaderElector(this.config, {
      lock: new SimulatedLock(world, this, new Network(world, this.slot * 1_000 + incarnation)),
      clock: this.clock,
      random: () => this.random.next(),
      observer: this.application,
    });
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
    if (end < now - 1e-6 || validUntil! > latest + 1e-6) this.violatesValidity(term);
    beliefs.holds(this.id, now, end, term, this.sleptInTerm === term);
  }

  /** A write by which this process holds the lease was applied; it was sent at this reading of the own clock. */
  hasHeldSince(sentAt: number): void {
    this.heldSince = Math.max(this.heldSince, sentAt);
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
    if (how === 'sleep') {
      this.sleptInTerm = this.application.term;
      this.clock.fallAsleep();
    }
    world.queue.after(ms, null, () => this.thaw(how));
  }

  /** What had to wait happens now, in any order: timers and sockets are polled in turns. */
  private thaw(how: Freeze): void {
    this.frozen = undefined;
    if (!this.alive) return;
    this.clock.wakeUp();
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

  kill(): void {
    if (!this.alive) return;
    this.log('is killed');
    this.world.beliefs.ends(this.id, this.world.now);
    this.alive = false;
    this.watch?.close();
  }

  /** As an application that closes: drain, release, gone. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.log('stops');
    if (this.application.settling) this.world.count('settle-stop');
    this.world.promisesMove('lifecycle');
    this.elector.stop().then(
      () => this.onStopped(),
      (error: unknown) => this.world.violate('no-exception', String(error)),
    );
  }

  onRequest(request: LockRequest): void {
    this.activity++;
    if (this.stopped) this.world.violate('nothing-after-stop', `${this.name} sent a request`);
    this.budget.spend();
    if (request.verb !== 'read' && request.record.holderIdentity === '') {
      this.application.checkRelease(request.record);
    }
  }

  onAnswer(request: LockRequest, outcome: Outcome, sentAt: number): void {
    const { world } = this;
    world.trace?.add(world.now, this.name, `${request.verb}: ${outcome.kind}`);
    this.activity++;
    const now = this.clock.now();
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
    if (pendingTimers > 0 || this.watch?.isClosed === false || this.elector.isLeader()) {
      this.world.violate('nothing-after-stop', `${this.name} left ${pendingTimers} timers`);
    }
  }

  private timerLateness(latest: number): number {
    const usual = latest === 0 ? 0 : this.random.next() * latest;
    return this.world.now < this.lateTimersUntil ? usual + this.random.next() * 1_000 : usual;
  }
}
