import type { MissedReport } from '../../../lib/schedule/runner/job-definition.js';
import type { RecordLife } from './record-life.js';
import type { AskedRun } from './asked-run.js';

export interface HistoryVerdict {
  readonly ticks: number;
  readonly started: number;
  /** Nominal times that were started more than once. */
  readonly doubled: readonly string[];
  /** Reported as not started though they were. */
  readonly contradicted: readonly string[];
  readonly missed: number;
  /** Neither started nor reported, though somebody owes it. */
  readonly silent: readonly string[];
  /** Neither, and nobody owes it, as the record of the job was gone. */
  readonly excused: number;
  /** Started under Forbid while another run of the same process was under way. */
  readonly overlapped: readonly string[];
  /** Runs asked for by hand whose result is not what became of them, or that have none. */
  readonly astray: readonly string[];
}

/** What all processes together did and said of one job. */
export class JobHistory {
  private readonly starts = new Map<number, number>();
  private readonly reported = new Set<number>();
  private readonly notStarted = new Set<number>();
  private readonly overlaps: number[] = [];
  private readonly asked: AskedRun[] = [];

  constructor(
    readonly job: string,
    readonly everySeconds: number,
    readonly life: RecordLife,
  ) {}

  tickStarted(time: number): void {
    const tick = this.tickOf(time);
    this.starts.set(tick, (this.starts.get(tick) ?? 0) + 1);
  }

  overlapped(time: number): void {
    this.overlaps.push(time);
  }

  missed({ times, reason }: MissedReport): void {
    for (const time of times) {
      const tick = this.tickOf(time.getTime());
      this.reported.add(tick);
      if (reason !== 'interrupted') this.notStarted.add(tick);
    }
  }

  runAsked(asked: AskedRun): void {
    this.asked.push(asked);
  }

  /** On the ticks of so many seconds from `begin` on. */
  verdict(begin: number, seconds: number): HistoryVerdict {
    const { starts, reported, notStarted } = this;
    const everyMs = this.everySeconds * 1_000;
    const ticks = Math.floor(seconds / this.everySeconds);
    const within = Array.from({ length: ticks }, (_, index) => begin + (index + 1) * everyMs);
    const neither = within.filter((tick) => !starts.has(tick) && !reported.has(tick));
    const silent = neither.filter((tick) => this.life.isOwed(tick));
    return {
      ticks,
      started: within.filter((tick) => starts.has(tick)).length,
      doubled: [...starts].filter(([, times]) => times > 1).map(([tick]) => printed(tick)),
      contradicted: [...notStarted].filter((tick) => starts.has(tick)).map(printed),
      missed: within.filter((tick) => reported.has(tick)).length,
      silent: silent.map(printed),
      excused: neither.length - silent.length,
      overlapped: this.overlaps.map(printed),
      astray: this.asked.flatMap((asked) => asked.fault ?? []),
    };
  }

  /** Of the timer's time, too: whoever starts a tick late starts that tick. */
  private tickOf(time: number): number {
    const everyMs = this.everySeconds * 1_000;
    return Math.floor(time / everyMs) * everyMs;
  }
}

function printed(time: number): string {
  return new Date(time).toISOString();
}
