import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import { jobNames, storedRecord } from '../claim/ledger-document.js';

/** What one more run of a job takes, with a long identity and a report beside it. */
const RUN_BYTES = 640;
/** For the marks and the format number that a write may add by itself. */
const SPARE_BYTES = 1_024;

/**
 * What still fits into the document. A job whose runs pile up must not take the room in which every other job could
 * have one: so a second run of a job at the same time leaves room for a first one of each that has none.
 */
export class DocumentRoom {
  private bytes: number | undefined;
  private idle: Set<string> | undefined;
  private readonly sizes = new Map<string, number>();

  constructor(
    private readonly stored: JsonDocument,
    private readonly limitBytes: number,
  ) {}

  /** Takes what a record needs as it is to be stored, or says why there is no room for it. What shrinks always fits. */
  take(job: string, record: JsonDocument): string | undefined {
    this.bytes ??= bytesOf(this.stored);
    const before = this.sizes.get(job) ?? this.storedBytes(job);
    const after = entryBytes(job, record);
    const runs = runsOf(record);
    const kept = runs > 1 ? RUN_BYTES * this.idleBeside(job) : 0;
    if (after > before && this.bytes + after - before + kept + SPARE_BYTES > this.limitBytes) {
      const others = kept === 0 ? '' : `, and ${kept} are kept for runs of other jobs`;
      return (
        `there is no room for its change: the document has ${this.bytes} of ${this.limitBytes} bytes${others}. ` +
        `The record of the job needs ${after}, with ${runs} active runs. ` +
        'Use fewer scheduled jobs per role, shorter runs, or concurrencyPolicy "Forbid".'
      );
    }
    this.bytes += after - before;
    this.sizes.set(job, after);
    if (runs > 0) this.idle?.delete(job);
    return undefined;
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
