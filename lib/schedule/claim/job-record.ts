import { isJsonObject } from '../../locks/document-text.js';
import type { JsonDocument } from '../../locks/document-store.js';

/** A run that has been claimed and has not been seen to end. All times are milliseconds since the epoch. */
export interface ActiveRun {
  /** Tells this run from every other: the nonce of its claim. */
  readonly run: string;
  readonly scheduledTime: number;
  readonly startedAt: number;
  /** The term it belongs to. */
  readonly term: number;
  readonly fencingToken: string;
  readonly holderIdentity: string;
}

export interface FailedRun {
  readonly scheduledTime: number;
  readonly at: number;
  /** One line, as `shortReason()` makes it. */
  readonly reason: string;
}

export type MissedReason = 'not-started' | 'forbidden' | 'interrupted';

/** Missed ticks that are accounted for and perhaps not yet told: it is stored with them, and removed once it is told. */
export interface UntoldReport {
  /** Nonce of the change that stored it. */
  readonly claim: string;
  readonly reason: MissedReason;
  readonly times: readonly number[];
  readonly isCapped: boolean;
}

/** What the fleet knows of one job. */
export interface JobRecord {
  /** The schedule by which ticks have been accounted for. */
  readonly schedule: string;
  /** Every tick up to here was claimed or reported as missed; it only grows, but for a claim that is handed back. */
  readonly accountedThrough: number;
  /** Nonce of the claim that brought it there. */
  readonly claim: string;
  readonly lastScheduleTime: number | null;
  readonly lastSuccessfulTime: number | null;
  readonly lastFailed: FailedRun | null;
  readonly missedCount: number;
  readonly lastMissedTime: number | null;
  readonly active: readonly ActiveRun[];
  readonly untold: readonly UntoldReport[];
  /** When a leader first found it and did not know the job; null if the last one that wrote did. */
  readonly unknownSince: number | null;
  /** The stored object: what this version does not understand it writes back. */
  readonly source?: JsonDocument;
}

const REASONS: readonly MissedReason[] = ['not-started', 'forbidden', 'interrupted'];

export const NEVER_RUN: Omit<JobRecord, 'schedule' | 'accountedThrough' | 'claim'> = {
  lastScheduleTime: null,
  lastSuccessfulTime: null,
  lastFailed: null,
  missedCount: 0,
  lastMissedTime: null,
  active: [],
  untold: [],
  unknownSince: null,
};

/** The records of a document by job. One that does not say how far ticks are accounted for is no record. */
export function readJobRecord(document: JsonDocument, job: string): JobRecord | undefined {
  const jobs = document['jobs'];
  const source = isJsonObject(jobs) && Object.hasOwn(jobs, job) ? jobs[job] : undefined;
  if (!isJsonObject(source)) return undefined;
  const accountedThrough = readTime(source['accountedThrough']);
  if (accountedThrough === null) return undefined;
  return {
    schedule: readText(source['schedule']),
    accountedThrough,
    claim: readText(source['claim']),
    lastScheduleTime: readTime(source['lastScheduleTime']),
    lastSuccessfulTime: readTime(source['lastSuccessfulTime']),
    lastFailed: readFailure(source['lastFailed']),
    missedCount: readCount(source['missedCount']),
    lastMissedTime: readTime(source['lastMissedTime']),
    active: readList(source['active']).flatMap((run) => readActive(run) ?? []),
    untold: readList(source['untold']).flatMap((report) => readUntold(report) ?? []),
    unknownSince: readTime(source['unknownSince']),
    source,
  };
}

export function jobNames(document: JsonDocument): string[] {
  return isJsonObject(document['jobs']) ? Object.keys(document['jobs']) : [];
}

/** The document with one record exchanged. */
export function writeJobRecord(
  document: JsonDocument,
  job: string,
  { source, ...record }: JobRecord,
): JsonDocument {
  const jobs = isJsonObject(document['jobs']) ? document['jobs'] : {};
  const { lastFailed } = record;
  const written = {
    ...source,
    ...record,
    accountedThrough: printTime(record.accountedThrough),
    lastScheduleTime: printTime(record.lastScheduleTime),
    lastSuccessfulTime: printTime(record.lastSuccessfulTime),
    lastMissedTime: printTime(record.lastMissedTime),
    lastFailed: lastFailed && {
      ...lastFailed,
      scheduledTime: printTime(lastFailed.scheduledTime),
      at: printTime(lastFailed.at),
    },
    active: record.active.map((run) => ({
      ...run,
      scheduledTime: printTime(run.scheduledTime),
      startedAt: printTime(run.startedAt),
    })),
    untold: record.untold.map((report) => ({ ...report, times: report.times.map(printTime) })),
    unknownSince: printTime(record.unknownSince),
  };
  return { ...document, jobs: { ...jobs, [job]: written } };
}

/** The document with one record less. */
export function withoutJobRecord(document: JsonDocument, job: string): JsonDocument {
  const jobs = isJsonObject(document['jobs']) ? Object.entries(document['jobs']) : [];
  return { ...document, jobs: Object.fromEntries(jobs.filter(([name]) => name !== job)) };
}

/** Undefined for what no version of this library has written. */
export function fencingTokenOf({ fencingToken }: ActiveRun): bigint | undefined {
  return /^\d{1,30}$/.test(fencingToken) ? BigInt(fencingToken) : undefined;
}

function readActive(value: unknown): ActiveRun | undefined {
  if (!isJsonObject(value)) return undefined;
  const scheduledTime = readTime(value['scheduledTime']);
  const run = readText(value['run']);
  if (scheduledTime === null || run === '') return undefined;
  return {
    run,
    scheduledTime,
    startedAt: readTime(value['startedAt']) ?? scheduledTime,
    term: readCount(value['term']),
    fencingToken: readText(value['fencingToken']),
    holderIdentity: readText(value['holderIdentity']),
  };
}

function readUntold(value: unknown): UntoldReport | undefined {
  if (!isJsonObject(value)) return undefined;
  const claim = readText(value['claim']);
  const times = readList(value['times']).flatMap((time) => readTime(time) ?? []);
  const reason = REASONS.find((each) => each === value['reason']);
  if (claim === '' || reason === undefined || times.length === 0) return undefined;
  return { claim, reason, times, isCapped: value['isCapped'] === true };
}

function readList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function readFailure(value: unknown): FailedRun | null {
  if (!isJsonObject(value)) return null;
  const scheduledTime = readTime(value['scheduledTime']);
  const at = readTime(value['at']);
  if (scheduledTime === null || at === null) return null;
  return { scheduledTime, at, reason: readText(value['reason']) };
}

function readText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function readCount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function readTime(value: unknown): number | null {
  const time = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? null : time;
}

function printTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
