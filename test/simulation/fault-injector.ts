import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { REQUEST_FAULTS, WATCH_FAULTS, type Fault } from './fault.js';
import { Replica } from './replica.js';
import { longest } from './scenario.js';
import { Stranger } from './stranger.js';
import type { World } from './world.js';

const LINK_FAULTS: readonly string[] = [...REQUEST_FAULTS, ...WATCH_FAULTS];

/** Makes the scenario's faults happen to the world. */
export class FaultInjector {
  private readonly incarnations: number[] = [];
  private readonly current: (Replica | undefined)[] = [];
  private strangers = 0;

  constructor(private readonly world: World) {}

  begin(): void {
    const { queue, scenario, store } = this.world;
    if (scenario.leftBehind !== null) store.create(scenario.leftBehind, null, 0);
    scenario.candidates.forEach(({ startsAt }, slot) => {
      queue.at(startsAt, null, () => this.startReplica(slot));
    });
    for (const fault of scenario.faults) queue.at(fault.at, null, () => this.inflict(fault));
    queue.at(scenario.healAt, null, () => this.heal());
    queue.at(scenario.handOverAt, null, () => {
      const leader = this.current.find((replica) => replica?.believes === true);
      if (leader !== undefined) this.ask(leader, () => leader.stop());
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
  }

  private inflict(fault: Fault): void {
    const { world } = this;
    const { kind, slot, until, severity } = fault;
    world.trace?.add(
      world.now,
      'fault',
      `${kind} c${slot} until ${until.toFixed(0)} severity ${severity.toFixed(2)}`,
    );
    if (LINK_FAULTS.includes(kind)) return world.links[slot]!.begin(kind, until, severity);
    const replica = this.current[slot];
    switch (kind) {
      case 'server-down':
        world.serverDownUntil = Math.max(world.serverDownUntil, until);
        return;
      case 'churn':
        return this.churn(until, 20 + severity * 1_000);
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
      case 'sleep':
        return replica.freeze(kind, ms);
      case 'late-timers':
        replica.lateTimersUntil = until;
        return;
      case 'wall-jump':
        replica.clock.wallShiftMs += (severity - 0.5) * 7_200_000;
        return;
      case 'kill':
        this.kill(replica);
        world.queue.at(until, null, () => this.startReplica(slot));
        return;
      case 'stop':
        return this.stop(replica, until);
      case 'step-down':
        return this.ask(replica, () => replica.elector.stepDown(severity * ms));
      case 'fail-handler':
        replica.failsHandlersUntil = until;
        return;
      case 'suspend':
        return this.ask(replica, () => {
          replica.elector.suspend();
          this.ask(replica, () => replica.elector.resume(), until);
        });
      case 'interrupt-watch':
        return replica.watch?.interrupt();
      default:
        throw new Error(`${kind} does not befall a process`);
    }
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
    const { scenario, store, replicas } = this.world;
    replica.kill();
    if (!scenario.reportsDeath || store.writer !== replica.id || store.lease === null) return;
    for (const { alive, watch } of replicas) {
      if (alive) watch?.holderDied(store.lease.timingKey);
    }
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
    new Stranger(this.world, -++this.strangers, leavesAt, severity < 0.5).poll();
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
