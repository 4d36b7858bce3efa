import { describe, expect, it } from '@jest/globals';
import type { Handover } from './handover.js';
import { TickHistory } from './tick-history.js';
import type { TickEvent } from './tick-replica-settings.js';
import { type FleetOutcome, totalsOf } from './tick-totals.js';

const name = 'replica-1';

function started(tick: number, caughtUp = false): TickEvent {
  return { event: 'started', name, tick, lateMs: 5, caughtUp };
}

function missed(...ticks: number[]): TickEvent {
  return { event: 'missed', name, reason: 'not-started', ticks };
}

function outcome(
  events: readonly TickEvent[],
  handovers: readonly Handover[] = [],
  fleet = 'fleet-1',
): FleetOutcome {
  const history = new TickHistory(events);
  return { name: fleet, history, handovers, settledTick: undefined, failure: undefined };
}

describe('what a chaos run of ticks comes to', () => {
  it('when each tick was started once or reported, there is no violation', () => {
    const events = [started(1), missed(2), started(3, true), started(4)];
    const { kinds, violations } = totalsOf([
      outcome(events, [{ kind: 'kill -9', from: 1, until: 4 }]),
    ]);
    expect(violations).toEqual([]);
    expect(kinds).toEqual({
      'kill -9': {
        handovers: 1,
        ticks: 3,
        started: 2,
        caughtUp: 1,
        doubled: 0,
        reported: 1,
        unaccounted: 0,
      },
    });
  });

  it('when a tick was started twice in one fleet, it is a violation, in a handover or not', () => {
    const { whole, violations } = totalsOf([outcome([started(1), started(2), started(2)])]);
    expect(whole.doubled).toBe(1);
    expect(violations).toEqual(['fleet-1, whole run: 2 started twice']);
  });

  it('when two fleets start the tick of the same second, each has started its own', () => {
    const fleets = ['fleet-1', 'fleet-2'].map((fleet) =>
      outcome([started(1)], [{ kind: 'graceful', from: 0, until: 1 }], fleet),
    );
    const { kinds, whole, violations } = totalsOf(fleets);
    expect(violations).toEqual([]);
    expect(whole).toMatchObject({ ticks: 2, started: 2, doubled: 0 });
    expect(kinds.graceful).toMatchObject({ handovers: 2, ticks: 2 });
  });

  it('when a tick was neither started nor reported, it is a violation of its handover and of the run', () => {
    const { kinds, violations } = totalsOf([
      outcome([started(1), started(3)], [{ kind: 'SIGSTOP', from: 1, until: 3 }]),
    ]);
    expect(kinds.SIGSTOP?.unaccounted).toBe(1);
    expect(violations).toEqual([
      'fleet-1, SIGSTOP in (1, 3]: 2 neither started nor reported',
      'fleet-1, whole run: 2 neither started nor reported',
    ]);
  });

  it('when a version of what runs once ran twice in one fleet, it is a violation', () => {
    const once = (version: number): TickEvent => ({ event: 'once', name, version });
    const { onceVersions, violations } = totalsOf([
      outcome([started(1), once(7), once(8), once(8)]),
      outcome([started(1), once(7)], [], 'fleet-2'),
    ]);
    expect(onceVersions).toBe(3);
    expect(violations).toEqual(['fleet-1: version 8 of what runs once ran 2 times']);
  });

  it('when a fleet fell silent, the ticks up to the settled one are violations', () => {
    const { violations } = totalsOf([{ ...outcome([started(1)]), settledTick: 2 }]);
    expect(violations).toEqual(['fleet-1, whole run: 2 neither started nor reported']);
  });

  it('when a graceful handover missed a tick, reporting it does not help', () => {
    const events = [started(1), missed(2), started(3)];
    const { violations } = totalsOf([outcome(events, [{ kind: 'graceful', from: 1, until: 3 }])]);
    expect(violations).toEqual(['fleet-1, graceful in (1, 3]: 1 missed']);
  });

  it('when a fleet broke off, that is a violation', () => {
    const { violations } = totalsOf([{ ...outcome([started(1)]), failure: 'replica-2 ended' }]);
    expect(violations).toEqual(['replica-2 ended']);
  });
});
