import { describe, expect, it } from '@jest/globals';
import {
  ago,
  count,
  counted,
  countdown,
  duration,
  milliseconds,
  moment,
  nameParts,
  seconds,
  setting,
  shortened,
  timer,
} from '../../../lib/dashboard/page/words.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('when a length of time is said', () => {
  it.each([
    [-5, '0 ms'],
    [0, '0 ms'],
    [640.4, '640 ms'],
    [2_000, '2 s'],
    [8_240, '8.2 s'],
    [9_949, '9.9 s'],
    [9_999, '9.9 s'],
    [10_000, '10 s'],
    [45_900, '45 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3 * MINUTE + 20_000, '3 min 20 s'],
    [HOUR - 1, '59 min 59 s'],
    [HOUR, '1 h'],
    [2 * HOUR + 5 * MINUTE, '2 h 5 min'],
    [DAY - 1, '23 h 59 min'],
    [DAY, '1 d'],
    [4 * DAY + 2 * HOUR, '4 d 2 h'],
  ])('says %d ms as %s', (ms, words) => {
    expect(duration(ms)).toBe(words);
  });

  it.each([
    [-1, '0 s'],
    [640, '0.6 s'],
    [3_299, '3.2 s'],
    [3_300, '3.3 s'],
    [9_999, '9.9 s'],
    [14_999, '14 s'],
  ])('says what is left, %d ms, as %s, and no more than that', (ms, words) => {
    expect(seconds(ms)).toBe(words);
  });

  it.each([
    [400, '400 ms'],
    [3_300, '3.3 s'],
    [12_250, '12.25 s'],
    [15_000, '15 s'],
    [MINUTE, '1 min'],
    [90_500, '1 min 30.5 s'],
    [2 * HOUR + MINUTE, '2 h 1 min'],
  ])('says a setting of %d ms exactly, as %s', (ms, words) => {
    expect(setting(ms)).toBe(words);
  });

  it('says a gap in milliseconds however long it is', () => {
    expect(milliseconds(15_034.4)).toBe('15,034 ms');
  });

  it.each([
    [-1, '00:00'],
    [7_900, '00:07'],
    [12 * MINUTE + 30_000, '12:30'],
    [2 * HOUR + 11 * MINUTE + 9_000, '2:11:09'],
    [4 * DAY + 2 * HOUR + 9_000, '4 d 02:00:09'],
  ])('runs a timer of %d ms at %s', (ms, text) => {
    expect(timer(ms)).toBe(text);
  });
});

describe('when a time is said beside now', () => {
  it.each([
    [12_000, 'in 12 s'],
    [11_001, 'in 12 s'],
    [59_001, 'in 1 min'],
    [1, 'in 1 s'],
    [0, 'due'],
    [-1_999, 'due'],
    [-12_000, '12 s late'],
    [-5 * HOUR, '5 h late'],
  ])('counts %d ms down as %s', (left, words) => {
    expect(countdown(1_000_000 + left, 1_000_000)).toBe(words);
  });

  it.each([
    [-10, 'just now'],
    [999, 'just now'],
    [12_345, '12 s ago'],
    [99 * MINUTE, '99 min ago'],
    [100 * MINUTE, '1 h ago'],
    [47 * HOUR, '47 h ago'],
    [48 * HOUR, '2 d ago'],
  ])('says what was %d ms before as %s', (ms, words) => {
    expect(ago(1_000_000_000 - ms, 1_000_000_000)).toBe(words);
  });

  it('names the day of what was not today', () => {
    const now = new Date(2026, 10, 27, 2, 14, 7).getTime();
    expect(moment(now - 2 * HOUR, now)).toBe('00:14:07');
    expect(moment(now - 3 * HOUR, now)).toBe('26 Nov 23:14:07');
  });
});

describe('when something is counted', () => {
  it('separates thousands', () => {
    expect([0, 999, 1_000, 1_234_567].map(count)).toEqual(['0', '999', '1,000', '1,234,567']);
  });

  it('says one as one', () => {
    expect([counted(1, 'tick'), counted(2, 'tick'), counted(0, 'tick')]).toEqual([
      '1 tick',
      '2 ticks',
      '0 ticks',
    ]);
  });
});

describe('when a replica is named', () => {
  it('tells the pod or host from the mark of the process', () => {
    const identity = 'plan-7d9f8b6c5-x2x9k_3f9a12bc-7f1e-4a52-9d55-0a3b6a1f2c11';
    expect(nameParts(identity)).toEqual({ name: 'plan-7d9f8b6c5-x2x9k', mark: '3f9a12bc' });
  });

  it.each(['worker', 'my_worker', '_', ''])('keeps an identity that is chosen: %s', (name) => {
    expect(nameParts(name)).toEqual({ name, mark: '' });
  });

  it('keeps the end of a long name, where those of pods differ', () => {
    expect(shortened('plan-scheduler-7d9f8b6c5-x2x9k', 16)).toBe('plan-sc…c5-x2x9k');
    expect(shortened('short', 16)).toBe('short');
  });

  it.each([0, 1, 2, 3.5])('shortens to %d characters without failing', (length) => {
    expect(shortened('plan-scheduler', length).length).toBeLessThanOrEqual(Math.max(1, length));
  });
});
