import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import { parseTime, printTime } from '../ledger/job-record.codec.js';
import { readVersion } from './once-version.js';

/**
 * - `started`: claimed, and its end is not recorded. - `succeeded`, `failed`: it has ended.
 * - `interrupted`: its signal was aborted before it ended, or its process died.
 * - `returned`: it was claimed and never started, as leadership had ended first.
 */
export type OnceState = 'started' | 'succeeded' | 'failed' | 'interrupted' | 'returned';

const STATES: readonly unknown[] = [
  'started',
  'succeeded',
  'failed',
  'interrupted',
  'returned',
] satisfies OnceState[];

/** What is recorded of one key: the newest version that was ever claimed. Times are milliseconds since the epoch. */
export interface OnceRecord {
  /** As `readVersion()` returns it. */
  readonly version: string;
  readonly state: OnceState;
  /** The nonce of the claim: only who made it runs. */
  readonly claim: string;
  /** From 1: how many runs of this version were claimed. */
  readonly attempt: number;
  readonly holderIdentity: string;
  readonly term: number;
  readonly fencingToken: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** One line, if it failed or was interrupted. */
  readonly reason: string | null;
  /** The stored object: this version writes back what it does not understand. */
  readonly source?: JsonDocument;
}

/**
 * The newest format that this version reads. One that changes the meaning of a field, or adds one that must not be
 * overlooked, has a larger number.
 */
export const ONCE_FORMAT = 1;

/** A record, or why nothing can be decided by what is stored. If that counted as absent, the work could run again. */
export type ReadRecord = { readonly record: OnceRecord | undefined } | { readonly fault: string };

export function readOnceRecord(document: JsonDocument, key: string): ReadRecord {
  const newer = formatFault(document);
  if (newer !== undefined) return { fault: `the document ${newer}` };
  const { once = {}, packed } = document;
  if (packed !== undefined) return { fault: 'the document cannot be unpacked' };
  if (!isJsonObject(once)) return { fault: 'once in the document is not a JSON object' };
  if (!Object.hasOwn(once, key)) return { record: undefined };
  const stored = once[key];
  if (!isJsonObject(stored))
    return { fault: `the record of ${JSON.stringify(key)} is not a JSON object` };
  const record = parsed(stored);
  return typeof record === 'string'
    ? { fault: `the record of ${JSON.stringify(key)} ${record}` }
    : { record };
}

/** The document with another record for one key; all else of it is kept. */
export function writeOnceRecord(
  document: JsonDocument,
  key: string,
  record: OnceRecord,
): JsonDocument {
  const { once } = document;
  const records = { ...(isJsonObject(once) ? once : {}), [key]: printed(record) };
  return { ...document, format: ONCE_FORMAT, once: records };
}

function formatFault({ format = ONCE_FORMAT }: JsonDocument): string | undefined {
  if (Number.isInteger(format) && (format as number) >= 1 && (format as number) <= ONCE_FORMAT) {
    return undefined;
  }
  return `has format ${JSON.stringify(format)}, and this version of the library reads up to ${ONCE_FORMAT}`;
}

/** A text says what is wrong with it. */
function parsed(source: JsonDocument): OnceRecord | string {
  const newer = formatFault(source);
  if (newer !== undefined) return newer;
  const { state, claim, attempt, reason } = source;
  const version = readVersion(source['version']);
  if (version === undefined) return 'has no version that can be compared';
  if (!STATES.includes(state)) {
    return `has the state ${JSON.stringify(state)}, which this version of the library does not know`;
  }
  const startedAt = parseTime(source['startedAt']);
  if (startedAt === undefined) return 'does not say when it was started (startedAt)';
  return {
    version,
    state: state as OnceState,
    claim: textOf(claim),
    attempt: Number.isInteger(attempt) ? Math.max(1, attempt as number) : 1,
    holderIdentity: textOf(source['holderIdentity']),
    term: Number.isInteger(source['term']) ? (source['term'] as number) : 0,
    fencingToken: textOf(source['fencingToken']),
    startedAt,
    endedAt: parseTime(source['endedAt']) ?? null,
    reason: typeof reason === 'string' ? reason : null,
    source,
  };
}

function printed({ source, startedAt, endedAt, reason, ...fields }: OnceRecord): JsonDocument {
  const { endedAt: _ended, reason: _reason, ...kept } = source ?? {};
  return {
    ...kept,
    ...fields,
    startedAt: printTime(startedAt),
    ...(endedAt === null ? {} : { endedAt: printTime(endedAt) }),
    ...(reason === null ? {} : { reason }),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
