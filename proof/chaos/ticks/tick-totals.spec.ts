import { describe, expect, it } from '@jest/globals';
import type { Handover } from './handover.js';
import { tickJobs } from './tick-jobs.js';
import { type FleetOutcome, totalsOf } from './tick-totals.js';
import { ToldEvents } from './told-events.js';

function outcome(
  events: ToldEvents,
  handovers: readonly Handover[] = [],
  name = 'fleet-1',
): FleetOutcome {
  return {
    name,
    jobs: tickJobs(1, 10),
    history: events.history,
    handovers,
    settledTick: undefined,
    fates: { stopped: new Map(), gone: new Set() },
    requestedRuns: [],
    failure: undefined,
  };
}

function told(): ToldEvents {
  return new ToldEvents();
}

describe('what a chaos run of ticks comes to', () => {
  it('when each tick was started once or reported, there is no violation', () => {
    const events = told().run(1).missed([2]).run(3, { caughtUp: true }).run(4);
    const { handovers, violations } = totalsOf([
      outcome(events, [{ kind: 'kill -9', from: 1, until: 4 }]),
    ]);
    expect(violations).toEqual([]);
    expect(handovers).toEqual({
      'kill -9': {
        handovers: 1,
        ticks: 3,
        started: 2,
        runs: 2,
        caughtUp: 1,
        doubled: 0,
        reported: 1,
        unaccounted: 0,
      },
    });
  });

  it('when a tick was started twice in one fleet, it is a violation, in a handover or not', () => {
    const { jobs, violations } = totalsOf([outcome(told().run(1).run(2).run(2))]);
    expect(jobs.plain.doubled).toBe(1);
    expect(violations).toEqual(['fleet-1, plain 1: 2 started twice']);
  });

  it('when two fleets start the tick of the same second, each has started its own', () => {
    const fleets = ['fleet-1', 'fleet-2'].map((fleet) =>
      outcome(told().run(1), [{ kind: 'graceful', from: 0, until: 1 }], fleet),
    );
    const { handovers, jobs, violations } = totalsOf(fleets);
    expect(violations).toEqual([]);
    expect(jobs.plain).toMatchObject({ ticks: 2, started: 2, doubled: 0 });
    expect(handovers.graceful).toMatchObject({ handovers: 2, ticks: 2 });
  });

  it('when a version of what runs once ran twice in one fleet, it is a violation', () => {
    const twice = told()
      .once(1, 'a', { event: 'once-started', version: 8 })
      .once(2, 'b', { event: 'once-started', version: 8 });
    const other = told().once(1, 'a', { event: 'once-started', version: 8 });
    const { once, violations } = totalsOf([outcome(twice), outcome(other, [], 'fleet-2')]);
    expect(once.fail.versions).toBe(2);
    expect(violations).toEqual(['fleet-1, version 8 of what runs once (fail) ran 2 times']);
  });

  it('when a graceful handover missed a tick of a plain job in its turn, reporting it does not help', () => {
    const events = told().run(1).missed([2], 'not-started', 2_999).run(3);
    const { violations } = totalsOf([outcome(events, [{ kind: 'graceful', from: 1, until: 3 }])]);
    expect(violations).toEqual([
      'fleet-1, plain 1, graceful in (1, 3]: 2 missed, as was said 999 ms after it',
    ]);
  });

  it('when no replica had looked before the next tick was due in a graceful handover, the earlier one may be reported', () => {
    const events = told().run(1).missed([2], 'not-started', 3_000).run(3, { caughtUp: true });
    const { violations } = totalsOf([outcome(events, [{ kind: 'graceful', from: 1, until: 3 }])]);
    expect(violations).toEqual([]);
  });

  it('when a fleet broke off, that is a violation', () => {
    const { violations } = totalsOf([{ ...outcome(told().run(1)), failure: 'replica-2 ended' }]);
    expect(violations).toEqual(['replica-2 ended']);
  });

  it('when something never happened, it is not shown', () => {
    const caughtUp = told().run(1).run(2, { caughtUp: true });
    const { jobs, notShown } = totalsOf([outcome(caughtUp)]);
    expect(jobs.plain.shown).toBe(1);
    expect(notShown).not.toContain('plain: no ticks caught up');
    expect(notShown).toEqual(
      expect.arrayContaining([
        'suspend: no suspensions of the fleet',
        'once, rerun: no version run again',
      ]),
    );
  });
});
