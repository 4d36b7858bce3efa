import { describe, expect, it } from '@jest/globals';
import { ToldEvents } from './told-events.js';
import { judgeTriggers, type RequestedRun } from './trigger-check.js';

const asked = (askedAt: number, outcome: RequestedRun['outcome']): RequestedRun => ({
  askedAt,
  endedAt: askedAt + 50,
  outcome,
});

function runsAt(...times: readonly number[]) {
  const events = new ToldEvents();
  for (const at of times) events.tell('a', at, { event: 'requested-run' });
  return events.history;
}

describe('when runs that people have asked for are judged', () => {
  it('finds nothing where each request started one, was refused, or started it late', () => {
    const requests = [
      asked(100, 'started'),
      asked(200, 'none'),
      asked(300, 'unknown'),
      asked(400, 'started'),
      asked(500, 'unknown'),
    ];
    const { totals, violations } = judgeTriggers(runsAt(110, 410, 420), requests);
    expect(violations).toEqual([]);
    expect(totals).toEqual({ requested: 5, started: 2, none: 1, unknown: 2, runs: 3 });
  });

  it.each<[string, readonly number[], readonly RequestedRun[], string]>([
    [
      'a request that started two runs',
      [110, 120],
      [asked(100, 'started')],
      '2 runs had started by Infinity, and 1 requests could have started one',
    ],
    [
      'one that was not answered and started two',
      [110, 500],
      [asked(100, 'unknown')],
      '2 runs had started by Infinity, and 1 requests could have started one',
    ],
    [
      'a run for one that was refused',
      [110],
      [asked(100, 'none'), asked(200, 'unknown')],
      '1 runs had started by 200, and 0 requests could have started one',
    ],
    [
      'a run that was not asked for yet',
      [10, 110, 210],
      [asked(100, 'started'), asked(200, 'started')],
      '2 runs had started by 200, and 1 requests could have started one',
    ],
    [
      'one that was said to be started and was not',
      [],
      [asked(100, 'started')],
      'the request of 100 was said to be started, and was not',
    ],
  ])('finds %s', (_, runs, requests, violation) => {
    expect(judgeTriggers(runsAt(...runs), requests).violations).toContain(violation);
  });
});
