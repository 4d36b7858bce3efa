/** Whose event it is: a process that is stopped gets its events later, one that is dead never. */
export interface EventOwner {
  accepts(event: SimulatedEvent): boolean;
  /** Called when everything the event set off has happened. */
  settled(): void;
}

export interface SimulatedEvent {
  readonly owner: EventOwner | null;
  readonly happen: () => void;
  cancelled: boolean;
}

const FIRST_CAPACITY = 256;

/**
 * True time, in milliseconds, and what happens when. Events of one instant happen in the order they were set. A heap
 * of four children a node whose keys lie in typed arrays: comparing them is most of its work, and a number in an object
 * is a box.
 */
export class EventQueue {
  now = 0;
  processed = 0;
  private size = 0;
  private instants = new Float64Array(FIRST_CAPACITY);
  private orders = new Float64Array(FIRST_CAPACITY);
  private readonly events: SimulatedEvent[] = [];
  private added = 0;

  at(at: number, owner: EventOwner | null, happen: () => void): SimulatedEvent {
    const event = { owner, happen, cancelled: false };
    this.push(Math.max(at, this.now), event);
    return event;
  }

  after(delayMs: number, owner: EventOwner | null, happen: () => void): SimulatedEvent {
    return this.at(this.now + delayMs, owner, happen);
  }

  /** Sets an event that was held back anew. */
  postpone(event: SimulatedEvent, at: number): void {
    this.push(at, event);
  }

  /** The next event not later than `until`; time has moved to it. */
  next(until: number): SimulatedEvent | undefined {
    while (this.size > 0) {
      const at = this.instants[0]!;
      if (at > until) break;
      const first = this.events[0]!;
      this.removeFirst();
      if (first.cancelled) continue;
      this.now = at;
      this.processed++;
      return first;
    }
    this.now = until;
    return undefined;
  }

  private push(at: number, event: SimulatedEvent): void {
    if (this.size === this.instants.length) this.grow();
    const { instants, orders, events } = this;
    let index = this.size++;
    // The newest of all: whatever is of the same instant was set before it.
    while (index > 0) {
      const parent = (index - 1) >> 2;
      const instant = instants[parent]!;
      if (instant <= at) break;
      instants[index] = instant;
      orders[index] = orders[parent]!;
      events[index] = events[parent]!;
      index = parent;
    }
    instants[index] = at;
    orders[index] = this.added++;
    events[index] = event;
  }

  private removeFirst(): void {
    const { instants, orders, events } = this;
    const size = --this.size;
    const at = instants[size]!;
    const order = orders[size]!;
    const event = events.pop()!;
    if (size === 0) return;
    let index = 0;
    for (let child = 1; child < size; child = 4 * index + 1) {
      let least = child;
      let instant = instants[child]!;
      const end = Math.min(child + 4, size);
      for (let other = child + 1; other < end; other++) {
        const its = instants[other]!;
        if (its > instant || (its === instant && orders[other]! > orders[least]!)) continue;
        least = other;
        instant = its;
      }
      if (instant > at || (instant === at && orders[least]! > order)) break;
      instants[index] = instant;
      orders[index] = orders[least]!;
      events[index] = events[least]!;
      index = least;
    }
    instants[index] = at;
    orders[index] = order;
    events[index] = event;
  }

  private grow(): void {
    const { instants, orders } = this;
    this.instants = new Float64Array(2 * instants.length);
    this.instants.set(instants);
    this.orders = new Float64Array(2 * orders.length);
    this.orders.set(orders);
  }
}
