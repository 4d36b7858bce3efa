import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '../simulation/random-stream.js';
import { ModelledDeployment } from './rollout-model.js';

const runs = (replicas: number, surge: number, unavailable: number, choice: 'newest' | 'any') =>
  Array.from({ length: 200 }, (_, run) => {
    const random = new RandomStream(run, `${replicas}`);
    const deployment = new ModelledDeployment(choice, random, replicas);
    deployment.rollOut({ replicas, surge, unavailable });
    return deployment.moves;
  });

describe('when a rolling update replaces every pod', () => {
  it.each([3, 10, 50])(
    'moves leadership of %d exactly once without unavailable pods',
    (replicas) => {
      expect(new Set(runs(replicas, 1, 0, 'newest'))).toEqual(new Set([1]));
    },
  );

  it.each([
    [4, 1, 1],
    [10, 3, 2],
    [50, 13, 12],
  ])('moves leadership of %d at most twice with surge %d and %d unavailable', (...deployment) => {
    expect(Math.max(...runs(...deployment, 'newest'))).toBeLessThanOrEqual(2);
  });

  it('moves it more often if whoever comes first leads', () => {
    expect(Math.max(...runs(10, 1, 0, 'any'))).toBeGreaterThan(2);
  });
});
