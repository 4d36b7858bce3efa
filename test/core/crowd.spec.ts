import { describe, expect, it } from '@jest/globals';
import { crowdAfterAcquisition, windowMs } from '../../lib/core/crowd.js';
import type { Crowd, LeaseRecord } from '../../lib/core/lease-record.js';
import { CONFIG, heldBy, MachineRun, representation, unclear } from '../support/machine-run.js';

const RELEASED: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 4 };
const LEASE_MS = 15_000;

function releasedBy(crowd?: Crowd): LeaseRecord {
  return heldBy('other', { ...RELEASED, crowd });
}

function leaseWith(crowd?: Crowd): { record: { crowd: Crowd | undefined } } {
  return { record: { crowd } };
}

/** A standby with a watch that hears of a release in the middle of its window. */
function heardRelease(crowd: Crowd | undefined, random = 0.5): MachineRun {
  const run = MachineRun.standingBy();
  run.random = random;
  return run.at(1_000).watch(representation(releasedBy(crowd), 11));
}

describe('when the window of a crowd is asked for', () => {
  it.each([
    ['three that are fast', { candidates: 3, stepMs: 4 }, null, 10],
    ['a hundred', { candidates: 100, stepMs: 8 }, null, 400],
    ['a thousand that are slow', { candidates: 1_000, stepMs: 200 }, null, 5_000],
    ['three of a record that was edited to the most', { candidates: 4_000, stepMs: 4 }, 3, 10],
    ['as many as there are members', { candidates: 2, stepMs: 4 }, 300, 600],
    ['members and no record', undefined, 300, 600],
    ['an unknown number', undefined, null, 10],
  ])('gives %s what they need and no more', (_, crowd, members, expected) => {
    expect(windowMs(leaseWith(crowd), members, LEASE_MS)).toBe(expected);
  });

  it('is never longer than a third of the lease duration', () => {
    expect(windowMs(leaseWith({ candidates: 4_000, stepMs: 9_999 }), null, 3_000)).toBe(1_000);
  });

  it('is a quarter of a second for a lease that is missing, as nobody knows how many come', () => {
    expect(windowMs(null, 1_000, LEASE_MS)).toBe(250);
  });
});

describe('when a crowd is counted by what its winners have waited', () => {
  it.each([10, 100, 1_000])('finds %d candidates within a few handovers, and stays there', (n) => {
    // The smallest of n uniform draws, at its mean.
    const share = 1 / (n + 1);
    let crowd = crowdAfterAcquisition(undefined, null, share);
    for (let handover = 0; handover < 14; handover++) {
      crowd = crowdAfterAcquisition(crowd, null, share);
    }
    expect(crowd.candidates).toBeGreaterThan(0.9 * n);
    expect(crowd.candidates).toBeLessThan(1.1 * n);
  });

  it('counts those who have just started as well: the number is on the record', () => {
    const run = heardRelease({ candidates: 100, stepMs: 8 });
    expect(run.wakeAt).toBe(1_200);
  });

  it('stays between 1 and 4,000, however lucky the draws', () => {
    let crowd: Crowd | undefined;
    for (let handover = 0; handover < 30; handover++) {
      crowd = crowdAfterAcquisition(crowd, null, 0);
    }
    expect(crowd!.candidates).toBe(4_000);
    expect(crowdAfterAcquisition({ candidates: 1, stepMs: 4 }, null, 0.999).candidates).toBe(
      2 / 1.999,
    );
  });
});

