import { describe, expect, it } from '@jest/globals';
import { onceLeaseName } from '../../../lib/schedule/once/once-lease.js';

const HASHED = /^billing-once-[0-9a-f]{16}$/;

describe('when the lease of a key is named', () => {
  it.each(['schema', 'import-2', 'a', 'x'.repeat(63)])('takes the key %s as it is', (key) => {
    expect(onceLeaseName('billing', key)).toBe(`billing-once-${key}`);
  });

  it.each(['Schema', 'a b', 'größe', '-a', 'a.b', 'x'.repeat(64), '0123456789abcdef'])(
    'takes a hash of the key %s, which is no name or looks like a hash',
    (key) => {
      const name = onceLeaseName('billing', key);
      expect(name).toMatch(HASHED);
      expect(name).not.toContain(key);
      expect(onceLeaseName('billing', key)).toBe(name);
    },
  );

  it('takes a hash where the whole would be too long for an object', () => {
    const leaseName = 'b'.repeat(220);
    expect(onceLeaseName(leaseName, 'x'.repeat(28))).toHaveLength(220 + 6 + 16);
    expect(onceLeaseName(leaseName, 'x'.repeat(27))).toHaveLength(253);
  });
});
