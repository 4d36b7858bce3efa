import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../core/json-document.js';
import { largestJobs, MAKE_ROOM, type StoredSize } from './ledger-document.js';

/** From here on a warning is due: a fleet that grows has the last quarter left to act in. */
const FULL_FROM = 0.75 * MAX_DOCUMENT_BYTES;
/** Below this it is over, so that a document that comes and goes around the mark is not reported each time. */
const FULL_UNTIL = 0.6 * MAX_DOCUMENT_BYTES;

/** Says that a document is nearly full: once, and again when it has been far from full in the meantime. */
export class DocumentFill {
  private isTold = false;

  /** What is to be reported now; undefined if there is nothing. */
  look(document: JsonDocument, { bytes }: StoredSize): string | undefined {
    if (bytes < FULL_UNTIL) this.isTold = false;
    if (bytes < FULL_FROM || this.isTold) return undefined;
    this.isTold = true;
    return (
      `the document has ${bytes} of ${MAX_DOCUMENT_BYTES} bytes. When it is full, claims find no room, and their ticks ` +
      `are missed. The largest records are those of ${largestJobs(document)}. ${MAKE_ROOM}`
    );
  }
}
