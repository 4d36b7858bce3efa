import { describe, expect, it } from '@jest/globals';
import { trendOf } from './memory.js';

const KIB = 1_024;
/** The same on each machine, as far apart as samples of a heap are. */
const noise = (index: number): number => ((index * 7_919) % 41) * KIB;

describe('when samples of a heap are judged', () => {
  it('tells no growth of one that is flat but for its noise', () => {
    const flat = Array.from({ length: 50 }, (_, index) => 20_000 * KIB + noise(index));
    const { growth, rise } = trendOf(flat);
    expect(Math.abs(growth)).toBeLessThan(30 * KIB);
    expect(Math.abs(rise)).toBeLessThan(30 * KIB);
  });

  it('tells what each renewal leaves, through the noise', () => {
    const leaking = Array.from({ length: 50 }, (_, index) => 64_000 * index + noise(index));
    const { growth, rise } = trendOf(leaking);
    expect(growth / (49 * 64_000)).toBeCloseTo(1, 1);
    expect(rise / (49 * 64_000)).toBeCloseTo(1, 1);
  });

  it('is not moved by a few samples that were taken while much was in use', () => {
    const peak = Array.from({ length: 50 }, (_, index) => (index > 44 ? 9_000 * KIB : 0));
    expect(trendOf(peak).growth).toBe(0);
  });

  it('says how far the samples are from the line', () => {
    const straight = Array.from({ length: 50 }, (_, index) => 100 * index);
    expect(trendOf(straight).noise).toBeCloseTo(0, 6);
    const shaken = straight.map((value, index) => value + (index % 2 === 0 ? 500 : -500));
    expect(trendOf(shaken).noise).toBeGreaterThan(450);
  });
});