describe('when the lease becomes free', () => {
  it('waits its share of the window after a release, and writes what that says', () => {
    const run = heardRelease({ candidates: 100, stepMs: 8 }, 0.25);
    run.wake();
    expect(run.now).toBe(1_100);
    expect(run.written.crowd).toEqual({ candidates: 7.69, stepMs: 8 });
  });

  it('waits its share of the window after an expiry', () => {
    const crowd = { candidates: 100, stepMs: 8 };
    const run = new MachineRun();
    run.random = 0.5;
    run.start().reads(representation(heldBy('other', { crowd }), 10));
    run.say({ kind: 'watch-opened' }).reads(representation(heldBy('other', { crowd }), 10));
    expect(run.wakeAt).toBe(15_000);
    expect(run.wake().state.pending).toBeNull();
    expect(run.wakeAt).toBe(15_200);
  });

  it('waits its share of the window after a proof of death', () => {
    const record = heldBy('other', { crowd: { candidates: 100, stepMs: 8 } });
    const run = MachineRun.standingBy({}, record);
    run.random = 0.5;
    run.at(900).watch(representation({ ...record, renewTimeMicros: 2 }, 11));
    const { timingKey } = run.state.observation!.lease!;
    run.at(1_000).say({ kind: 'holder-died', timingKey });
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBe(1_200);
  });

  it('waits for the shortest window where the record says nothing, and guesses two', () => {
    const run = heardRelease(undefined);
    expect(run.wakeAt).toBe(1_005);
    expect(run.wake().written.crowd).toEqual({ candidates: 2, stepMs: 4 });
  });

  it('waits a part of a quarter of a second before it creates a missing lease', () => {
    const run = MachineRun.standingBy();
    run.random = 0.5;
    run.at(1_000).watch(null, 11n);
    expect(run.wakeAt).toBe(1_125);
    expect(run.wake().request.request.verb).toBe('create');
  });

  it('waits as long while the first watch is on its way, which may save the attempt', () => {
    const run = new MachineRun();
    run.random = 0.5;
    run.start().say({ kind: 'watch-opening' }).reads(null);
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBe(125);
    run.at(20).say({ kind: 'watch-interrupted' });
    expect(run.request.purpose).toBe('acquire');
  });

  it('does not wait on a lock in its own process, where a write in vain costs nothing', () => {
    const run = new MachineRun({ isLockInProcess: true });
    run.random = 0.5;
    run.start().say({ kind: 'watch-opened' }).reads(null);
    expect(run.request.request.verb).toBe('create');
    expect(run.written.crowd).toEqual({ candidates: 2, stepMs: 4 });
  });

  it('does not wait without a watch, as it could not hear of a winner, and leaves the number', () => {
    const run = new MachineRun();
    run.random = 0.5;
    run.start().reads(representation(releasedBy({ candidates: 100, stepMs: 8 }), 7));
    expect(run.written.crowd).toEqual({ candidates: 100, stepMs: 8 });
  });

  it('goes by the number of members where that is known, and writes it', () => {
    const run = MachineRun.standingBy().say({ kind: 'crowd-known', candidates: 300 });
    run.random = 0.5;
    run.at(1_000).watch(representation(releasedBy({ candidates: 9, stepMs: 4 }), 11));
    expect(run.wakeAt).toBe(1_300);
    expect(run.wake().written.crowd).toEqual({ candidates: 300, stepMs: 4 });
  });

  it('goes by the record again when the members are no longer known', () => {
    const run = MachineRun.standingBy().say({ kind: 'crowd-known', candidates: 300 });
    run.say({ kind: 'crowd-known', candidates: null });
    run.random = 0.5;
    run.at(1_000).watch(representation(releasedBy({ candidates: 9, stepMs: 4 }), 11));
    expect(run.wakeAt).toBe(1_009);
  });
});

describe('when an acquisition says nothing about how many wait', () => {
  it('leaves the number after an attempt that failed', () => {
    const crowd = { candidates: 100, stepMs: 8 };
    const run = heardRelease(crowd, 0).writes({ kind: 'unknown', error: unclear });
    run.wake().reads(representation(releasedBy(crowd), 11));
    expect(run.request.purpose).toBe('acquire');
    expect(run.written.crowd).toEqual(crowd);
  });

  it('leaves the number when a cool-down was what it waited for', () => {
    const crowd = { candidates: 100, stepMs: 8 };
    const run = MachineRun.leading().withdraw('stepped-down', 5_000);
    run.say({ kind: 'drained', term: 1 }).applied(11);
    run.say({ kind: 'watch-opened' });
    const released = { leaseTransitions: 1, holderIdentity: '', releasedTransitions: 1, crowd };
    run.reads(representation(heldBy('', released), 12)).wake();
    expect(run.now).toBe(5_000);
    expect(run.written.crowd).toEqual(crowd);
  });
});

describe('when a process gives back a lease that it never led', () => {
  it('leaves the crowd as it is written there', () => {
    const run = heardRelease({ candidates: 1_000, stepMs: 8 }, 0);
    const { crowd, ...landed } = run.written;
    run.writes({ kind: 'unknown', error: unclear }).withdraw('suspended').wake();
    run.reads(representation({ ...landed, crowd }, 12));
    expect(run.request.purpose).toBe('release');
    expect(run.written.crowd).toEqual(crowd);
  });
});

