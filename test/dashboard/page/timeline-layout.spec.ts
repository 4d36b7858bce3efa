import { describe, expect, it } from '@jest/globals';
import { courseOf, joined, NO_HISTORY } from '../../../lib/dashboard/page/term-history.js';
import { ticksOf, timelineLayout } from '../../../lib/dashboard/page/timeline-layout.js';

const NOW = 1_000_000;

function layoutOf(
  terms: readonly (readonly [holder: string, from: number, to: number | null])[],
  changes: Partial<Parameters<typeof timelineLayout>[1]> = {},
) {
  const spans = terms.map(([holder, from, to], index) => {
    return { term: index + 1, holder, from, to, isFromRecord: false, reason: null };
  });
  const history = joined(NO_HISTORY, { role: 'plans', seenSince: 0, terms: spans }, 0, NOW);
  return timelineLayout(courseOf(history, false, NOW), {
    start: 0,
    end: NOW,
    width: 1_000,
    mostLanes: 8,
    members: [],
    handoverMs: 2_000,
    zoom: 1,
    ...changes,
  });
}

describe('when terms are laid out', () => {
  it('gives each replica a lane and each term a bar', () => {
    const { lanes } = layoutOf([
      ['a', 0, 300_000],
      ['b', 300_000, 500_000],
      ['a', 500_000, null],
    ]);
    expect(lanes).toEqual([
      {
        holder: 'a',
        bars: [
          { x: 0, width: 300, isNow: false },
          { x: 500, width: 500, isNow: true },
        ],
      },
      { holder: 'b', bars: [{ x: 300, width: 200, isNow: false }] },
    ]);
  });

  it('shows what is shorter than a pixel', () => {
    const { lanes, gaps } = layoutOf([
      ['a', 0, 500_000],
      ['b', 500_009, 500_010],
      ['a', 500_011, null],
    ]);
    expect(lanes[1]!.bars).toEqual([{ x: 500, width: 2, isNow: false }]);
    expect(gaps.map(({ width, length }) => [width, length])).toEqual([
      [4, 9],
      [4, 1],
    ]);
  });

  it('draws 500 terms of a second as few bars', () => {
    const terms = Array.from({ length: 500 }, (_, index) => {
      return ['a', 900_000 + index * 100, 900_000 + index * 100 + 99] as const;
    });
    expect(layoutOf(terms).lanes[0]!.bars).toHaveLength(1);
  });

  it('cuts what began before the range, and leaves out what ended before it', () => {
    const { lanes } = layoutOf(
      [
        ['a', 0, 300_000],
        ['b', 300_000, null],
      ],
      { start: 500_000 },
    );
    expect(lanes).toEqual([{ holder: 'b', bars: [{ x: 0, width: 1_000, isNow: true }] }]);
  });

  it('gives a lane to members that never led, and counts those that have none', () => {
    const terms = ['a', 'b', 'c', 'd'].map((holder, index) => {
      return [holder, index * 100_000, index === 3 ? null : (index + 1) * 100_000] as const;
    });
    const { lanes, hiddenLanes } = layoutOf(terms, { mostLanes: 3, members: ['e'] });
    expect(lanes.map(({ holder }) => holder)).toEqual(['b', 'c', 'd']);
    expect(hiddenLanes).toBe(1);
    const roomy = layoutOf(terms, { members: ['e'] });
    expect(roomy.lanes.map(({ holder }) => holder)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('when gaps are labelled', () => {
  it('labels the longest of those that are too close to each other', () => {
    const { gaps } = layoutOf([
      ['a', 0, 500_000],
      ['b', 500_020, 510_000],
      ['a', 525_034, null],
    ]);
    expect(gaps.map(({ label, isShort }) => [label, isShort])).toEqual([
      ['', true],
      ['15,034 ms', false],
    ]);
  });

  it('keeps the label of a gap at the edge inside', () => {
    const { gaps } = layoutOf([
      ['a', 0, 990_000],
      ['b', 999_000, null],
    ]);
    expect(gaps[0]!.labelX).toBeLessThan(1_000 - 20);
  });
});

describe('when the times are written below', () => {
  it.each([
    [15, 1_000],
    [60, 1_000],
    [60, 358],
    [360, 1_000],
    [60 * 24 * 40, 1_000],
  ])('has room for each in %d minutes on %d pixels', (minutes, width) => {
    const end = Date.UTC(2026, 10, 27, 2, 14, 7);
    const start = end - minutes * 60_000;
    const ticks = ticksOf(start, end, width);
    expect(ticks.length).toBeGreaterThan(1);
    const space = ((ticks[1]! - ticks[0]!) / (end - start)) * width;
    expect(space).toBeGreaterThanOrEqual(80);
    expect(ticks.every((tick) => tick >= start && tick <= end)).toBe(true);
  });
});
