import { describe, expect, it } from '@jest/globals';
import {
  type EndedAttempt,
  reopenAfterMs,
  wasUseful,
  type WatchPace,
} from '../../../lib/locks/kubernetes/lease-watch.js';

const paceWith = (random: number): WatchPace => ({
  intervalMs: 1_000,
  longestIntervalMs: 19_000,
  refusedIntervalMs: 60_000,
  random: () => random,
});

const SILENT: EndedAttempt = {
  livedMs: 19_000,
  failed: true,
  changes: 1,
  isRefusal: false,
  retryAfterMs: 0,
};

describe('when a watch ends in silence, or in another failure, again and again', () => {
  it('is opened again after 1, 2, 4 s, up to the silence limit', () => {
    const intervals = [1, 2, 3, 4, 5, 6, 7].map((times) =>
      reopenAfterMs(SILENT, times, paceWith(1)),
    );
    expect(intervals).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 19_000, 19_000]);
  });

  it.each<[string, Partial<EndedAttempt>, boolean]>([
    ['it only began with the present state', {}, false],
    ['it followed changes', { changes: 2 }, true],
    ['it ended in good order after minutes', { failed: false, changes: 0 }, true],
    ['it ended in good order at once', { failed: false, changes: 0, livedMs: 3 }, false],
    ['it could not be opened', { changes: 0, livedMs: 2 }, false],
  ])('goes by whether it was of use: %s', (_name, change, useful) => {
    expect(wasUseful({ ...SILENT, ...change }, paceWith(0))).toBe(useful);
  });

  it('obeys the time that the server asks for, up to the interval of a refusal', () => {
    const asked = (retryAfterMs: number) =>
      reopenAfterMs({ ...SILENT, retryAfterMs }, 1, paceWith(0));
    expect([asked(5_000), asked(3_600_000)]).toEqual([5_000, 60_000]);
  });
});

describe('when all watches of a server end at the same instant', () => {
  it('are opened again spread over the interval', () => {
    const useful = { ...SILENT, changes: 9 };
    expect([0, 0.25, 0.99].map((random) => reopenAfterMs(useful, 0, paceWith(random)))).toEqual([
      0, 250, 990,
    ]);
  });

  it('are spread at each further attempt as well', () => {
    expect([0, 0.5, 1].map((random) => reopenAfterMs(SILENT, 3, paceWith(random)))).toEqual([
      2_000, 3_000, 4_000,
    ]);
  });
});
