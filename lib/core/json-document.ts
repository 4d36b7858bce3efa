import { LockRequestError } from './errors.js';

/** A JSON object. What a writer does not understand of it, it writes back. */
export type JsonDocument = Readonly<Record<string, unknown>>;

export type JsonObject = { readonly [key: string]: unknown };

/**
 * The largest document, in bytes of UTF-8. The API server takes 256 KiB for all annotations of an object together
 * (`TotalAnnotationSizeLimitB`); what is left is for those of others. The same for every store, so that what works on
 * a laptop works in a cluster.
 */
export const MAX_DOCUMENT_BYTES = 240 * 1024;

/** The document as text, or why it cannot be stored. */
export function formatDocument(document: JsonDocument, where: string): string | LockRequestError {
  const text = JSON.stringify(document);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_DOCUMENT_BYTES) return text;
  return new LockRequestError(
    `${where}: the document has ${bytes} bytes, more than the ${MAX_DOCUMENT_BYTES} that fit beside a lease. ` +
      'Use fewer scheduled jobs per role, or remove those that no longer exist from the object by hand.',
    { reason: 'rejected' },
  );
}

/** The stored text is not a document. Nothing is written over it: what it said is not known. */
export function unreadableDocument(where: string, what: string): LockRequestError {
  return new LockRequestError(
    `${where}: ${what} is not a JSON object, so nothing can be decided by it. Fix: restore it, or delete the object.`,
    { reason: 'rejected' },
  );
}

/** Undefined if the text is not that of a JSON object. */
export function parseDocument(text: unknown): JsonDocument | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // Edited by hand or cut off: the caller says what that means.
    return undefined;
  }
}

export function isJsonObject(value: unknown): value is JsonDocument {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
