import type { TickCounts, TickState, TickView } from './fleet-view.js';
import { JOB, type RecordedTicks, type TickRun } from './messages.js';

/** All that is known of one tick, from whichever side. */
interface Evidence {
  /** Each call of the job that a replica has told of. */
  readonly runs: { readonly holder: string; readonly at: number; readonly isCaughtUp: boolean }[];
  /** By the record: who claimed it, and whether its end is unknown. */
  readonly claims: Map<string, { readonly isInterrupted: boolean }>;
  isMissed: boolean;
}

/** A tick without a trace is missed when it is so late that its trace would be here. */
const PATIENCE_MS = JOB.startingDeadlineSeconds * 1_000 + 3_000;
/** Older ticks are counted once, and again only when something is heard of them. */
const RECENT_MS = 150_000;

type Counts = { -readonly [Name in keyof Omit<TickCounts, 'since'>]: number };

/**
 * Counts what became of every tick from the first one that ran. A tick is its nominal time. Two witnesses are heard: the job,
 * which says that it was called, and the record that the replicas share, which knows of calls whose process was killed before
 * it could speak. What both say of one process is one run.
 */
export class TickBook {
  private readonly evidence = new Map<number, Evidence>();
  private readonly settled: Counts = { ran: 0, caughtUp: 0, twice: 0, missed: 0, interrupted: 0 };
  private first: number | undefined;
  private nextUnsettled = 0;
  private latest = 0;
  private oldestPast = Infinity;
  private active: readonly number[] = [];

  constructor(private readonly nameOf: (holder: string) => string) {}

  ran(holder: string, { tick, at, isTriggered, isCaughtUp }: TickRun): void {
    if (isTriggered) return;
    this.first ??= this.nextUnsettled = tick;
    this.hear(tick, ({ runs }) => runs.push({ holder, at, isCaughtUp }));
  }

  missed(tick: number): void {
    this.hear(tick, (evidence) => (evidence.isMissed = true));
  }

  recorded({ latest, active, past }: RecordedTicks): void {
    this.latest = latest ?? 0;
    this.active = active;
    this.oldestPast = Math.min(...past.map(({ tick }) => tick));
    for (const { tick, holder, isInterrupted } of past) {
      this.hear(tick, ({ claims }) => claims.set(holder, { isInterrupted }));
    }
  }

  counts(now: number): TickCounts | null {
    if (this.first === undefined) return null;
    this.settle(now);
    const counts = { ...this.settled };
    for (const { state } of this.views(this.nextUnsettled, now)) add(counts, state, 1);
    return { since: this.first, ...counts };
  }

  /** All ticks from then until now, ascending. */
  view(from: number, now: number): TickView[] {
    if (this.first === undefined) return [];
    return this.views(Math.max(this.first, Math.ceil(from / JOB.intervalMs) * JOB.intervalMs), now);
  }

  private views(from: number, now: number): TickView[] {
    const views: TickView[] = [];
    for (let tick = from; tick <= now; tick += JOB.intervalMs) views.push(this.viewOf(tick, now));
    return views;
  }

  private viewOf(tick: number, now: number): TickView {
    const { runs, claims, isMissed } = this.evidence.get(tick) ?? NOTHING;
    const told = runs.map(({ holder }) => holder);
    const silent = [...claims.keys()].filter((holder) => !told.includes(holder));
    const state = (): TickState => {
      if (told.length + silent.length > 1) return 'twice';
      if (told.length === 1) return runs[0]!.isCaughtUp ? 'caught-up' : 'ran';
      if (silent.length === 1) return claims.get(silent[0]!)!.isInterrupted ? 'interrupted' : 'ran';
      return isMissed || this.isWithoutTrace(tick, now) ? 'missed' : 'due';
    };
    const replicas = [...told, ...silent].map(this.nameOf);
    return { tick, state: state(), replicas, ranAt: runs[0]?.at ?? null };
  }

  private isWithoutTrace(tick: number, now: number): boolean {
    if (this.active.includes(tick)) return false;
    // Ticks are claimed in their order, and the record reaches back so far.
    const isPassedOver = this.oldestPast < tick && tick < this.latest;
    return isPassedOver || now - tick > PATIENCE_MS;
  }

  private settle(now: number): void {
    while (this.nextUnsettled <= now - RECENT_MS) {
      const { state } = this.viewOf(this.nextUnsettled, now);
      if (state === 'due') return;
      add(this.settled, state, 1);
      this.nextUnsettled += JOB.intervalMs;
    }
  }

  /** A process that was frozen for long may speak of ticks that were counted without it. */
  private hear(tick: number, note: (evidence: Evidence) => unknown): void {
    if (this.first === undefined || tick < this.first) return;
    const isSettled = tick < this.nextUnsettled;
    if (isSettled) add(this.settled, this.viewOf(tick, Infinity).state, -1);
    let evidence = this.evidence.get(tick);
    if (evidence === undefined) {
      evidence = { runs: [], claims: new Map(), isMissed: false };
      this.evidence.set(tick, evidence);
    }
    note(evidence);
    if (isSettled) add(this.settled, this.viewOf(tick, Infinity).state, 1);
  }
}

const NOTHING: Evidence = { runs: [], claims: new Map(), isMissed: false };

function add(counts: Counts, state: TickState, by: 1 | -1): void {
  switch (state) {
    case 'ran':
      counts.ran += by;
      break;
    case 'caught-up':
      counts.ran += by;
      counts.caughtUp += by;
      break;
    case 'twice':
    case 'missed':
    case 'interrupted':
      counts[state] += by;
      break;
    case 'due':
      break;
    default:
      state satisfies never;
  }
}
