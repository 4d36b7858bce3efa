import { describe, expect, it } from '@jest/globals';
import type {
  ReplicaView,
  TermView,
  TickCounts,
} from '../../sample-app/src/control-room/fleet-view.js';
import { gapOf, proofOf, stateOf } from '../../sample-app/src/control-room/page/words.js';

const SINCE = new Date(2026, 10, 27, 4, 20, 11).getTime();
const NONE: TickCounts = { since: SINCE, ran: 0, caughtUp: 0, twice: 0, missed: 0, interrupted: 0 };

describe('when the page says how many ticks ran', () => {
  it.each<readonly [Partial<TickCounts>, string]>([
    [
      { ran: 312 },
      '312 ticks since 04:20:11 ran on exactly one replica, 0 ran twice, 0 were missed.',
    ],
    [
      { ran: 1, missed: 1 },
      '1 tick since 04:20:11 ran on exactly one replica, 0 ran twice, 1 was missed, as no replica ran it within 3 s.',
    ],
    [
      { ran: 4, twice: 2, interrupted: 2 },
      '4 ticks since 04:20:11 ran on exactly one replica, 2 ran twice, 0 were missed. 2 more were claimed by a replica that ended before it said whether it ran.',
    ],
  ])('says of %j: %s', (counts, sentence) => {
    expect(proofOf({ ...NONE, ...counts })).toBe(sentence);
  });

  it('says before the first one that there is none', () => {
    expect(proofOf(null)).toBe('No tick has run yet: the first leader begins.');
  });
});

const TERM: TermView = { replica: 'a', term: 4, from: 0, to: null, reason: null, gapMs: 40 };
const REPLICA: ReplicaView = {
  name: 'a',
  state: 'running',
  isCut: false,
  end: null,
  pid: 1,
  dashboard: null,
  spans: [],
  can: [],
};

describe('when the page says what a replica is at', () => {
  it.each<readonly [Partial<ReplicaView>, TermView | null, string]>([
    [{}, TERM, 'leads, term 4'],
    [{}, { ...TERM, replica: 'b' }, 'follows'],
    [{}, null, 'follows'],
    [{ isCut: true }, TERM, 'leads, term 4, network cut'],
    [{ state: 'frozen' }, TERM, 'leads, term 4, frozen'],
    [{ state: 'frozen' }, null, 'frozen'],
    [{ state: 'ended', end: 'SIGKILL' }, null, 'ended (SIGKILL)'],
    [{ state: 'ended', end: 'SIGTERM' }, null, 'stopped'],
  ])('says of %j under %j: %s', (replica, leader, words) => {
    expect(stateOf({ ...REPLICA, ...replica }, leader)).toBe(words);
  });
});

describe('when the page says how long no replica led', () => {
  it.each<readonly [number | null, string]>([
    [null, '–'],
    [0, '0 ms'],
    [4_714, '4,714 ms'],
    [-300, 'two leaders for 300 ms'],
  ])('says of %s: %s', (gapMs, words) => {
    expect(gapOf({ ...TERM, gapMs })).toBe(words);
  });
});
