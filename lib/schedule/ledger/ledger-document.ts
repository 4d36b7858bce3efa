import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { isJsonObject, type JsonDocument, parseDocument } from '../../core/json-document.js';
import {
  FORMAT,
  formatFault,
  parseTime,
  printRecord,
  printTime,
  readRecord,
  recordFault,
} from './job-record.codec.js';
import type { JobRecord } from './job-record.js';

/**
 * Every write of a document sends and stores all of it, and the records of quiet jobs are much alike. So a large one is
 * stored compressed, as `{ format, packed }`, raw deflate in base64. It is still one object, and every step one
 * compare-and-set on the whole of it. Small ones stay readable for people.
 */
export const PACKED_FROM_BYTES = 16 * 1024;

/** Beyond any document that a store takes: an edit must not fill the memory. */
const MOST_UNPACKED_BYTES = 16 * 1024 * 1024;

/** Neither a document nor a record is ever changed, so what was made of one holds for as long as it is kept. */
const TEXTS = new WeakMap<JsonDocument, string>();
const READ = new WeakMap<JsonDocument, JobRecord>();

/** The document without its format: what is packed, and what bounds past runs. One text serves every look at it. */
function contentOf({ format: _format, ...content }: JsonDocument): JsonDocument {
  return content;
}

function contentText(document: JsonDocument): string {
  let text = TEXTS.get(document);
  if (text === undefined) TEXTS.set(document, (text = JSON.stringify(contentOf(document))));
  return text;
}

/** The document as it is stored. */
export function packed(document: JsonDocument): JsonDocument {
  const { format } = document;
  const text = contentText(document);
  if (text.length < PACKED_FROM_BYTES) return document;
  return { format, packed: deflateRawSync(text).toString('base64') };
}

/** The document before it was packed; one that cannot be unpacked stays as it is, and has a fault. */
export function unpacked(stored: JsonDocument): JsonDocument {
  const { packed: content, ...others } = stored;
  if (typeof content !== 'string' || 'jobs' in others) return stored;
  const document = parseDocument(inflated(content));
  return isJsonObject(document) ? { ...others, ...document } : stored;
}

function inflated(content: string): string | undefined {
  try {
    const options = { maxOutputLength: MOST_UNPACKED_BYTES };
    return inflateRawSync(Buffer.from(content, 'base64'), options).toString('utf8');
  } catch {
    // Cut off, edited by hand, or too large: the caller says what that means.
    return undefined;
  }
}

/** Why a document decides nothing for any job; undefined if it can be read. */
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
 * Why nothing can be decided for one job. It is then not scheduled, and its record is left as it is: if the record
 * counted as absent, it would begin again, and ticks that it accounts for could run twice.
 */
export function jobFault(document: JsonDocument, job: string): string | undefined {
  const fault = documentFault(document);
  if (fault !== undefined) return fault;
  const stored = storedRecord(document, job);
  return stored === undefined ? undefined : recordFault(stored);
}

/** Undefined if there is none, or if it cannot be read: see {@link jobFault}. */
export function readJobRecord(document: JsonDocument, job: string): JobRecord | undefined {
  const stored = storedRecord(document, job);
  if (stored === undefined || jobFault(document, job) !== undefined) return undefined;
  const source = stored as JsonDocument;
  const known = READ.get(source);
  if (known !== undefined) return known;
  const record = readRecord(source);
  READ.set(source, record);
  return record;
}

export function jobNames(document: JsonDocument): string[] {
  return Object.keys(jobsOf(document));
}

/** The document with another record for one job. */
export function writeJobRecord(
  document: JsonDocument,
  job: string,
  record: JobRecord,
): JsonDocument {
  return withJobRecords(document, new Map([[job, printRecord(record)]]));
}

/** The document with other records for some jobs, given as they are stored. */
export function withJobRecords(
  document: JsonDocument,
  printed: ReadonlyMap<string, JsonDocument>,
): JsonDocument {
  if (printed.size === 0) return document;
  const jobs = { ...jobsOf(document), ...Object.fromEntries(printed) };
  return { ...document, format: FORMAT, jobs };
}

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

/**
 * The document with half as many past runs of each job, the older ones removed; undefined if it has none left. People
 * read them, and no claim needs them.
 */
export function withLessHistory(document: JsonDocument): JsonDocument | undefined {
  const cut = new Map<string, JsonDocument>();
  for (const job of jobNames(document)) {
    const record = storedRecord(document, job);
    if (recordFault(record) !== undefined) continue;
    const { history, ...rest } = record as JsonDocument;
    if (!Array.isArray(history) || history.length === 0) continue;
    const kept = history.slice(Math.ceil(history.length / 2)) as unknown[];
    cut.set(job, kept.length === 0 ? rest : { ...rest, history: kept });
  }
  return cut.size === 0 ? undefined : withJobRecords(document, cut);
}

/**
 * The largest document with past runs, in bytes before it is packed. Every write sends and stores all of them, and a
 * version that counts its bound before packing has room for its own runs beside them.
 */
const MOST_BYTES_WITH_HISTORY = 200 * 1024;

