import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { befallsAll, type Fault, hindranceOf, REQUEST_FAULTS, WATCH_FAULTS } from './fault.js';
import { LATEST_TIMER_MS, Replica } from './replica.js';
import { longest } from './scenario.js';
import { Stranger } from './stranger.js';
import type { World } from './world.js';

const LINK_FAULTS: readonly string[] = [...REQUEST_FAULTS, ...WATCH_FAULTS];

/** Makes the scenario's faults happen to the world. */
export class FaultInjector {
  private readonly incarnations: number[] = [];
  private readonly current: (Replica | undefined)[] = [];
  private strangers = 0;
  private readonly stoppedClocks: number[][] = [];

  constructor(private readonly world: World) {}

  begin(): void {
    const { queue, scenario, store } = this.world;
    if (scenario.leftBehind !== null) store.create(scenario.leftBehind, null, 0);
    scenario.candidates.forEach(({ startsAt }, slot) => {
      queue.at(startsAt, null, () => this.startReplica(slot));
    });
    for (const fault of scenario.faults) queue.at(fault.at, null, () => this.inflict(fault));
    queue.at(scenario.healAt, null, () => this.heal());
    queue.at(scenario.handoverAt, null, () => {
      const leader = this.world.replicas.find(({ believes }) => believes);
      if (leader === undefined) return;
      if (scenario.ending === 'stop') return this.ask(leader, () => leader.stop());
      this.world.crashed = leader;
      this.kill(leader);
      if (scenario.ending === 'restore') this.restoreContested();
    });
  }

  private startReplica(slot: number): void {
    const { world } = this;
    if (this.current[slot]?.alive === true) return;
    const incarnation = (this.incarnations[slot] ?? 0) + 1;
    this.incarnations[slot] = incarnation;
    const replica = new Replica(world, slot, world.scenario.candidates[slot]!, incarnation);
    this.current[slot] = replica;
    world.replicas.push(replica);
    // As the owner of the event, so that what it sets off is taken note of.
    world.queue.at(world.now, replica, () => replica.start());
    world.kubelet.begins(replica);
  }

  private inflict(fault: Fault): void {
    const { world } = this;
    const { kind, slot, until, severity } = fault;
    world.trace?.add(
      world.now,
      'fault',
      `${kind} c${slot} until ${until.toFixed(0)} severity ${severity.toFixed(2)}`,
    );
    // A timer that is late was perhaps set during the fault for an instant after it.
    const lateMs = LATEST_TIMER_MS + longest(world.scenario.candidates, 'leaseDurationMs');
    const late = kind === 'late-timers' ? lateMs : 0;
    world.hinder(hindranceOf(kind), befallsAll(kind) ? undefined : slot, until + late);
    if (LINK_FAULTS.includes(kind)) return world.links[slot]!.begin(kind, until, severity);
    const replica = this.current[slot];
    switch (kind) {
      case 'server-down':
        world.serverDownUntil = Math.max(world.serverDownUntil, until);
        return;
      case 'churn':
        return this.churn(until, 20 + severity * 1_000);
      case 'ask':
        return world.requests.ask(severity);
      case 'wrong-proof':
        return world.kubelet.errs(severity);
      case 'stranger':
        return this.bringStranger(until, severity);
      case 'delete':
      case 'edit':
      case 'restore':
        return this.breakLaw(kind, severity);
      default:
        if (replica?.alive === true) this.afflict(replica, fault);
    }
  }

