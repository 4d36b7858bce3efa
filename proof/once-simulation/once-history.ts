import { type JsonDocument, partOf } from '../../lib/core/json-document.js';
import type { RunEnding } from '../../lib/schedule/once/once-decision.js';
import type { OnceRecord } from '../../lib/schedule/once/once-record.js';
import type { OnceOutcome } from '../../lib/schedule/once/once-work.js';

/** The key that must never run twice at one version, and the one that may after an interruption. */
export const KEYS = { fail: 'fails', rerun: 'reruns' } as const;

/** What really happened, and what of it the rules forbid. */
export class OnceHistory {
  readonly broken: string[] = [];
  starts = 0;
  private readonly startsOf = new Map<string, number>();
  private readonly startedClaims = new Set<string>();
  private readonly endOf = new Map<string, RunEnding['state']>();
  private readonly newest = new Map<string, number>();
  private readonly succeeded = new Set<string>();

  /** A replica has called the work. */
  started(key: string, { version, claim }: OnceRecord): void {
    this.starts += 1;
    const run = `${key} ${version}`;
    this.startsOf.set(run, (this.startsOf.get(run) ?? 0) + 1);
    if (key === KEYS.fail && this.startsOf.get(run)! > 1) this.broken.push(`doubled: ${run}`);
    if (this.startedClaims.has(claim)) this.broken.push(`one claim started twice: ${run}`);
    this.startedClaims.add(claim);
  }

  ended(key: string, { version, claim }: OnceRecord, state: RunEnding['state']): void {
    this.endOf.set(claim, state);
    if (state === 'succeeded') this.succeeded.add(`${key} ${version}`);
  }

  /** A replica was told how it ended. */
  told(key: string, version: number, { end }: OnceOutcome): void {
    const run = `${key} ${version}`;
    const isUntrue =
      (end === 'succeeded' && !this.succeeded.has(run)) ||
      (end === 'superseded' && !((this.newest.get(key) ?? 0) > version));
    if (isUntrue) this.broken.push(`told that it has ${end}: ${run}`);
  }

  /** The document went from one version to the next. */
  written(before: JsonDocument, after: JsonDocument): void {
    for (const key of Object.values(KEYS)) {
      const [from, to] = [partOf(partOf(before, 'once'), key), partOf(partOf(after, 'once'), key)];
      if (to['version'] === undefined) continue;
      this.judge(key, from, to);
    }
  }

  private judge(key: string, from: JsonDocument, to: JsonDocument): void {
    const [older, newer] = [Number(from['version'] ?? 0), Number(to['version'])];
    this.newest.set(key, Math.max(newer, this.newest.get(key) ?? 0));
    if (newer < older) this.broken.push(`went back: ${key} ${older} to ${newer}`);
    if (JSON.stringify(from) === JSON.stringify(to)) return;
    const { state, claim } = to;
    const isOver = from['state'] === 'succeeded' || from['state'] === 'failed';
    if (newer === older && isOver) this.broken.push(`reopened: ${key} ${newer}`);
    const isEnd = state === 'succeeded' || state === 'failed';
    if (isEnd && this.endOf.get(String(claim)) !== state) {
      this.broken.push(`an end that was not: ${key} ${newer} ${state}`);
    }
  }
}
