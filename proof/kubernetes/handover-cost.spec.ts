import { describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '../control-plane/audit-log.js';
import { handoverCosts } from './handover-cost.js';

const BEGUN = Date.UTC(2026, 10, 27);
const at = (second: number): Date => new Date(BEGUN + second * 1_000);

const entry = (second: number, verb: string, code = 200): AuditEntry => ({
  user: '',
  verb,
  resource: 'leases',
  namespace: 'n',
  code,
  requestReceivedTimestamp: at(second).toISOString(),
  stageTimestamp: '',
  userAgent: '',
  requestURI: '',
});

const START = { from: at(0) };
const HANDOVER = {
  from: at(10),
  handover: { since: 1_000, granted: { identity: 'b', at: 1_020 }, named: undefined },
};
const NEXT = { from: at(20) };
const TOLD = { follows: [], candidates: 3 };

describe('when a leader has stepped down', () => {
  it('counts the refused writes and the reads until the next one does', () => {
    const entries = [
      entry(9, 'update', 409),
      entry(10, 'update'),
      entry(11, 'update', 409),
      entry(12, 'create', 409),
      entry(13, 'get', 404),
      entry(14, 'watch'),
      entry(20, 'update', 409),
    ];
    const [, cost] = handoverCosts([START, HANDOVER, NEXT], entries, TOLD);
    expect(cost).toMatchObject({ wastedWrites: 2, reads: 1, tookMs: 20 });
  });

  it('is known once the last of the others has first heard of who follows', () => {
    const follows = [
      { identity: 'a', leader: 'b', at: 1_030 },
      { identity: 'a', leader: 'b', at: 1_900 },
      { identity: 'c', leader: 'b', at: 990 },
      { identity: 'c', leader: 'a', at: 1_010 },
      { identity: 'c', leader: 'b', at: 1_045 },
      { identity: 'b', leader: 'b', at: 1_800 },
    ];
    const [cost] = handoverCosts([HANDOVER], [], { follows, candidates: 3 });
    expect(cost?.knownMs).toBe(45);
  });

  it('is known to nobody knows when if one of them has not told', () => {
    const follows = [{ identity: 'a', leader: 'b', at: 1_030 }];
    const [cost] = handoverCosts([HANDOVER], [], { follows, candidates: 3 });
    expect(cost?.knownMs).toBeUndefined();
  });

  it('says whether whom the release named has followed, where it named someone', () => {
    const named = (name: string) => ({
      ...HANDOVER,
      handover: { ...HANDOVER.handover, named: name },
    });
    const costs = handoverCosts([HANDOVER, named('b'), named('c')], [], TOLD);
    expect(costs.map(({ cameAsNamed }) => cameAsNamed)).toEqual([undefined, true, false]);
  });
});

describe('when a crowd has only started', () => {
  it('has no time of a handover', () => {
    const [cost] = handoverCosts([START], [], TOLD);
    expect(cost).toMatchObject({ tookMs: undefined, knownMs: undefined, wastedWrites: 0 });
  });
});
