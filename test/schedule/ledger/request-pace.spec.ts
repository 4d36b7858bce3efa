import { describe, expect, it } from '@jest/globals';
import { RequestPace } from '../../../lib/schedule/ledger/bounded-store.js';
import { ManualClock } from '../../support/manual-clock.js';

const paced = (random = 0) => {
  const clock = new ManualClock();
  const pace = new RequestPace(clock, {
    retryMs: 250,
    longestRetryMs: 15_000,
    random: () => random,
  });
  return { pace, waitMs: () => pace.notBefore - clock.now() };
};

describe('when requests fail in a row', () => {
  it.each([
    [0, [200, 400, 800, 1_600, 3_200, 6_400, 12_000, 12_000]],
    [0.5, [225, 450, 900, 1_800, 3_600, 7_200, 13_500, 13_500]],
  ])('doubles the pause up to the longest, spread by a fifth: %d', (random, waits) => {
    const { pace, waitMs } = paced(random);
    const seen = waits.map(() => {
      pace.failed();
      return waitMs();
    });
    expect(seen).toEqual(waits);
    expect(pace.count).toBe(waits.length);
  });

  it('begins again with the shortest after one that helped', () => {
    const { pace, waitMs } = paced();
    pace.failed();
    pace.failed();
    pace.helped();
    expect([pace.count, waitMs()]).toEqual([0, -Infinity]);
    pace.failed();
    expect(waitMs()).toBe(200);
  });

  it('does not wait after the first that lost against a rival, and does after the second', () => {
    const { pace, waitMs } = paced();
    const seen = [1, 2, 3].map(() => {
      pace.failed({ isFree: true });
      return waitMs();
    });
    expect(seen).toEqual([0, 200, 400]);
  });

  it.each([
    [100, 200],
    [5_000, 5_000],
    [3_600_000, 15_000],
  ])('waits as long as the server asks, within bounds: %d ms', (retryAfterMs, waited) => {
    const { pace, waitMs } = paced();
    pace.failed({ retryAfterMs });
    expect(waitMs()).toBe(waited);
  });
});
