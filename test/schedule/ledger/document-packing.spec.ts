import { describe, expect, it } from '@jest/globals';
import {
  documentFault,
  packed,
  PACKED_FROM_BYTES,
  unpacked,
} from '../../../lib/schedule/ledger/ledger-document.js';

const jobs = Object.fromEntries(
  Array.from({ length: 300 }, (_, index) => [
    `job-${index}`,
    { schedule: '30 2 * * *', accountedThrough: '2026-01-01T02:30:00Z' },
  ]),
);
const large = { format: 2, later: 'ü', jobs, sweptThrough: '2026-01-01T00:00:00Z' };

describe('when a document is large', () => {
  it('is stored packed, in a tenth of the room, and reads the same', () => {
    const stored = packed(large);
    expect(Object.keys(stored)).toEqual(['format', 'packed']);
    expect(JSON.stringify(stored).length).toBeLessThan(JSON.stringify(large).length / 7);
    expect(unpacked(JSON.parse(JSON.stringify(stored)))).toEqual(large);
  });

  it.each([
    ['is one byte too small', PACKED_FROM_BYTES - 1, false],
    ['is just large enough', PACKED_FROM_BYTES, true],
  ])(
    'is packed from a size on, and one that people can read before: %s',
    (_what, bytes, isPacked) => {
      const document = { format: 2, text: 'x'.repeat(bytes - '{"text":""}'.length) };
      expect('packed' in packed(document)).toBe(isPacked);
      expect(unpacked(packed(document))).toEqual(document);
    },
  );

  it.each([
    ['it is cut off', { ...packed(large), packed: String(packed(large)['packed']).slice(0, 100) }],
    ['it is no text', { format: 2, packed: 5 }],
    ['it is something else', { format: 2, packed: 'bm90IGRlZmxhdGVk' }],
    ['an older version has written beside it', { ...packed(large), jobs: {} }],
  ])('is no empty document if it cannot be unpacked: %s', (_what, stored) => {
    expect(documentFault(unpacked(stored))).toContain('cannot be unpacked');
  });

  it('has no fault otherwise', () => {
    expect(documentFault(unpacked(packed(large)))).toBeUndefined();
  });
});