  private afflict(replica: Replica, { kind, until, severity, slot }: Fault): void {
    const { world } = this;
    const ms = until - world.now;
    switch (kind) {
      case 'pause':
      case 'block':
        return replica.freeze(kind, ms);
      case 'sleep':
        if (this.mayStopClock(replica)) replica.freeze(kind, ms);
        return;
      case 'clock-restore':
        return this.move(replica, ms, severity);
      case 'clone':
        return this.clone(replica);
      case 'late-timers':
        replica.lateTimersUntil = until;
        return;
      case 'wall-jump':
        replica.clock.wallShiftMs += this.wallJump(severity);
        return;
      case 'wall-drift':
        // From a clock that stands still to one that is faked to run ten times as fast.
        replica.clock.setWallRate(severity < 0.5 ? 2 * severity : 20 * (severity - 0.5));
        // It is the machine's clock: that of a copy made meanwhile as well.
        world.queue.at(until, null, () => {
          for (const each of world.replicas) if (each.slot === slot) each.clock.setWallRate(1);
        });
        return;
      case 'kill':
        this.kill(replica);
        world.queue.at(until, null, () => this.startReplica(slot));
        return;
      case 'stop':
        return this.stop(replica, until);
      case 'step-down':
        return this.ask(replica, () => replica.stepDown(severity * ms, 'stepped-down'));
      case 'fail-handler':
        replica.failsHandlersUntil = until;
        return;
      case 'suspend':
        return this.ask(replica, () => {
          replica.suspend();
          this.ask(replica, () => replica.resume(), until);
        });
      case 'ineligible':
        return this.makeIneligible(replica, until, severity);
      case 'interrupt-watch':
        replica.watchInterruptions++;
        return replica.watch?.interrupt();
      default:
        throw new Error(`${kind} does not befall a process`);
    }
  }

  /** It is eligible again in time to be counted as such when everything works. */
  private makeIneligible(replica: Replica, until: number, severity: number): void {
    const { healAt } = this.world.scenario;
    const end = Math.min(
      until,
      healAt - (2 * replica.config.ineligibleGraceMs) / replica.clockRate,
    );
    if (end <= this.world.now) return;
    const mayHandOver = severity < 0.7;
    // As it is by then: a process that was frozen over both hears of them in any order.
    const report = (): void => replica.eligibility.report(this.world.now >= end, mayHandOver);
    this.ask(replica, report);
    this.ask(replica, report, end);
  }

  /** Set back by just what a machine slept, a wall clock hides the sleep: no promise is made for that (R19). */
  private wallJump(severity: number): number {
    const least = this.world.scenario.sleeps ? 300_000 : 0;
    return Math.sign(severity - 0.5) * (least + Math.abs(severity - 0.5) * 7_200_000);
  }

  /**
   * A wall clock that disagrees too often is not believed any more (R19): where nothing else tells of a stopped clock,
   * that happens no more than twice in the time that counts.
   */
  private mayStopClock({ slot, traits }: Replica): boolean {
    if (traits.clock.tellsBootTime) return true;
    const { now, scenario } = this.world;
    const since = now - 30 * longest(scenario.candidates, 'leaseDurationMs');
    const recent = (this.stoppedClocks[slot] ?? []).filter((at) => at > since);
    this.stoppedClocks[slot] = [...recent, now];
    return recent.length < 2;
  }

  /** A little less than it would show, or less than it ever showed; timers that were set for then sleep on. */
  private move(replica: Replica, ms: number, severity: number): void {
    const longestMs = longest(this.world.scenario.candidates, 'leaseDurationMs');
    const { now, scenario } = this.world;
    if (now > scenario.healAt - 6 * longestMs || !this.mayStopClock(replica)) return;
    replica.move(ms, severity * (ms + 2 * longestMs));
  }

  /** The copy goes on where the original was, beside it. */
  private clone(original: Replica): void {
    const { world } = this;
    if (!original.mayBeCloned) return;
    world.count('cloned');
    const copy = original.clone();
    world.replicas.push(copy);
    world.queue.at(world.now, copy, () => copy.startAsClone());
  }

  private stop(replica: Replica, until: number): void {
    this.ask(replica, () => replica.stop());
    this.world.queue.at(until, null, () => {
      this.kill(replica);
      this.startReplica(replica.slot);
    });
  }

