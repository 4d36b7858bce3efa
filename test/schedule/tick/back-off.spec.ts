import { describe, expect, it } from '@jest/globals';
import {
  backoffBefore,
  retriesWithin,
  totalBackoffMs,
} from '../../../lib/schedule/tick/back-off.js';

describe('when a run is tried again', () => {
  it('waits twice as long before each attempt, up to six minutes', () => {
    const policy = { limit: 8, backoffMs: 10_000 };
    const pauses = [2, 3, 4, 5, 6, 7, 8, 9].map(
      (attempt) => backoffBefore(policy, attempt) / 1_000,
    );
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 360, 360]);
    expect(totalBackoffMs(policy)).toBe(1_350_000);
  });

  it('waits equally long if the first pause is longer than six minutes', () => {
    expect(totalBackoffMs({ limit: 3, backoffMs: 3_600_000 })).toBe(3 * 3_600_000);
  });

  it.each([
    [0, 0],
    [9_999, 0],
    [10_000, 1],
    [69_999, 2],
    [70_000, 3],
    [1e9, 3],
  ])('has time within %d ms for %d more attempts of three', (withinMs, limit) => {
    expect(retriesWithin({ limit: 3, backoffMs: 10_000 }, withinMs)).toBe(limit);
  });

  it('waits for nothing without a retry, and never without end', () => {
    expect(totalBackoffMs({ limit: 0, backoffMs: 10_000 })).toBe(0);
    expect(totalBackoffMs({ limit: 100, backoffMs: 1 })).toBeLessThan(100 * 360_000);
  });
});
