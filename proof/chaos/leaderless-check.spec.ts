import { describe, expect, it } from '@jest/globals';
import type { Belief } from './belief.js';
import { errorsWithin, leaderlessViolations } from './leaderless-check.js';

const led = (from: number, to: number): Belief => ({
  process: 'a',
  term: 1,
  token: 1n,
  from,
  to,
  points: 2,
  revokedAt: to,
  reason: undefined,
});
const RUN = { from: 0, to: 20_000 };

describe('when nobody leads', () => {
  it.each([
    ['as long as the limit', [led(0, 5_000), led(10_000, 20_000)], [], []],
    ['longer', [led(0, 5_000), led(10_001, 20_000)], [], [5_001]],
    ['at the beginning', [led(6_000, 20_000)], [], [6_000]],
    ['to the end', [led(0, 5_000)], [], [15_000]],
    ['at all', [], [], [20_000]],
    ['while a fault lasts', [led(0, 5_000)], [{ at: 4_000, until: 19_000 }], []],
    ['while a fault never ends', [led(0, 5_000)], [{ at: 9_000 }], []],
    ['after a fault', [led(0, 5_000)], [{ at: 4_000, until: 9_000 }], [11_000]],
    ['between two faults', [led(0, 1_000)], [{ at: 1_000, until: 2_000 }, { at: 8_000 }], [6_000]],
    [
      'between faults that come often',
      [led(0, 1_000)],
      [1, 2, 3, 4].map((time) => ({ at: time * 4_000, until: time * 4_000 + 10 })),
      [],
    ],
  ])('judges it by the time without a fault (%s)', (_, beliefs, faults, expected) => {
    const injected = faults.map((fault) => ({ kind: 'partition', ...fault }));
    const found = leaderlessViolations(beliefs, injected, RUN, 5_000);
    expect(found.map((text) => Number(/for (\d+) ms/.exec(text)?.[1]))).toEqual(expected);
  });
});

describe('when a leader crashes and nothing else is wrong', () => {
  it('finds error lines of that time, and no warnings', () => {
    const line = (at: number, level: string) => ({ process: 'a', at, level, text: `at ${at}` });
    const logged = [line(9, 'error'), line(10, 'error'), line(15, 'warn'), line(21, 'error')];
    expect(errorsWithin({ from: 10, to: 20 }, logged)).toEqual([
      'an error line in a healthy crash failover: a: at 10',
    ]);
  });
});