  /** Where the lock can tell that the holder's process is gone, it tells of what that process had written. */
  private kill(replica: Replica): void {
    const { scenario, store, replicas, kubelet } = this.world;
    if (replica.alive) kubelet.ended(replica);
    replica.kill();
    if (!scenario.reportsDeath || store.writer !== replica.id || store.lease === null) return;
    for (const { alive, watch } of replicas) {
      if (alive) watch?.holderDied(store.lease.timingKey);
    }
    this.repeatDeath(store.lease.timingKey, 50);
  }

  /** As a lock that asks again and again and tells each time. */
  private repeatDeath(timingKey: string, times: number): void {
    this.world.queue.after(100, null, () => {
      for (const { alive, watch } of this.world.replicas) {
        if (alive) watch?.holderDied(timingKey);
      }
      if (times > 1) this.repeatDeath(timingKey, times - 1);
    });
  }

  private ask(replica: Replica, request: () => void, at = this.world.now): void {
    this.world.queue.at(at, replica, () => {
      replica.activity++;
      this.world.promisesMove('lifecycle');
      request();
    });
  }

  /** Stays for longer than other faults last: it has to find the lease free first. */
  private bringStranger(until: number, severity: number): void {
    const { scenario } = this.world;
    const patienceMs = 6 * longest(scenario.candidates, 'leaseDurationMs');
    const leavesAt = Math.min(until + patienceMs, scenario.healAt - 1);
    const departure = severity < 0.25 ? 'marked' : severity < 0.5 ? 'released' : 'none';
    new Stranger(this.world, -++this.strangers, leavesAt, departure).poll();
  }

  /** Somebody keeps changing the labels, so that every expectation is outdated soon. */
  private churn(until: number, everyMs: number): void {
    const { world } = this;
    if (world.now >= until) return;
    world.store.touch();
    world.announce();
    world.queue.after(everyMs, null, () => this.churn(until, everyMs));
  }

  private breakLaw(kind: 'delete' | 'edit' | 'restore', severity: number): void {
    const { world } = this;
    const { store, now } = world;
    if (kind === 'delete') store.delete(now);
    else if (kind === 'edit') store.edit(this.edit(severity), now);
    else {
      const version = store.history[Math.floor(severity * store.history.length)];
      if (version !== undefined) store.restore(version, now);
    }
    world.announce();
  }

  /** To where nobody who is left got the lease. */
  private restoreContested(): void {
    const { store, replicas, now } = this.world;
    const { contested } = store;
    if (contested === undefined) return;
    if (replicas.some(({ id, alive }) => alive && !contested.losers.has(id))) return;
    this.world.count('restored-to-contested');
    this.world.restored = true;
    store.restore({ lease: contested.lease, revision: contested.lease.revision }, now);
    this.world.announce();
  }

  private edit(severity: number): Partial<LeaseRecord> {
    const record = this.world.store.lease?.record;
    const other = this.current[Math.floor(severity * 97) % this.current.length];
    const edits: Partial<LeaseRecord>[] = [
      { holderIdentity: '' },
      { holderIdentity: '' },
      { holderIdentity: 'somebody' },
      { holderIdentity: other?.config.identity ?? 'nobody' },
      { leaseTransitions: (record?.leaseTransitions ?? 0) + 1 },
      { leaseDurationSeconds: 1 },
      {
        leaseDurationSeconds:
          (2 * longest(this.world.scenario.candidates, 'leaseDurationMs')) / 1_000,
      },
      { renewTimeMicros: null, acquireTimeMicros: null },
      { holderIdentity: '', leaseTransitions: 0 },
    ];
    return edits[Math.floor(severity * edits.length)]!;
  }

  private heal(): void {
    const { world } = this;
    world.trace?.add(world.now, 'fault', 'everything works from here on');
    world.scenario.candidates.forEach((_, slot) => this.startReplica(slot));
  }
}
