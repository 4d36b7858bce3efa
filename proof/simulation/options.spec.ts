import { describe, expect, it } from '@jest/globals';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { cutServer, tryOptions } from './option-trial.js';

describe('options that are accepted', () => {
  it('keep beliefs disjoint wherever the server is cut off', async () => {
    let accepted = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const trial = await tryOptions(seed);
      if (trial.accepted) accepted++;
      expect(trial.violations).toEqual([]);
    }
    expect(accepted).toBeGreaterThan(25);
  }, 60_000);
});

describe('options that would not be safe', () => {
  it.each([
    ['a deadline as long as the lease', { leaseDurationMs: 15_000, renewDeadlineMs: 15_000 }],
    ['a deadline longer than the lease', { leaseDurationMs: 10_000, renewDeadlineMs: 11_000 }],
    ['no margin for clocks', { leaseDurationMs: 15_000, renewDeadlineMs: 12_001 }],
    ['a lease that is cut to whole seconds', { leaseDurationMs: 2_900, renewDeadlineMs: 2_300 }],
    ['a lease below two seconds', { leaseDurationMs: 1_000 }],
    ['a timeout that takes up the deadline', { requestTimeoutMs: 9_000 }],
  ])('are refused: %s', (_name, options) => {
    expect(() => resolveElectionOptions({ role: 'role', ...options }, 'me')).toThrow('Fix:');
  });

  it('do overlap when they are not refused', async () => {
    const durations = {
      leaseDurationMs: 10_000,
      renewDeadlineMs: 11_000,
      retryPeriodMs: 2_000,
      requestTimeoutMs: 3_000,
      unchecked: true,
    } as const;
    let overlaps = 0;
    for (let seed = 1; seed <= 40; seed++) overlaps += (await cutServer(seed, durations)).length;
    expect(overlaps).toBeGreaterThan(0);
  }, 30_000);
});
