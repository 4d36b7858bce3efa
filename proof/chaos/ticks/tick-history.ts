import type { TickEvent } from './tick-replica-settings.js';

/** What all replicas of one fleet together have told. */
export class TickHistory {
  readonly starts = new Map<number, number>();
  /** How often the work of each version was called that must run once. */
  readonly onceStarts = new Map<number, number>();
  readonly lateness: number[] = [];
  /** How often leadership was taken up. */
  grants = 0;
  private readonly caughtUp = new Set<number>();
  private readonly reported = new Set<number>();

  constructor(events: readonly TickEvent[]) {
    for (const event of events) {
      if (event.event === 'started') {
        this.starts.set(event.tick, (this.starts.get(event.tick) ?? 0) + 1);
        this.lateness.push(event.lateMs);
        if (event.caughtUp) this.caughtUp.add(event.tick);
      } else if (event.event === 'missed') {
        for (const tick of event.ticks) this.reported.add(tick);
      } else if (event.event === 'once') {
        const { version } = event;
        this.onceStarts.set(version, (this.onceStarts.get(version) ?? 0) + 1);
      } else if (event.event === 'granted') {
        this.grants += 1;
      }
    }
  }

  /** Infinity if no tick was ever started. */
  get firstTick(): number {
    return Math.min(...this.starts.keys());
  }

  /** -Infinity if no tick was ever started. */
  get lastTick(): number {
    return Math.max(...this.starts.keys());
  }

  /** Ticks of an interval (from, until] by what became of them. */
  within(from: number, until: number): TickAccount {
    const account = {
      ticks: 0,
      started: 0,
      caughtUp: 0,
      reported: 0,
      doubled: [] as number[],
      unaccounted: [] as number[],
    };
    for (let tick = from + 1; tick <= until; tick += 1) {
      account.ticks += 1;
      const starts = this.starts.get(tick) ?? 0;
      if (starts > 1) account.doubled.push(tick);
      if (starts > 0) {
        account.started += 1;
        if (this.caughtUp.has(tick)) account.caughtUp += 1;
      } else if (this.reported.has(tick)) account.reported += 1;
      else account.unaccounted.push(tick);
    }
    return account;
  }
}

export interface TickAccount {
  readonly ticks: number;
  readonly started: number;
  /** Of those started: due before their leader had become the leader. */
  readonly caughtUp: number;
  /** Not started, and reported as missed. */
  readonly reported: number;
  readonly doubled: readonly number[];
  readonly unaccounted: readonly number[];
}
