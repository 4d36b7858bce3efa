import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { readBody } from '../../lib/dashboard/request-body.js';

const ACTION = { action: 'step-down', role: 'plans' };
const TEXT = JSON.stringify(ACTION);

function arriving(...chunks: string[]): IncomingMessage {
  return Readable.from(chunks.map((chunk) => Buffer.from(chunk))) as IncomingMessage;
}

function breaking(): IncomingMessage {
  return new Readable({
    read() {
      this.destroy(new Error('aborted'));
    },
  }) as IncomingMessage;
}

describe('the body of an action', () => {
  it.each<[string, unknown, IncomingMessage]>([
    ['the application has parsed it', ACTION, arriving()],
    ['the application has left it as text', TEXT, arriving()],
    ['the application has left it as bytes', Buffer.from(TEXT), arriving()],
    ['no one has read it', undefined, arriving(TEXT.slice(0, 9), TEXT.slice(9))],
    ['a parser of another type has left an empty object', {}, arriving(TEXT)],
  ])('is read when %s', async (_how, parsed, request) => {
    expect(await readBody(parsed, request)).toEqual({ kind: 'read', value: ACTION });
  });

  it.each<[string, unknown, IncomingMessage, number, string]>([
    ['it is not JSON', undefined, arriving('{'), 400, 'is not JSON'],
    ['it is empty', undefined, arriving(), 400, 'is not JSON'],
    [
      'it is too long',
      undefined,
      arriving('x'.repeat(3_000), 'x'.repeat(3_000)),
      413,
      '4096 bytes',
    ],
    ['its text is too long', 'x'.repeat(5_000), arriving(), 413, '4096 bytes'],
    ['its connection breaks', undefined, breaking(), 400, 'ended early: aborted'],
  ])('is refused when %s', async (_why, parsed, request, status, message) => {
    const body = await readBody(parsed, request);
    expect(body).toMatchObject({ kind: 'unreadable', status });
    expect(body).toMatchObject({ message: expect.stringContaining(message) });
  });
});
