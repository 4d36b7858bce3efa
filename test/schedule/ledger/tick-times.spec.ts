import { describe, expect, it } from '@jest/globals';
import {
  parseTime,
  parseTimes,
  printTime,
  printTimes,
} from '../../../lib/schedule/ledger/job-record.codec.js';

const START = Date.parse('2026-01-01T00:00:00Z');
const at = (...seconds: number[]): number[] => seconds.map((second) => START + second * 1_000);
const FIRST = '2026-01-01T00:00:00Z';

describe('when times are stored', () => {
  it.each<[string, number[], unknown]>([
    ['one', at(0), [FIRST]],
    ['two', at(0, 60), [FIRST, 60]],
    ['three of equal distance', at(0, 60, 120), [FIRST, [60, 2]]],
    ['a pause among equal distances', at(0, 60, 120, 1_000, 1_060), [FIRST, [60, 2], 880, 60]],
    ['the same distance after another', at(0, 1, 3, 4, 5), [FIRST, 1, 2, [1, 2]]],
    ['a fraction of a second', at(0, 1.234), [FIRST, 1.234]],
    ['the same time twice', at(5, 5), ['2026-01-01T00:00:05Z', 0]],
  ])('takes as few steps as it can, and reads the same: %s', (_what, times, printed) => {
    expect(printTimes(times)).toEqual(printed);
    expect(parseTimes(JSON.parse(JSON.stringify(printed)))).toEqual(times);
  });

  it('takes less than 50 bytes for a hundred ticks of an outage', () => {
    const times = Array.from({ length: 100 }, (_, index) => START + index * 60_000);
    expect(JSON.stringify(printTimes(times)).length).toBeLessThan(50);
    expect(parseTimes(printTimes(times))).toEqual(times);
  });

  it('reads a list of nothing but times, as the first format has it', () => {
    expect(parseTimes([FIRST, '2026-01-01T00:01:00.000Z'])).toEqual(at(0, 60));
  });

  it.each<[string, unknown]>([
    ['no list', FIRST],
    ['an empty list', []],
    ['a step before any time', [60]],
    ['what is no time', [FIRST, 'soon']],
    ['an object', [FIRST, {}]],
    ['a step that is no number', [FIRST, ['60', 2]]],
    ['no step', [FIRST, []]],
    ['no steps', [FIRST, [60, 0]]],
    ['half a step', [FIRST, [60, 1.5]]],
    ['a step to what is no time', [FIRST, 1e300]],
    ['steps to what is no time', [FIRST, [-1e12, 10]]],
    ['a list without end', [FIRST, [60, 10_000]]],
    ['a list without end in parts', [FIRST, [60, 9_999], [60, 1]]],
  ])('does not guess: %s', (_what, written) => {
    expect(parseTimes(written)).toBeUndefined();
  });

  it('reads the longest list that it may', () => {
    expect(parseTimes([FIRST, [60, 9_999]])).toHaveLength(10_000);
  });
});

describe('when a time is stored', () => {
  it.each([
    [START, FIRST],
    [START + 1, '2026-01-01T00:00:00.001Z'],
    [0, '1970-01-01T00:00:00Z'],
  ])('is ISO 8601 without idle digits, and reads the same: %d', (time, printed) => {
    expect(printTime(time)).toBe(printed);
    expect(parseTime(printed)).toBe(time);
  });

  it.each([[5], ['5'], ['2026'], ['2026-01-01'], [null], ['2026-13-01T00:00:00Z'], [{}]])(
    'is not taken from what JavaScript would guess one from: %j',
    (written) => {
      expect(parseTime(written)).toBeUndefined();
    },
  );

  it.each([['0001-01-01T00:00:00Z'], ['1969-12-31T23:59:59Z'], ['+275760-09-12T00:00:00Z']])(
    'is not taken from where no schedule can be searched: %s',
    (written) => {
      expect(parseTime(written)).toBeUndefined();
    },
  );
});
