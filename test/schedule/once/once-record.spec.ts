import { describe, expect, it } from '@jest/globals';
import { type JsonDocument } from '../../../lib/core/json-document.js';
import {
  ONCE_FORMAT,
  type OnceRecord,
  readOnceRecord,
  writeOnceRecord,
} from '../../../lib/schedule/once/once-record.js';

const RECORD: OnceRecord = {
  version: '4',
  state: 'failed',
  claim: 'nonce',
  attempt: 2,
  holderIdentity: 'pod-a',
  term: 3,
  fencingToken: '4711',
  startedAt: Date.UTC(2026, 0, 1),
  endedAt: Date.UTC(2026, 0, 1, 0, 1),
  reason: 'Error: no ink',
};

const STORED = {
  version: '4',
  state: 'failed',
  claim: 'nonce',
  attempt: 2,
  holderIdentity: 'pod-a',
  term: 3,
  fencingToken: '4711',
  startedAt: '2026-01-01T00:00:00Z',
  endedAt: '2026-01-01T00:01:00Z',
  reason: 'Error: no ink',
};

describe('when a record is stored', () => {
  it('is read as it was written, and people can read it', () => {
    const document = writeOnceRecord({}, 'schema', RECORD);
    expect(document).toEqual({ format: ONCE_FORMAT, once: { schema: STORED } });
    expect(readOnceRecord(document, 'schema')).toEqual({ record: { ...RECORD, source: STORED } });
  });

  it('keeps what a later version has put beside it, into it and into other records', () => {
    const later = { by: 'a later version' };
    const other = { version: 'x', state: 'paused' };
    const before = { format: 1, later, once: { schema: { ...STORED, later }, other } };
    const read = readOnceRecord(before, 'schema') as { record: OnceRecord };
    const after = writeOnceRecord(before, 'schema', {
      ...read.record,
      state: 'started',
      endedAt: null,
      reason: null,
    });
    const { endedAt: _, reason: __, ...started } = STORED;
    expect(after).toEqual({
      format: 1,
      later,
      once: { schema: { ...started, state: 'started', later }, other },
    });
  });

  it.each(['__proto__', 'constructor', 'toString'])('may have the key %s', (key) => {
    expect(readOnceRecord({}, key)).toEqual({ record: undefined });
    const document = JSON.parse(JSON.stringify(writeOnceRecord({}, key, RECORD))) as JsonDocument;
    expect(readOnceRecord(document, key)).toMatchObject({ record: { version: '4' } });
  });
});

describe('when what is stored cannot be read', () => {
  it.each<[string, JsonDocument, string]>([
    ['a newer format', { format: 2, once: {} }, 'the document has format 2'],
    ['another kind of document', { once: [] }, 'is not a JSON object'],
    ['a document that is cut off', { format: 1, packed: 'x' }, 'cannot be unpacked'],
    ['a record of a newer format', { once: { schema: { ...STORED, format: 9 } } }, 'format 9'],
    ['a record that is none', { once: { schema: 'done' } }, 'is not a JSON object'],
    ['no version', { once: { schema: { ...STORED, version: 'abc' } } }, 'no version'],
    ['a new state', { once: { schema: { ...STORED, state: 'paused' } } }, '"paused"'],
    ['no time', { once: { schema: { ...STORED, startedAt: 0 } } }, 'startedAt'],
  ])('decides nothing by %s, and says why', (_what, document, why) => {
    expect(readOnceRecord(document, 'schema')).toEqual({ fault: expect.stringContaining(why) });
  });

  it('reads a record that people have shortened', () => {
    const { version, state, startedAt } = STORED;
    const document = { once: { schema: { version, state, startedAt } } };
    expect(readOnceRecord(document, 'schema')).toMatchObject({
      record: { version: '4', state: 'failed', attempt: 1, claim: '', fencingToken: '' },
    });
  });
});
