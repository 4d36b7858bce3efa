import { describe, expect, it } from '@jest/globals';
import { kernelEntropy, kernelRandom, kernelUuid } from '../../lib/locks/kernel-entropy.js';

describe('entropy', () => {
  it('has as many bytes as asked for, and others each time', () => {
    const drawn = new Set(Array.from({ length: 50 }, () => kernelEntropy(16).toString('hex')));
    expect(drawn.size).toBe(50);
    for (const hex of drawn) expect(hex).toHaveLength(32);
  });

  it('gives numbers of [0, 1) spread over all of it', () => {
    const numbers = Array.from({ length: 2_000 }, kernelRandom);
    for (const number of numbers) expect(number >= 0 && number < 1).toBe(true);
    const tenths = new Set(numbers.map((number) => Math.floor(number * 10)));
    expect(tenths.size).toBe(10);
  });

  it('gives UUIDs of version 4', () => {
    expect(kernelUuid()).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
