import { describe, expect, it } from '@jest/globals';
import { compareVersions, readVersion } from '../../../lib/schedule/once/once-version.js';

describe('when a version is read', () => {
  it.each([
    [4, '4'],
    [0, '0'],
    ['4', '4'],
    ['007', '7'],
    ['1.10.2', '1.10.2'],
    ['1.4.0', '1.4'],
    ['0.0', '0'],
    ['2026.11.06', '2026.11.6'],
    [1_764_000_000_000, '1764000000000'],
    ['99999999999999999999999999', '99999999999999999999999999'],
  ])('takes %p as %s', (written, version) => {
    expect(readVersion(written)).toBe(version);
  });

  it.each([
    [undefined],
    [null],
    [''],
    [' 4'],
    ['v4'],
    ['1.4.0-rc.1'],
    ['9fceb02'],
    ['1..2'],
    ['.1'],
    ['1.'],
    ['-1'],
    [-1],
    [1.5],
    [Number.NaN],
    [2 ** 60],
    [4n],
    [{}],
    ['1'.repeat(65)],
  ])('takes %p for none, as it has no order', (written) => {
    expect(readVersion(written)).toBeUndefined();
  });
});

describe('when two versions are compared', () => {
  const ASCENDING = [
    '0',
    '1',
    '1.4',
    '1.4.1',
    '1.9',
    '1.10',
    '2',
    '10',
    '2026.11.6',
    '99999999999999999999',
  ];

  it('orders them part by part as numbers, and a missing part is 0', () => {
    for (const [i, one] of ASCENDING.entries()) {
      for (const [j, other] of ASCENDING.entries()) {
        expect([one, other, Math.sign(compareVersions(one, other))]).toEqual([
          one,
          other,
          Math.sign(i - j),
        ]);
      }
    }
  });
});
