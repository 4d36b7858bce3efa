import { describe, expect, it } from '@jest/globals';
import { spreadWhileMembersChange } from './spread-model.js';

const DEPLOYMENTS = [
  [3, 10],
  [10, 3],
  [23, 6],
] as const;

describe('when roles are spread over pods that come and go, and each pod sees the others up to 5 s late', () => {
  describe.each(DEPLOYMENTS)('%d roles over %d pods', (roles, pods) => {
    it.each([
      ['by a watch', 200],
      ['by polls', 2_000],
    ])(
      'are balanced within 30 s, with few more moves than must be and none to and fro, if leaders are seen %s',
      (_, oldestHoldersMs) => {
        const settings = { seed: 1, changes: 25, oldestHoldersMs };
        const result = spreadWhileMembersChange(roles, pods, settings);
        expect(result.unbalanced).toBe(0);
        expect(result.again).toBe(0);
        expect(result.longestMs).toBeLessThanOrEqual(30_000);
        // Views differ for a moment, and who takes over from a crashed pod is chance.
        expect(result.moves).toBeLessThanOrEqual(1.5 * result.fewest + 0.2);
      },
      60_000,
    );
  });

  it.each(DEPLOYMENTS)(
    'no role of %d over %d pods goes to and fro, however late leaders are seen',
    (roles, pods) => {
      const settings = { seed: 2, changes: 25, oldestHoldersMs: 5_000 };
      const result = spreadWhileMembersChange(roles, pods, settings);
      expect(result.unbalanced).toBe(0);
      expect(result.again).toBe(0);
    },
    60_000,
  );
});
