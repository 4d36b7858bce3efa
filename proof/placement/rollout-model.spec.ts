import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '../simulation/random-stream.js';
import { type Choice, ModelledDeployment } from './rollout-model.js';

const runs = (replicas: number, surge: number, unavailable: number, choice: Choice) =>
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

  it('would move that of 50 dozens of times if a newer pod were a reason to hand over', () => {
    expect(Math.min(...runs(50, 1, 0, 'newest at once'))).toBeGreaterThan(25);
  });

  it('moves it more often if whoever comes first leads', () => {
    expect(Math.max(...runs(10, 1, 0, 'any'))).toBeGreaterThan(2);
  });
});

describe('when a deployment of ten is scaled down to three', () => {
  const movesOf = (choice: Choice, scaleDown: (of: ModelledDeployment) => void) =>
    Array.from({ length: 200 }, (_, run) => {
      const deployment = new ModelledDeployment(choice, new RandomStream(run, choice), 10);
      scaleDown(deployment);
      return deployment.moves;
    });
  const oneByOne = (of: ModelledDeployment, options = {}): void => {
    for (let replicas = 9; replicas >= 3; replicas--) of.scaleDown(replicas, options);
  };
  const mean = (counts: readonly number[]): number =>
    counts.reduce((sum, count) => sum + count, 0) / counts.length;

  it('moves leadership at most once if that is one change, as no pod that ends is named', () => {
    expect(Math.max(...movesOf('newest', (of) => of.scaleDown(3)))).toBe(1);
  });

  it('moves it again and again if each pod is a change of its own, as the youngest ends next', () => {
    const newest = mean(movesOf('newest', oneByOne));
    expect(newest).toBeGreaterThan(2 * mean(movesOf('any', oneByOne)));
  });

  it('does not move it with a deletion cost', () => {
    const options = { hasDeletionCost: true };
    expect(Math.max(...movesOf('newest', (of) => of.scaleDown(3, options)))).toBe(0);
    expect(Math.max(...movesOf('newest', (of) => oneByOne(of, options)))).toBe(0);
  });
});
