import { describe, expect, it } from '@jest/globals';
import { StreamParser } from '../../../lib/dashboard/page/event-stream.js';

const TEXT =
  'event: hello\ndata: {"a":1}\n\n:\n\nevent: part\r\ndata: one\r\ndata: two\r\n\r\ndata: alone\n\n';

const MESSAGES = [
  { event: 'hello', data: '{"a":1}' },
  { event: 'part', data: 'one\ntwo' },
  { event: 'message', data: 'alone' },
];

describe('when a stream comes in pieces', () => {
  it.each([1, 2, 3, 7, 1_000])('gives whole messages of pieces of %d characters', (size) => {
    const parser = new StreamParser();
    const pieces = TEXT.match(new RegExp(`[^]{1,${size}}`, 'g'))!;
    expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(MESSAGES);
  });

  it('gives nothing of a message that has not ended', () => {
    expect(new StreamParser().push('event: part\ndata: one\n')).toEqual([]);
  });
});