describe('when an attempt conflicts', () => {
  const conflicted = (retryPeriodMs: number, requestTimeoutMs: number): MachineRun =>
    MachineRun.standingBy({ retryPeriodMs, requestTimeoutMs })
      .at(15_000)
      .tick()
      .writes({ kind: 'conflict' });

  it.each([
    [2_000, 17_000],
    [400, 16_000],
  ])(
    'asks nothing of the server while the watch is open, and reads without news at a retry period of %d ms',
    (retryPeriodMs, readsAt) => {
      const run = conflicted(retryPeriodMs, 1_000);
      expect(run.state.pending).toBeNull();
      run.at(readsAt - 1).tick();
      expect(run.state.pending).toBeNull();
      expect(run.at(readsAt).tick().request.purpose).toBe('read');
    },
  );

  it('sends no read at all once the watch has told of the winner', () => {
    const run = conflicted(2_000, 3_000);
    run.at(15_300).watch(representation(heldBy('third'), 12));
    run.at(30_000).tick();
    expect(run.purposes.slice(2)).toEqual(['acquire']);
  });

  it('reads at once when it ends, as an earlier attempt of its own may have landed', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    run.writes({ kind: 'unknown', error: unclear });
    run.watch(representation(releasedBy(), 11));
    run.withdraw('shutdown').say({ kind: 'finish' }).writes({ kind: 'conflict' });
    expect(run.request.purpose).toBe('read');
  });

  it('reads at once without a watch', () => {
    const run = new MachineRun().start().reads(representation(releasedBy(), 7));
    expect(run.writes({ kind: 'conflict' }).request.purpose).toBe('read');
  });
});

describe('when a holder hears of its own renewals', () => {
  function renewed(heardAfterMs: number, times = 1): MachineRun {
    const run = MachineRun.leading().say({ kind: 'watch-opened' });
    for (let renewal = 0; renewal < times; renewal++) {
      run.wake();
      const stored = representation(run.written, 11 + renewal);
      run.at(run.now + heardAfterMs).watch(stored);
      // A watch may repeat itself.
      run.at(run.now + 5).watch(stored);
      run.applied(11 + renewal);
    }
    return run.wake();
  }

  it('writes how long that takes, smoothed', () => {
    expect(renewed(44).written.crowd?.stepMs).toBe(14);
    expect(renewed(44, 30).written.crowd?.stepMs).toBeCloseTo(44, 0);
  });

  it('writes at least four milliseconds', () => {
    expect(renewed(0, 3).written.crowd?.stepMs).toBe(4);
  });

  it('keeps it in the release, which is what the others go by', () => {
    const run = renewed(44).applied(12).withdraw('stepped-down');
    expect(run.say({ kind: 'drained', term: 1 }).written).toMatchObject({
      holderIdentity: '',
      crowd: { stepMs: 14 },
    });
  });

  it('does not count the acquiring write, whose answer may come after the watch', () => {
    const run = MachineRun.leading();
    const { lease } = run.state.observation!;
    run.say({ kind: 'watch-opened' }).at(900).watch(lease);
    expect(run.state.crowd.stepMs).toBe(4);
  });

  it('counts nothing that a watch begins with, as it may have been sent long before', () => {
    const run = MachineRun.leading().wake();
    const stored = representation(run.written, 11);
    run
      .say({ kind: 'watch-opened' })
      .at(run.now + 900)
      .watch(stored);
    expect(run.state.crowd.stepMs).toBe(4);
  });

  it('begins with what the last holder has measured', () => {
    const run = heardRelease({ candidates: 3, stepMs: 60 }, 0);
    run.applied(12).at(4_000).tick();
    expect(run.request.purpose).toBe('renew');
    expect(run.written.crowd?.stepMs).toBe(60);
  });
});

describe('when somebody edits the crowd by hand', () => {
  it('costs no more than a third of a lease duration, once', () => {
    const run = heardRelease({ candidates: 4_000, stepMs: 9_999_999 }, 0.999);
    expect(run.wakeAt).toBeLessThanOrEqual(1_000 + CONFIG.leaseDurationMs / 3);
    run.wake();
    expect(run.written.crowd!.candidates).toBeLessThan(3);
  });

  it('does not begin the wait again', () => {
    const run = heardRelease({ candidates: 100, stepMs: 8 });
    run.at(1_100).watch(representation(releasedBy({ candidates: 90, stepMs: 8 }), 12));
    expect(run.wakeAt).toBe(1_180);
  });
});
