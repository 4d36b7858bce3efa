import type {
  EndedEvent,
  OnceEvent,
  RecordedRun,
  StartedEvent,
  TickEvent,
} from './tick-replica-settings.js';

type At<E> = E & Pick<TickEvent, 'name' | 'at'>;

export type Start = At<StartedEvent>;
export type End = At<EndedEvent>;

export interface Report {
  readonly reason: string;
  readonly at: number;
}

/** From when on nothing may be claimed until when, in milliseconds of the wall clock. */
export interface Suspension {
  readonly from: number;
  /** Infinity if it was not ended. */
  readonly until: number;
}

/** A call of `cancel()`. */
export interface Cancellation {
  /** The process that was asked. */
  readonly name: string;
  readonly askedAt: number;
  /** When it was confirmed; Infinity if it was not, so that it may be stored at any time. */
  readonly doneAt: number;
}

/** What all replicas of one fleet together have told of one job. */
export class JobHistory {
  /** In the order in which they were told. */
  readonly starts: Start[] = [];
  readonly ends: End[] = [];
  /** Of ticks that were reported as missed. */
  readonly reports = new Map<number, Report[]>();
  readonly suspensions: Suspension[] = [];
  readonly cancellations: Cancellation[] = [];
  /** As last read from the store; undefined if it was not. */
  recorded: readonly RecordedRun[] | undefined;

  constructor(readonly name: string) {}

  /** Infinity if no tick was ever started. */
  get firstTick(): number {
    return this.starts.reduce((least, { tick }) => Math.min(least, tick), Infinity);
  }

  /** -Infinity if no tick was ever started. */
  get lastTick(): number {
    return this.starts.reduce((most, { tick }) => Math.max(most, tick), -Infinity);
  }

  /** By tick, in the order in which they were told. */
  get startsByTick(): Map<number, Start[]> {
    const byTick = new Map<number, Start[]>();
    for (const start of this.starts) {
      const others = byTick.get(start.tick);
      if (others === undefined) byTick.set(start.tick, [start]);
      else others.push(start);
    }
    return byTick;
  }
}

/** What all replicas of one fleet together have told. */
export class TickHistory {
  readonly jobs = new Map<string, JobHistory>();
  readonly once: readonly At<OnceEvent>[];
  /** Of the job that runs when people ask for it. */
  readonly requestedRuns: readonly { readonly at: number }[];
  /** How often leadership was taken up. */
  readonly grants: number;

  constructor(told: readonly TickEvent[]) {
    // Within one process they are in order already.
    const events = told.toSorted((one, other) => one.at - other.at);
    for (const event of events) {
      switch (event.event) {
        case 'started':
          this.job(event.job).starts.push(event);
          break;
        case 'ended':
          this.job(event.job).ends.push(event);
          break;
        case 'missed': {
          const { reports } = this.job(event.job);
          const { reason, at } = event;
          for (const tick of event.ticks) {
            reports.set(tick, [...(reports.get(tick) ?? []), { reason, at }]);
          }
          break;
        }
        case 'inspected':
          this.job(event.job).recorded = event.runs;
          break;
        default:
      }
    }
    for (const { name, suspensions, cancellations } of this.jobs.values()) {
      suspensions.push(...suspensionsOf(events, name));
      cancellations.push(...cancellationsOf(events, name));
    }
    this.requestedRuns = events.filter(({ event }) => event === 'requested-run');
    this.once = events.flatMap((event) => ('version' in event ? [event] : []));
    this.grants = events.filter(({ event }) => event === 'granted').length;
  }

  private job(name: string): JobHistory {
    const known = this.jobs.get(name) ?? new JobHistory(name);
    this.jobs.set(name, known);
    return known;
  }
}

/**
 * A job is suspended from when a replica has confirmed it until the next `resume()` is asked for. Not from orders that a
 * `resume()` has overtaken, as a replica obeys late that was stopped.
 */
function suspensionsOf(events: readonly TickEvent[], job: string): Suspension[] {
  const orders = ordersOf(events, job);
  const isAsked = (request: string, since: number) => (order: (typeof orders)[number]) =>
    order.event === 'asked' && order.request === request && order.at >= since;
  return orders
    .filter(({ event, request }) => event === 'done' && request === 'suspend')
    .flatMap(({ id, at: from }) => {
      const asked = orders.find((order) => order.event === 'asked' && order.id === id);
      const until = orders.find(isAsked('resume', asked?.at ?? from))?.at ?? Infinity;
      return until > from ? [{ from, until }] : [];
    });
}

function cancellationsOf(events: readonly TickEvent[], job: string): Cancellation[] {
  const orders = ordersOf(events, job);
  return orders
    .filter(({ event, request }) => event === 'asked' && request === 'cancel')
    .map(({ id, name, at: askedAt }) => {
      const done = orders.find((order) => order.event === 'done' && order.id === id);
      return { name, askedAt, doneAt: done?.at ?? Infinity };
    });
}

function ordersOf(events: readonly TickEvent[], job: string) {
  return events.flatMap((event) =>
    (event.event === 'asked' || event.event === 'done') && event.job === job ? [event] : [],
  );
}

/** Ticks of an interval (from, until] by what became of them. */
export function accountOf(job: JobHistory, from: number, until: number): TickAccount {
  const starts = job.startsByTick;
  const account = {
    ticks: 0,
    started: 0,
    runs: 0,
    caughtUp: 0,
    reported: 0,
    doubled: [] as string[],
    unaccounted: [] as number[],
  };
  for (let tick = from + 1; tick <= until; tick += 1) {
    account.ticks += 1;
    const runs = starts.get(tick) ?? [];
    account.runs += runs.length;
    account.doubled.push(...doubledAttempts(runs));
    if (runs.length > 0) {
      account.started += 1;
      if (runs.some(({ caughtUp }) => caughtUp)) account.caughtUp += 1;
    } else if (job.reports.has(tick)) account.reported += 1;
    else account.unaccounted.push(tick);
  }
  return account;
}

function doubledAttempts(runs: readonly Start[]): string[] {
  const attempts = runs.map(({ attempt }) => attempt);
  return runs
    .filter(({ attempt }, index) => attempts.indexOf(attempt) < index)
    .map(({ tick, attempt }) => (attempt === 1 ? `${tick}` : `attempt ${attempt} of ${tick}`));
}

export interface TickAccount {
  readonly ticks: number;
  readonly started: number;
  /** Calls of the handler. */
  readonly runs: number;
  /** Of the ticks that were started: due before their leader had become the leader. */
  readonly caughtUp: number;
  /** Not started, and reported as missed. */
  readonly reported: number;
  /** Runs that were started twice: a tick or, of a later attempt, that attempt. */
  readonly doubled: readonly string[];
  readonly unaccounted: readonly number[];
}
