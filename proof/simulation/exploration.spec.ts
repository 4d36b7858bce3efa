import { describe, expect, it } from '@jest/globals';
import { Exploration } from './exploration.js';
import { MODELS } from './models.js';

/** Enough for an acquisition, the end of its validity and a takeover; the whole models take minutes. */
const SMALLEST = { ...MODELS['unequal clocks']!, steps: 3 };

describe('the small model, explored in full', () => {
  it('has no state with two leaders', () => {
    const result = new Exploration(SMALLEST).run(100_000);
    expect(result).toMatchObject({ complete: true, broken: null });
    expect(result.statesWithLeader).toBeGreaterThan(10);
  });

  it('shows the shortest way to two leaders where the renew deadline is too long', () => {
    const durations = { ...SMALLEST.durations, renewDeadlineMs: 2_900 };
    const { broken } = new Exploration({ ...SMALLEST, durations }).run(100_000);
    expect(broken).toContain('time');
  });
});