export function withBoundedHistory(document: JsonDocument): JsonDocument {
  let bounded = document;
  while (Buffer.byteLength(contentText(bounded)) > MOST_BYTES_WITH_HISTORY) {
    const smaller = withLessHistory(bounded);
    if (smaller === undefined) break;
    bounded = smaller;
  }
  return bounded;
}

/** The stored record of a job, unread; undefined if there is none. */
export function storedRecord(document: JsonDocument, job: string): unknown {
  const jobs = jobsOf(document);
  return Object.hasOwn(jobs, job) ? jobs[job] : undefined;
}

function jobsOf(document: JsonDocument): JsonDocument {
  const { jobs } = document;
  return isJsonObject(jobs) ? jobs : {};
}

/** What helps when a document is full. */
export const MAKE_ROOM =
  'Use fewer scheduled jobs per role (each role has an object of its own), scheduleObjects to spread them over several ' +
  'objects, shorter runs, or concurrencyPolicy "Forbid".';

/** How much of its bound a document takes, as it is stored. */
export interface StoredSize {
  readonly bytes: number;
  readonly isPacked: boolean;
}

export function storedSize(document: JsonDocument): StoredSize {
  const stored = packed(document);
  return { bytes: bytesOf(stored), isPacked: stored !== document };
}

/** The jobs whose records are the largest, with the bytes of each, for messages: `"a" (512), "b" (511)`. */
export function largestJobs(document: JsonDocument, most = 5): string {
  return jobNames(document)
    .map((job) => ({ job, bytes: entryBytes(job, storedRecord(document, job)) }))
    .toSorted((one, other) => other.bytes - one.bytes)
    .slice(0, most)
    .map(({ job, bytes }) => `${JSON.stringify(job)} (${bytes})`)
    .join(', ');
}

/** What one more run of a job takes, with a long identity and a report beside it: written out, and packed. */
const RUN_BYTES = 640;
const PACKED_RUN_BYTES = 160;
/**
 * What a byte that is added takes at most once it is packed: runs and reports take a seventh, text without any pattern
 * more. Should that be too little, the store refuses the write, and fewer changes are tried together.
 */
const PACKED_SHARE = 0.5;
/** For the marks and the format number that a write may add by itself. */
const SPARE_BYTES = 1_024;

/**
 * What still fits into the document, counted as it is stored. A job whose runs pile up must not take the room of all
 * other jobs, so a second run of a job at the same time leaves room for a first run of every job that has none.
 */
export class DocumentRoom {
  private known: StoredSize | undefined;
  private grown = 0;
  private idle: Set<string> | undefined;
  private readonly sizes = new Map<string, number>();

  constructor(
    private readonly stored: JsonDocument,
    private readonly sizeOf: (document: JsonDocument) => StoredSize,
    private readonly limitBytes: number,
  ) {}

  /**
   * Takes what a record needs as it is to be stored, or says why there is no room for it. A record that shrinks always
   * fits.
   */
  take(job: string, record: JsonDocument): string | undefined {
    const before = this.sizes.get(job) ?? this.storedBytes(job);
    const after = entryBytes(job, record);
    const runs = runsOf(record);
    const grows = after > before;
    const { bytes, isPacked } = (this.known ??= this.sizeOf(this.stored));
    const share = isPacked ? PACKED_SHARE : 1;
    const kept = runs > 1 ? (isPacked ? PACKED_RUN_BYTES : RUN_BYTES) * this.idleBeside(job) : 0;
    const needed = bytes + this.grown + (after - before) * share + kept + SPARE_BYTES;
    if (grows && needed > this.limitBytes) return this.refusal({ bytes, kept, after, runs });
    // What packing makes of less is not known.
    this.grown += grows || !isPacked ? (after - before) * share : 0;
    this.sizes.set(job, after);
    if (runs > 0) this.idle?.delete(job);
    return undefined;
  }

  private refusal(found: { bytes: number; kept: number; after: number; runs: number }): string {
    const { bytes, kept, after, runs } = found;
    const others = kept === 0 ? '' : `, and ${kept} are kept for runs of other jobs`;
    return (
      `there is no room for its change: the document has ${bytes} of ${this.limitBytes} bytes${others}. ` +
      `The record of the job needs ${after}, with ${runs} active runs. ` +
      `The largest records are those of ${largestJobs(this.stored)}. ${MAKE_ROOM}`
    );
  }

  private storedBytes(job: string): number {
    const stored = storedRecord(this.stored, job);
    return stored === undefined ? 0 : entryBytes(job, stored);
  }

  private idleBeside(job: string): number {
    const { stored } = this;
    const isIdle = (each: string): boolean => runsOf(storedRecord(stored, each)) === 0;
    this.idle ??= new Set(jobNames(stored).filter(isIdle));
    return this.idle.size - (this.idle.has(job) ? 1 : 0);
  }
}

function runsOf(record: unknown): number {
  const active = isJsonObject(record) ? record['active'] : undefined;
  return Array.isArray(active) ? active.length : 0;
}

function entryBytes(job: string, record: unknown): number {
  return bytesOf(job) + bytesOf(record) + ':,'.length;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
