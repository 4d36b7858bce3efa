import type { JsonDocument } from '../../lib/core/json-document.js';
import type { JobRecord } from '../../lib/schedule/ledger/job-record.js';
import { readJobRecord, sweptThrough } from '../../lib/schedule/ledger/ledger-document.js';

interface LifeTraits {
  readonly job: string;
  readonly keptUnknownMs: number;
  /** Largest difference of a wall clock from true time, in milliseconds. */
  readonly skewMs: number;
  readonly onSwept: () => void;
  readonly onRecreated: () => void;
}

/** Clocks are read in whole milliseconds, and a claim that is handed back goes back by one. */
const ROUNDING_MS = 2;

/**
 * What became of one job's record, version by version of the stored document, and with it which ticks nobody owes:
 * - those between the last tick that a swept record accounted for and the beginning of the next record (of the first
 *   record: all before it), provided that the next does not begin later than any clock shows or a sweep demands;
 * - those that a swept record still had to tell of: its untold reports, its runs that had not been seen to end, and what
 *   was to start, such as a tick that was handed back.
 *
 * Only a sweep by the rules excuses anything: the record was marked, and mark and last tick were old by the clock that
 * runs furthest ahead. As long as there is a record every tick after its beginning is owed.
 */
export class RecordLife {
  private readonly excused: { readonly after: number; readonly through: number }[] = [];
  private readonly untold = new Set<number>();
  /** Ticks up to here were accounted for before the job had no record; undefined: it has one, or none is excused. */
  private gapAfter: number | undefined = -Infinity;
  private lives = 0;

  constructor(private readonly traits: LifeTraits) {}

  written(before: JsonDocument, after: JsonDocument, trueMs: number): void {
    const last = readJobRecord(before, this.traits.job);
    const next = readJobRecord(after, this.traits.job);
    if (last !== undefined && next === undefined) this.removed(last, trueMs);
    if (last === undefined && next !== undefined) this.made(next, sweptThrough(before), trueMs);
  }

  isOwed(tick: number): boolean {
    if (this.untold.has(tick)) return false;
    return this.excused.every(({ after, through }) => tick <= after || tick > through);
  }

  private removed(record: JobRecord, trueMs: number): void {
    const { onSwept, keptUnknownMs, skewMs } = this.traits;
    onSwept();
    const { unknownSince, accountedThrough, untold, active, retries, returned } = record;
    const latest = trueMs + skewMs + ROUNDING_MS - keptUnknownMs;
    if (unknownSince === null || Math.max(unknownSince, accountedThrough) > latest) return;
    this.gapAfter = accountedThrough;
    for (const tick of untold.flatMap(({ times }) => times)) this.untold.add(tick);
    for (const { scheduledTime } of [...active, ...retries]) this.untold.add(scheduledTime);
    // A process that saw its claim and not that it was handed back takes the next record for an older one.
    if (returned.length > 0) this.untold.add(accountedThrough + 1);
  }

  private made({ accountedThrough }: JobRecord, floor: number, trueMs: number): void {
    if (this.lives > 0) this.traits.onRecreated();
    this.lives += 1;
    const after = this.gapAfter;
    this.gapAfter = undefined;
    const latest = Math.max(floor, trueMs + this.traits.skewMs + ROUNDING_MS);
    if (after !== undefined && accountedThrough <= latest) {
      this.excused.push({ after, through: accountedThrough });
    }
  }
}
