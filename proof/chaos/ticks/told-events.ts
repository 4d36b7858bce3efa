import { TickHistory } from './tick-history.js';
import type { OnceEvent, OrderEvent, TickEvent, ToldEvent } from './tick-replica-settings.js';

/** Histories for the tests of the judge. Ticks are small numbers, so that an event of tick 7 is at 7,000 ms. */
export class ToldEvents {
  private readonly events: TickEvent[] = [];

  constructor(readonly job = 'plain 1') {}

  /** An event of whichever kind. */
  tell(name: string, at: number, event: ToldEvent): this {
    this.events.push({ name, at, ...event });
    return this;
  }

  start(tick: number, more: Partial<Told> = {}): this {
    const { name = 'a', attempt = 1, lateMs = 5, caughtUp = false } = more;
    const { job } = this;
    const at = tick * 1_000 + lateMs;
    return this.tell(name, at, { event: 'started', job, tick, attempt, lateMs, caughtUp });
  }

  end(tick: number, more: Partial<Told> = {}): this {
    const { name = 'a', attempt = 1, lateMs = 10, succeeded = true, isCancelled = false } = more;
    const { job } = this;
    const at = tick * 1_000 + lateMs;
    return this.tell(name, at, { event: 'ended', job, tick, attempt, succeeded, isCancelled });
  }

  /** Started, and ended with success. */
  run(tick: number, more: Partial<Told> = {}): this {
    const { lateMs = 5 } = more;
    return this.start(tick, { ...more, lateMs }).end(tick, { ...more, lateMs: lateMs + 5 });
  }

  missed(ticks: readonly number[], reason = 'not-started', at = 1_000_000): this {
    return this.tell('a', at, { event: 'missed', job: this.job, reason, ticks });
  }

  order(
    id: number,
    request: OrderEvent['request'],
    { asked, done }: { readonly asked: number; readonly done?: number },
  ): this {
    const order = { id, request, job: this.job };
    this.tell('b', asked, { event: 'asked', ...order });
    return done === undefined ? this : this.tell('b', done, { event: 'done', ...order });
  }

  once(at: number, name: string, event: Omit<OnceEvent, 'key'> & Partial<OnceEvent>): this {
    return this.tell(name, at, { key: 'fail', ...event });
  }

  get history(): TickHistory {
    return new TickHistory(this.events);
  }
}

interface Told {
  readonly name: string;
  readonly attempt: number;
  readonly lateMs: number;
  readonly caughtUp: boolean;
  readonly succeeded: boolean;
  readonly isCancelled: boolean;
}
