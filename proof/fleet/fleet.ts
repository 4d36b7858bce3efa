import { setTimeout as delay } from 'node:timers/promises';
import { type Place, type Replica, ReplicaSlot } from './replica-slot.js';

const POLL_MS = 5;

/** Replicas of one application, each at a place of its own. */
export class Fleet<P extends Replica> {
  readonly slots: ReplicaSlot<P>[] = [];

  addSlot(place: Place<P>): ReplicaSlot<P> {
    const slot = new ReplicaSlot(place);
    this.slots.push(slot);
    return slot;
  }

  /** Of each place the process that runs there, or the last one that did. */
  get replicas(): P[] {
    return this.slots.map(({ process }) => process);
  }

  /** All that have run. */
  get processes(): P[] {
    return this.slots.flatMap(({ processes }) => processes);
  }

  /** Who has told that they lead. */
  get leaders(): P[] {
    return this.replicas.filter(({ leads }) => leads);
  }

  /** Whatever was wrong with processes beside what they have told themselves. */
  get complaints(): string[] {
    return this.slots.flatMap(({ complaints }) => complaints);
  }

  /** Asks all to end, and sees to it that they do. */
  async close(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()));
  }

  async kill(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.kill()));
  }

  /** Looks again and again; rejects with what `failure` makes of the time that it has waited. */
  protected async poll(
    holds: () => boolean,
    withinMs: () => number,
    failure: (waitedMs: number) => Error,
    pause: () => Promise<unknown> = () => delay(POLL_MS),
  ): Promise<void> {
    const begun = performance.now();
    while (!holds()) {
      const waitedMs = performance.now() - begun;
      if (waitedMs > withinMs()) throw failure(Math.round(waitedMs));
      await pause();
    }
  }
}
