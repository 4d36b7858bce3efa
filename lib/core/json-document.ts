/** A JSON object. What a writer does not understand of it, it writes back. */
export type JsonDocument = Readonly<Record<string, unknown>>;

/**
 * The largest document, in bytes of UTF-8. The API server takes 256 KiB for all annotations of an object together
 * (`TotalAnnotationSizeLimitB`); what is left is for those of others. The same for every store, so that what works on
 * a laptop works in a cluster.
 */
export const MAX_DOCUMENT_BYTES = 240 * 1024;

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

/** A field that is an object; empty where it is none, or absent. */
export function partOf(object: unknown, field: string): JsonDocument {
  const part = isJsonObject(object) ? object[field] : undefined;
  return isJsonObject(part) ? part : {};
}

export function isJsonObject(value: unknown): value is JsonDocument {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
