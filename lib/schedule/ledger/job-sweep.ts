import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import { printRecord } from './job-record.codec.js';
import { fencingTokenOf, type JobRecord } from './job-record.js';
import { cutDown, isCutDown, isMark } from './moved-record.js';
import {
  jobNames,
  readJobRecord,
  storedRecord,
  sweptUpTo,
  withJobRecords,
  withoutJobRecords,
} from './ledger-document.js';

const DAY_MS = 86_400_000;

/** As many in one write as fit beside its own changes. */
const MOST_MARKS = 20;

/** How long the record of a job is kept that no leader knows. Longer than any rollout of the application. */
export const KEPT_UNKNOWN_MS = 30 * DAY_MS;

/** The leader that sweeps. */
export interface SweepingLeader {
  readonly now: number;
  readonly fencingToken: bigint;
  /** How long a record of an unknown job is kept after it was marked. */
  readonly keptUnknownMs: number;
  readonly isKnown: (job: string) => boolean;
  /** Records are here because a mark points to them: of one that is removed, what it accounted for is kept. */
  readonly isMarked?: boolean;
}

export interface SweptDocument {
  readonly document: JsonDocument;
  /** Jobs whose records were removed from it. */
  readonly forgotten: readonly string[];
}

/**
 * Removes the records of jobs that the application no longer has. Replicas of two versions may lead in turn, so a
 * leader first marks a record whose job it does not know. A leader that knows the job removes the mark; one that does
 * not and finds the mark after `keptUnknownMs` removes the record. The age of the last tick proves nothing: a yearly
 * job is healthy even when its last tick is old.
 *
 * This makes no tick run twice: a claim that finds no record is refused, and a job that gets a record again begins
 * after every tick of every record that was ever removed (`sweptThrough` of the document).
 */
export function sweepJobs(document: JsonDocument, leader: SweepingLeader): SweptDocument {
  const forgotten: string[] = [];
  const remarked = new Map<string, JsonDocument>();
  let through = -Infinity;
  for (const job of jobNames(document)) {
    if (leader.isKnown(job) && !isMarked(document, job)) continue;
    const record = readJobRecord(document, job);
    // A mark is kept: without it the job could be in two objects.
    if (record === undefined || isMark(record)) continue;
    if (leader.isMarked === true && isCutDown(record) && !leader.isKnown(job)) continue;
    if (!leader.isKnown(job) && isExpired(record, leader)) {
      forgotten.push(job);
      if (leader.isMarked === true) remarked.set(job, printRecord(cutDown(record)));
      through = Math.max(through, record.accountedThrough);
    } else if (
      leader.isKnown(job) !== (record.unknownSince === null) &&
      remarked.size < MOST_MARKS
    ) {
      const unknownSince = leader.isKnown(job) ? null : leader.now;
      remarked.set(job, printRecord({ ...record, unknownSince }));
    }
  }
  const marked = withJobRecords(document, remarked);
  if (forgotten.length === 0 || leader.isMarked === true) return { document: marked, forgotten };
  return { document: sweptUpTo(withoutJobRecords(marked, forgotten), through), forgotten };
}

/** Decided without reading the whole record, as this is asked for every job at every write. */
function isMarked(document: JsonDocument, job: string): boolean {
  const stored = storedRecord(document, job);
  return isJsonObject(stored) && (stored['unknownSince'] ?? null) !== null;
}

/** A run of the present term may be under way although its job was removed; one of an earlier term has no lease. */
function isExpired(
  record: JobRecord,
  { now, fencingToken, keptUnknownMs }: SweepingLeader,
): boolean {
  const { unknownSince, accountedThrough, active } = record;
  if (unknownSince === null) return false;
  const isOld = Math.max(unknownSince, accountedThrough) <= now - keptUnknownMs;
  return isOld && active.every((run) => (fencingTokenOf(run) ?? -1n) < fencingToken);
}
