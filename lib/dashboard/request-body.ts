import type { IncomingMessage } from 'node:http';
import { messageOf } from '../core/thrown-value.js';

const MOST_BYTES = 4_096;

/** What was sent, or why it cannot be read. */
export type ReadBody =
  | { readonly kind: 'read'; readonly value: unknown }
  | { readonly kind: 'unreadable'; readonly status: 400 | 413; readonly message: string };

/**
 * The JSON of a request, whatever the application does with bodies: one that it has parsed, one that it has left as text or
 * bytes, or one that no one has read.
 */
export async function readBody(parsed: unknown, request: IncomingMessage): Promise<ReadBody> {
  // Some parsers say so of a body that they leave to others.
  const isLeft = parsed === undefined || (isEmptyObject(parsed) && !request.readableEnded);
  if (!isLeft) {
    const isText = typeof parsed === 'string' || Buffer.isBuffer(parsed);
    return isText ? json(String(parsed)) : { kind: 'read', value: parsed };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      const read = Buffer.from(chunk as Buffer);
      bytes += read.length;
      if (bytes > MOST_BYTES) return tooLong();
      chunks.push(read);
    }
  } catch (error) {
    return {
      kind: 'unreadable',
      status: 400,
      message: `the body ended early: ${messageOf(error)}`,
    };
  }
  return json(Buffer.concat(chunks).toString('utf8'));
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function tooLong(): ReadBody {
  const message = `the body has more than ${MOST_BYTES} bytes`;
  return { kind: 'unreadable', status: 413, message };
}

function json(text: string): ReadBody {
  if (text.length > MOST_BYTES) return tooLong();
  try {
    return { kind: 'read', value: JSON.parse(text) as unknown };
  } catch {
    return { kind: 'unreadable', status: 400, message: 'the body is not JSON' };
  }
}
