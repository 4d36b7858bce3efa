import { describe, expect, it } from '@jest/globals';
import { marksOf, OUTCOMES, stripInWords, stripPaths } from '../../../lib/dashboard/page/strip.js';
import { job, run } from './support/job.js';

function times(marks: ReturnType<typeof marksOf>) {
  return marks.map(({ at, outcome }) => [at, outcome]);
}

describe('when ticks were missed', () => {
  const history = [run(0, 5), run(60, 5), run(240, 5)];

  it('shows them where an even schedule has holes', () => {
    const view = job({ history, intervalMs: 60, missedCount: 2, lastMissed: 180 });
    expect(times(marksOf(view, 20))).toEqual([
      [0, 'succeeded'],
      [60, 'succeeded'],
      [120, 'missed'],
      [180, 'missed'],
      [240, 'succeeded'],
    ]);
  });

  it('shows no more than were counted, the latest first', () => {
    const view = job({ history, intervalMs: 60, missedCount: 1, lastMissed: 180 });
    expect(times(marksOf(view, 20)).filter(([, outcome]) => outcome === 'missed')).toEqual([
      [180, 'missed'],
    ]);
  });

  it('concludes nothing from holes if none was counted, or the schedule is uneven', () => {
    expect(marksOf(job({ history, intervalMs: 60 }), 20)).toHaveLength(3);
    const uneven = job({ history, intervalMs: null, missedCount: 5, lastMissed: 180 });
    expect(marksOf(uneven, 20)).toHaveLength(4);
  });
});

describe('when a run is active', () => {
  it('comes last', () => {
    const active = {
      run: 'r1',
      scheduledTime: 120,
      startedAt: 120,
      holder: 'pod-1',
      isTriggered: false,
      isCancelled: false,
    };
    const view = job({ history: [run(0, 5), run(60, 5)], active: [active] });
    expect(times(marksOf(view, 2))).toEqual([
      [60, 'succeeded'],
      [120, 'active'],
    ]);
  });
});

describe('when a strip is drawn', () => {
  it('gives each outcome a shape of its own, so that no one needs its colour', () => {
    const shapes = OUTCOMES.map((outcome) => {
      return stripPaths([{ outcome, at: 0, length: 10 }], 1, 8, 24)[outcome];
    });
    expect(new Set(shapes).size).toBe(OUTCOMES.length);
    expect(shapes).not.toContain(undefined);
  });

  it('draws the longest highest, and the shortest so that it is seen', () => {
    const marks = [1, 1_000_000].map((length) => ({
      outcome: 'succeeded' as const,
      at: 0,
      length,
    }));
    expect(stripPaths(marks, 2, 8, 24)).toEqual({ succeeded: 'M0 24h5v-2h-5zM8 24h5v-18h-5z' });
  });

  it('begins at the right, where the next run will be', () => {
    const { succeeded } = stripPaths([{ outcome: 'succeeded', at: 0, length: 1 }], 20, 8, 24);
    expect(succeeded).toMatch(/^M152 /);
  });
});

describe('when a strip is read aloud', () => {
  it('counts the outcomes and says how long the longest took', () => {
    const history = [run(0, 900), run(60, 4_000, 'failed'), run(120, 5)];
    expect(stripInWords(marksOf(job({ history }), 20))).toBe(
      'Last 3 ticks: 2 succeeded, 1 failed, the longest took 4 s.',
    );
    expect(stripInWords([])).toBe('No runs yet.');
  });
});
