import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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

describe('when a process is cloned', () => {
  const LIB = join(import.meta.dirname, '../../lib');
  const ENTROPY = 'locks/kernel-entropy.ts';
  const sources = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && path !== ENTROPY);

  it.each(sources)('shares no random numbers with its clone: lib/%s', (path) => {
    const text = readFileSync(join(LIB, path), 'utf8');
    expect(text).not.toMatch(/Math\.random\b|random(UUID|Bytes|Int|FillSync)\b|getRandomValues/);
  });
});
