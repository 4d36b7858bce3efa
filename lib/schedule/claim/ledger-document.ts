import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import { FORMAT, formatFault, printRecord, readRecord, recordFault } from './job-record.codec.js';
import type { JobRecord } from './job-record.js';
import { parseTime, printTime } from './tick-times.js';

/** Why nothing can be decided by a document, for any job; undefined: it can be read. */
export function documentFault(document: JsonDocument): string | undefined {
  const newer = formatFault(document);
  if (newer !== undefined) return `the document ${newer}`;
  const { jobs, packed, sweptThrough: swept } = document;
  if (packed !== undefined) return 'the document cannot be unpacked';
  if (jobs !== undefined && !isJsonObject(jobs)) return 'jobs in the document is not a JSON object';
  const isTime = swept === undefined || parseTime(swept) !== undefined;
  return isTime ? undefined : 'sweptThrough in the document is not a time';
}

/**
 * Why nothing can be decided for one job: it is not scheduled then, and its record is left as it is. Taken for absent,
 * the record would begin again, and ticks that it accounts for could run twice.
 */
export function jobFault(document: JsonDocument, job: string): string | undefined {
  const fault = documentFault(document);
  if (fault !== undefined) return fault;
  const stored = storedRecord(document, job);
  return stored === undefined ? undefined : recordFault(stored);
}

/** Undefined if there is none, or none that can be read: see {@link jobFault}. */
export function readJobRecord(document: JsonDocument, job: string): JobRecord | undefined {
  const stored = storedRecord(document, job);
  if (stored === undefined || jobFault(document, job) !== undefined) return undefined;
  return readRecord(stored as JsonDocument);
}

export function jobNames(document: JsonDocument): string[] {
  return Object.keys(jobsOf(document));
}

/** The document with one record exchanged. */
export function writeJobRecord(
  document: JsonDocument,
  job: string,
  record: JobRecord,
): JsonDocument {
  return withJobRecords(document, new Map([[job, printRecord(record)]]));
}

/** The document with some records exchanged, given as they are stored. */
export function withJobRecords(
  document: JsonDocument,
  printed: ReadonlyMap<string, JsonDocument>,
): JsonDocument {
  if (printed.size === 0) return document;
  const jobs = { ...jobsOf(document), ...Object.fromEntries(printed) };
  return { ...document, format: FORMAT, jobs };
}

/** The document without some records. */
export function withoutJobRecords(document: JsonDocument, jobs: readonly string[]): JsonDocument {
  const gone = new Set(jobs);
  const others = Object.entries(jobsOf(document)).filter(([name]) => !gone.has(name));
  return { ...document, jobs: Object.fromEntries(others) };
}

/** Every tick of a record that was removed is at or before this; -Infinity if none was. */
export function sweptThrough(document: JsonDocument): number {
  return parseTime(document['sweptThrough']) ?? -Infinity;
}

export function sweptUpTo(document: JsonDocument, tick: number): JsonDocument {
  return { ...document, sweptThrough: printTime(Math.max(tick, sweptThrough(document))) };
}

/** What is stored for a job, as it is; undefined if nothing is. */
export function storedRecord(document: JsonDocument, job: string): unknown {
  const jobs = jobsOf(document);
  return Object.hasOwn(jobs, job) ? jobs[job] : undefined;
}

function jobsOf(document: JsonDocument): JsonDocument {
  const { jobs } = document;
  return isJsonObject(jobs) ? jobs : {};
}
