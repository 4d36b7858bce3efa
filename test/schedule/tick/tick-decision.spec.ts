import { describe, expect, it } from '@jest/globals';
import {
  decideTick,
  type TickDecision,
  type TickSituation,
} from '../../../lib/schedule/tick/tick-schedule.js';

const TICK = 60_000;

/** A tick with two before it that nobody ran; this leader was not there for any of them. */
const decide = (change: Partial<TickSituation>): TickDecision =>
  decideTick({
    now: TICK,
    due: { newest: TICK, earlier: [20_000, 40_000], isCapped: false },
    dueAt: (tick) => tick,
    missedPolicy: 'latest',
    startingDeadlineMs: null,
    promptMs: 10_000,
    awaitedTick: null,
    forbiddenSince: null,
    armedAfter: TICK,
    concurrencyPolicy: 'Forbid',
    activeRuns: 0,
    ...change,
  });

const CLAIM = { kind: 'claim', tick: TICK, missed: [20_000, 40_000], reason: 'not-started' };
const MISSED = {
  kind: 'report',
  tick: TICK,
  missed: [20_000, 40_000, TICK],
  reason: 'not-started',
};

describe('when a tick is due', () => {
  it.each<[string, Partial<TickSituation>, object]>([
    ['nothing is due', { due: null }, { kind: 'nothing' }],
    ['this leader was there for it', { armedAfter: TICK - 1 }, CLAIM],
    ['this leader was there for it, a little late', { armedAfter: 0, now: TICK + 10_000 }, CLAIM],
    ['this leader led, and found it due too late', { armedAfter: 0, now: TICK + 10_001 }, MISSED],
    ['it waited for another run', { armedAfter: 0, now: 9e9, awaitedTick: TICK }, CLAIM],
    ['one before it waited for another run', { armedAfter: 0, now: 9e9, awaitedTick: 1 }, MISSED],
    ['it waited under a leader that came later', { now: 9e9, awaitedTick: TICK }, MISSED],
    ['this leader came later', {}, MISSED],
    ['the deadline is 0 and its second lasts', { startingDeadlineMs: 0, now: 60_999 }, CLAIM],
    ['the deadline is 0 and its second is over', { startingDeadlineMs: 0, now: 61_000 }, MISSED],
    ['the deadline has not passed', { startingDeadlineMs: 5_000, now: 65_999 }, CLAIM],
    ['the deadline has passed', { startingDeadlineMs: 5_000, now: 66_000 }, MISSED],
    [
      'no missed tick is to start, and this leader came later',
      { startingDeadlineMs: 5_000, missedPolicy: 'none' },
      MISSED,
    ],
    [
      'no missed tick is to start, and this leader was there',
      { startingDeadlineMs: 5_000, missedPolicy: 'none', armedAfter: 0, now: 65_999 },
      CLAIM,
    ],
    [
      'the deadline has passed for a leader that was there',
      { startingDeadlineMs: 5_000, now: 66_000, armedAfter: 0 },
      MISSED,
    ],
  ])('decides by deadline and presence: %s', (_what, change, expected) => {
    expect(decide(change)).toEqual(expected);
  });

  const busy = { activeRuns: 1, armedAfter: 0 };
  it.each<[string, Partial<TickSituation>, object]>([
    ['Allow', { ...busy, concurrencyPolicy: 'Allow' }, CLAIM],
    ['Replace', { ...busy, concurrencyPolicy: 'Replace' }, { kind: 'replace' }],
    ['Forbid', busy, { ...MISSED, reason: 'forbidden' }],
    [
      'Forbid with a deadline',
      { ...busy, startingDeadlineMs: 5_000, now: 63_000 },
      { kind: 'wait', until: 66_000 },
    ],
    [
      'Forbid in the last instant of a deadline',
      { ...busy, startingDeadlineMs: 5_000, now: 65_999 },
      { kind: 'wait', until: 66_000 },
    ],
    [
      'Forbid, until the deadline has passed',
      { ...busy, startingDeadlineMs: 5_000, now: 66_000, forbiddenSince: 20_000 },
      { ...MISSED, reason: 'forbidden' },
    ],
    [
      'Forbid, until the run has ended',
      { activeRuns: 0, startingDeadlineMs: 5_000, forbiddenSince: 20_000 },
      { ...CLAIM, reason: 'forbidden' },
    ],
    [
      'Forbid, with ticks before that nobody led at',
      { ...busy, startingDeadlineMs: 5_000, now: 66_000, forbiddenSince: 40_000 },
      MISSED,
    ],
    [
      'Allow, and all missed ticks are to start, one after the other',
      {
        ...busy,
        concurrencyPolicy: 'Allow',
        startingDeadlineMs: 5_000,
        missedPolicy: 'all',
        now: 61_000,
      },
      { kind: 'wait', until: 66_000 },
    ],
    [
      'Allow, and all missed ticks are to start, for one that is in time',
      {
        ...busy,
        concurrencyPolicy: 'Allow',
        startingDeadlineMs: 5_000,
        missedPolicy: 'all',
        now: 60_999,
      },
      CLAIM,
    ],
    ['Replace, too late', { activeRuns: 1, concurrencyPolicy: 'Replace' }, MISSED],
    ['Allow, too late', { activeRuns: 1, concurrencyPolicy: 'Allow' }, MISSED],
  ])('decides by policy while a run is active: %s', (_what, change, expected) => {
    expect(decide(change)).toEqual(expected);
  });
});
