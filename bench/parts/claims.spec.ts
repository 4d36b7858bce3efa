import { describe, expect, it } from '@jest/globals';
import { claimsTable } from './claims.js';

const round = (latencies: readonly number[], writes: readonly number[]) => ({
  latencies,
  writes,
  ms: 2_000,
  cpuMsPerSecond: 500,
});

describe('when rounds of claims are put together', () => {
  it('takes the latency of all runs, and what comes in a second of each round', () => {
    const [row] = claimsTable([
      {
        jobs: 10,
        plain: [round([1, 1, 1, 1], [])],
        claimed: [round([5, 6, 7, 8], [4, 4]), round([7, 7], [6])],
      },
    ]).rows;
    expect(row).toMatchObject([
      10,
      { median: 1, n: 4 },
      { median: 7, n: 6 },
      { median: 4, n: 3 },
      { median: 6 },
      { median: 1.5, unit: 'per second', n: 2 },
      { median: 0.75, unit: 'per second' },
      { median: 500 },
      { median: 500 },
    ]);
  });
});
