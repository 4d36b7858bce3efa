import type { ContainerEnd, ContainerMark } from '../../lib/core/container.js';
import { containerOf as containerOfHolder, type LeaseRecord } from '../../lib/core/lease-record.js';
import type { Term } from '../../lib/core/term.js';
import type { RandomStream } from './random-stream.js';
import type { Replica } from './replica.js';
import { longest } from './scenario.js';
import type { World } from './world.js';

const SECOND_MICROS = 1_000_000;
/** What one second more or less may confuse, the check of the container's start rules out (R24). */
const CERTAIN_MICROS = 2 * SECOND_MICROS;
/** How much later one process may hear of a status than another. */
const SPREAD_MS = 300;

/**
 * Tells of containers that have ended, soon, late or never, and of ends that are none of the holder's (R24). Each process
 * incarnation is a container of its own, and all of one candidate are of one pod. A process may take itself for the
 * container before, whose status it has read.
 */
export class SimulatedKubelet {
  private readonly ends: { readonly end: ContainerEnd; readonly replica: number }[] = [];
  private readonly mistaken = new Map<Replica, ContainerMark>();
  private readonly random: RandomStream;
  /** By when all others have heard that the leader was killed after the calm; undefined if its record does not say so. */
  crashKnownAt: number | undefined;

  constructor(private readonly world: World) {
    this.random = world.stream('kubelet');
  }

  /** A container begins: its process lists the pods, and perhaps reads its own from before. */
  begins(replica: Replica): void {
    if (!this.world.scenario.watchesPods) return;
    for (const { end } of this.ends) this.tell(replica, end, this.random.between(0, 1_000));
    const before = this.ends.findLast(({ end }) => end.podUid === containerOf(replica).podUid);
    if (before === undefined || !this.mayBeMistaken(replica, before.end)) return;
    const { podUid, containerId } = before.end;
    this.mistaken.set(replica, { podUid, containerId, containerName: 'app' });
  }

  private mayBeMistaken({ clock }: Replica, { finishedAtMicros }: ContainerEnd): boolean {
    const { kinds, sleeps } = this.world.scenario;
    const isWallRight = !sleeps && !kinds.includes('wall-jump') && !kinds.includes('wall-drift');
    if (!isWallRight || clock.wallMicros() <= finishedAtMicros + CERTAIN_MICROS) return false;
    return this.random.chance(0.5);
  }

  /** It reads its pod after the grant. */
  granted(replica: Replica, term: Term): void {
    const { world, random } = this;
    if (!world.scenario.watchesPods) return;
    const mistaken = this.mistaken.get(replica);
    if (mistaken !== undefined) world.count('container-mistaken');
    world.queue.after(random.between(50, 3_000), replica, () => {
      if (replica.application.term !== term) return;
      replica.activity++;
      replica.elector.setContainer(term.number, mistaken ?? containerOf(replica));
    });
  }

  ended(replica: Replica): void {
    const { world, random } = this;
    if (!world.scenario.watchesPods) return;
    const end = this.endOf(replica);
    const afterMs = world.healed ? random.between(0, random.pick([20, 200, 1_000])) : this.delay();
    if (replica === world.crashed && this.isProvedBy(end)) {
      this.crashKnownAt = world.now + afterMs + SPREAD_MS;
    }
    if (afterMs === Infinity) return;
    world.queue.after(afterMs, null, () => {
      this.ends.push({ end, replica: replica.id });
      for (const times of [1, 2]) this.tellAll(end, times * SPREAD_MS);
    });
  }

  /** Reports that name the live holder's pod or container, and are not of its container's end. */
  errs(severity: number): void {
    const { world } = this;
    const { lease, writer } = world.store;
    const holder = writer === null ? undefined : world.replicas[writer];
    if (holder === undefined || !holder.alive || lease === null) return;
    const { podUid, containerId } = lease.record.container ?? containerOf(holder);
    const finishedAtMicros = this.endOf(holder).finishedAtMicros;
    const wrong: ContainerEnd[] = [
      { podUid: `${podUid} of the same name`, containerId, finishedAtMicros },
      { podUid, containerId: `${containerId} of a sidecar`, finishedAtMicros },
      // As a restored store may show it.
      { podUid, containerId, finishedAtMicros: finishedAtMicros - 86_400 * SECOND_MICROS },
    ];
    // Only where the wall clock is right is an end of yesterday before every renewal.
    const { kinds, sleeps } = world.scenario;
    const isWallRight = !sleeps && !kinds.includes('wall-jump') && !kinds.includes('wall-drift');
    const count = isWallRight ? wrong.length : wrong.length - 1;
    world.count('wrong-proof');
    this.tellAll(wrong[Math.floor(severity * count)]!, SPREAD_MS);
  }

  /** Whether a process may take the record of this dead one: it names its container, and its end was told. */
  hasProved(writer: number, { container }: LeaseRecord): boolean {
    return this.ends.some(
      ({ end, replica }) => replica === writer && end.containerId === container?.containerId,
    );
  }

  private isProvedBy(end: ContainerEnd): boolean {
    const { lease } = this.world.store;
    if (lease === null || containerOfHolder(lease.record)?.containerId !== end.containerId) {
      return false;
    }
    const { renewTimeMicros } = lease.record;
    return renewTimeMicros !== null && end.finishedAtMicros + SECOND_MICROS >= renewTimeMicros;
  }

  private endOf(replica: Replica): ContainerEnd {
    const { podUid, containerId } = containerOf(replica);
    const seconds = Math.floor(replica.clock.wallMicros() / SECOND_MICROS);
    return { podUid, containerId, finishedAtMicros: seconds * SECOND_MICROS };
  }

  private delay(): number {
    const { random, world } = this;
    if (random.chance(0.1)) return Infinity;
    const lateMs = 2 * longest(world.scenario.candidates, 'leaseDurationMs');
    return random.chance(0.3) ? random.between(0, lateMs) : random.between(0, 1_000);
  }

  private tellAll(end: ContainerEnd, withinMs: number): void {
    for (const replica of this.world.replicas) {
      if (replica.alive) this.tell(replica, end, this.random.between(0, withinMs));
    }
  }

  private tell(replica: Replica, end: ContainerEnd, afterMs: number): void {
    this.world.queue.after(afterMs, replica, () => {
      replica.activity++;
      this.world.count('container-ended');
      replica.elector.containerEnded(end);
    });
  }
}

function containerOf({ id, slot }: Replica): ContainerMark {
  return { podUid: `pod ${slot}`, containerName: 'app', containerId: `containerd://${id}` };
}
