import { readFileSync } from 'node:fs';
import type { TickEvent } from './tick-replica-settings.js';

/** What all replicas together have told. */
export class TickHistory {
  readonly starts = new Map<number, number>();
  readonly reported = new Map<number, number>();
  readonly lateness: number[] = [];

  constructor(events: readonly TickEvent[]) {
    for (const event of events) {
      if (event.event === 'started') {
        this.starts.set(event.tick, (this.starts.get(event.tick) ?? 0) + 1);
        this.lateness.push(event.lateMs);
      } else if (event.event === 'missed') {
        for (const tick of event.ticks) {
          this.reported.set(tick, (this.reported.get(tick) ?? 0) + 1);
        }
      }
    }
  }

  get doubled(): number[] {
    return [...this.starts].filter(([, times]) => times > 1).map(([tick]) => tick);
  }

  /** Ticks of an interval (from, until] by what became of them. */
  within(from: number, until: number): TickAccount {
    const account = { ticks: 0, started: 0, reported: 0, unaccounted: [] as number[] };
    for (let tick = from + 1; tick <= until; tick += 1) {
      account.ticks += 1;
      if (this.starts.has(tick)) account.started += 1;
      else if (this.reported.has(tick)) account.reported += 1;
      else account.unaccounted.push(tick);
    }
    return account;
  }
}

export interface TickAccount {
  readonly ticks: number;
  readonly started: number;
  /** Not started, and reported as missed. */
  readonly reported: number;
  readonly unaccounted: readonly number[];
}

export function readHistory(file: string): TickEvent[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // The replica has not written yet.
    return [];
  }
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as TickEvent);
}
