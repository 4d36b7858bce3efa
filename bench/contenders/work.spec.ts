import { describe, expect, it } from '@jest/globals';
import { overlapsOf, workOf } from './work.js';

const granted = (at: number) => ({ at, event: 'granted' });
const revoked = (at: number) => ({ at, event: 'revoked' });
const handled = (at: number) => ({ at, event: 'stop-handler-ended' });
const resumed = (at: number, leads: boolean) => ({ at, event: 'resumed', leads });

describe('when a leader tells what happens to it', () => {
  it.each([
    [
      'until its stop handler has ended',
      [granted(10), revoked(20), handled(50)],
      [{ from: 10, to: 50 }],
    ],
    ['until now, if nothing has ended it', [granted(10)], [{ from: 10, to: Infinity }]],
    [
      'until now, while the stop handler runs',
      [granted(10), revoked(20)],
      [{ from: 10, to: Infinity }],
    ],
    [
      'once for each grant',
      [granted(10), revoked(20), handled(21), granted(30)],
      [
        { from: 10, to: 21 },
        { from: 30, to: Infinity },
      ],
    ],
    ['never before a grant', [revoked(20), handled(21)], []],
  ])('its work runs %s', (_title, events, work) => {
    expect(workOf(events, [])).toEqual(work);
  });

  it('its work ends with the process', () => {
    expect(workOf([granted(10)], [], 40)).toEqual([{ from: 10, to: 40 }]);
    expect(workOf([granted(10), revoked(20), handled(30)], [], 40)).toEqual([{ from: 10, to: 30 }]);
  });
});

describe('when a leader is stopped and continued', () => {
  const pauses = [{ from: 20, to: 60 }];

  it('no work runs while it is stopped', () => {
    expect(workOf([granted(10)], [{ from: 20, to: Infinity }])).toEqual([{ from: 10, to: 20 }]);
  });

  it('its work runs on if it still says that it leads', () => {
    expect(workOf([granted(10), resumed(61, true), revoked(65), handled(66)], pauses)).toEqual([
      { from: 10, to: 20 },
      { from: 60, to: 66 },
    ]);
  });

  it('its work does not run on if it says at once that it leads no more', () => {
    const events = [granted(10), resumed(61, false), revoked(65), handled(66)];
    expect(workOf(events, pauses)).toEqual([{ from: 10, to: 20 }]);
  });

  it('counts what it is granted afterwards', () => {
    const events = [granted(10), resumed(61, false), revoked(65), handled(66), granted(80)];
    expect(workOf(events, pauses)).toEqual([
      { from: 10, to: 20 },
      { from: 80, to: Infinity },
    ]);
  });

  it('takes no notice of a stop while it did not lead', () => {
    expect(workOf([granted(70)], pauses)).toEqual([{ from: 70, to: Infinity }]);
  });
});

describe('when several processes have led', () => {
  it('finds each time at which two of them worked at once', () => {
    const first = [
      { from: 0, to: 10 },
      { from: 40, to: Infinity },
    ];
    const second = [
      { from: 8, to: 12 },
      { from: 30, to: 50 },
    ];
    const third = [{ from: 12, to: 30 }];
    expect(overlapsOf([first, second, third])).toEqual([
      { from: 8, to: 10 },
      { from: 40, to: 50 },
    ]);
  });

  it('finds none where one begins as the other ends', () => {
    expect(overlapsOf([[{ from: 0, to: 10 }], [{ from: 10, to: 20 }]])).toEqual([]);
  });
});
