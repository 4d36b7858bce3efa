import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { isJsonObject, type JsonDocument, parseDocument } from '../../core/json-document.js';

/**
 * Every write of a document sends and stores all of it, and the records of quiet jobs are much alike: so a large one is
 * stored compressed, as `{ format, packed }`, raw deflate in base64. It is still one object, and every step still one
 * compare-and-set on the whole of it. Small ones stay as people can read them.
 */
export const PACKED_FROM_BYTES = 16 * 1024;

/** Beyond any document that a store takes: what somebody puts there must not fill the memory. */
const MOST_UNPACKED_BYTES = 16 * 1024 * 1024;

/** The document as it is stored. */
export function packed(document: JsonDocument): JsonDocument {
  const { format, ...content } = document;
  const text = JSON.stringify(content);
  if (text.length < PACKED_FROM_BYTES) return document;
  return { format, packed: deflateRawSync(text).toString('base64') };
}

/** The document as it was before it was packed; one that cannot be unpacked stays as it is, which is a fault of it. */
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
