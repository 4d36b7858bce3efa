import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { transition } from '../../lib/core/election-machine.js';
import { MutantBuild } from '../mutants/mutant-build.js';
import { hourWithoutDatabase, NAIVE_RULE } from './database-gone.js';

describe('when the database is gone for all replicas for an hour, and every pod is Ready', () => {
  let build: MutantBuild;
  beforeAll(async () => {
    build = await MutantBuild.open(['core']);
  });
  afterAll(() => build.close());

  it.each([2, 3, 10])(
    'moves leadership of %d once, and has a leader 99 %% of the time',
    (replicas) => {
      const { handovers, ledPercent } = hourWithoutDatabase(replicas, 5_000, transition);
      expect(handovers).toBe(1);
      expect(ledPercent).toBeGreaterThan(99);
      expect(ledPercent).toBeLessThanOrEqual(100);
    },
  );

  it.each([2, 3, 10])(
    'would move that of %d again and again, and mostly have no leader, by the naive rule',
    async (replicas) => {
      const load = await build.build(`naive ${replicas}`, NAIVE_RULE);
      const naive = (await load('core/election-machine.ts')) as { transition: typeof transition };
      const { handovers, ledPercent } = hourWithoutDatabase(replicas, 10_000, naive.transition);
      expect(handovers).toBeGreaterThan(100);
      expect(ledPercent).toBeLessThan(50);
    },
  );
});
