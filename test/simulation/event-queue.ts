/** Whose event it is: a process that is stopped gets its events later, one that is dead never. */
export interface EventOwner {
  accepts(event: SimulatedEvent): boolean;
  /** Called when everything the event set off has happened. */
  settled(): void;
}

export interface SimulatedEvent {
  at: number;
  order: number;
  readonly owner: EventOwner | null;
  readonly happen: () => void;
  cancelled: boolean;
}

/** True time, in milliseconds, and what happens when. Events of one instant happen in the order they were set. */
export class EventQueue {
  now = 0;
  processed = 0;
  private readonly heap: SimulatedEvent[] = [];
  private added = 0;

  at(at: number, owner: EventOwner | null, happen: () => void): SimulatedEvent {
    const event = { at: Math.max(at, this.now), order: 0, owner, happen, cancelled: false };
    this.push(event);
    return event;
  }

  after(delayMs: number, owner: EventOwner | null, happen: () => void): SimulatedEvent {
    return this.at(this.now + delayMs, owner, happen);
  }

  /** Sets an event that was held back anew. */
  postpone(event: SimulatedEvent, at: number): void {
    event.at = at;
    this.push(event);
  }

  /** The next event not later than `until`; time has moved to it. */
  next(until: number): SimulatedEvent | undefined {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined || first.at > until) {
        this.now = until;
        return undefined;
      }
      this.removeFirst();
      if (first.cancelled) continue;
      this.now = first.at;
      this.processed++;
      return first;
    }
  }

  private push(event: SimulatedEvent): void {
    event.order = this.added++;
    const { heap } = this;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
