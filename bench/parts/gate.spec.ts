import { describe, expect, it } from '@jest/globals';
import { gateTargets, largest, type Measured } from './gate.js';

const CLOCKS = { monotonicClock: [16.2, 16.3], wallClock: [16.4, 16.1] };

function measured(more: Partial<Measured>): Measured {
  return { ns: {}, bytes: {}, frames: {}, ...more };
}

const leader = measured({
  ns: { bare: [2, 4], isLeader: [70, 74], gated: [110, 120] },
  bytes: { ...CLOCKS, isLeader: [32.4, 32.2], gated: [88.3, 88.1] },
});
const follower = measured({
  ns: { bare: [2, 2], isLeader: [3, 3], gated: [22, 24] },
  bytes: { isLeader: [0.1, 0.2], gated: [0.3, 0.1] },
});

describe('when the targets of the gates are judged', () => {
  it('takes the time of the bare method in the same round away', () => {
    const ns = gateTargets(leader, follower).filter(({ unit }) => unit === 'ns');
    expect(ns.map(({ measured: value }) => value)).toEqual([69, 112, 21]);
  });

  it('takes what the clocks return away on the leader, and nothing on a follower, which asks none', () => {
    const bytes = gateTargets(leader, follower).filter(({ unit }) => unit === 'bytes');
    expect(bytes.map(({ measured: value }) => value)).toEqual([0, 56, 0]);
  });
});

describe('when counting adds a part of a byte to each figure', () => {
  it('rounds what is left, and not what is taken away', () => {
    const clocks = { monotonicClock: [16.4], wallClock: [16.4] };
    const counted = measured({ ...leader, bytes: { ...clocks, isLeader: [32.6], gated: [32.6] } });
    const bytes = gateTargets(counted, follower).filter(({ unit }) => unit === 'bytes');
    expect(bytes.map(({ measured: value }) => value)).toEqual([0, 0, 0]);
  });
});

describe('when it is told who allocates', () => {
  it('names the largest first, and none that takes less than an object', () => {
    expect(largest({ gated: 16.4, repeat: 0.2, settle: 260, '': 33 })).toBe(
      '`settle` 260, nameless 33, `gated` 16',
    );
  });
});
