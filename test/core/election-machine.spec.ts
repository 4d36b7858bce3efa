import { describe, expect, it } from '@jest/globals';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { WriteOutcome } from '../../lib/core/resource-lock.js';
import {
  CONFIG,
  heldBy,
  MachineRun,
  rejected,
  representation,
  unclear,
  unreachable,
} from '../support/machine-run.js';

const RELEASED: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 4 };

describe('when a candidate starts', () => {
  it('reads before it writes', () => {
    expect(new MachineRun().start().purposes).toEqual(['read']);
  });

  it('creates a missing lease and leads from the answer on', () => {
    const run = new MachineRun().start().reads(null);
    expect(run.request.request.verb).toBe('create');
    expect(run.isLeader()).toBe(false);
    run.applied(10);
    expect(run.isLeader()).toBe(true);
    expect(run.of('grant')).toEqual([{ kind: 'grant', term: 1, fencingToken: 10n }]);
  });

  it('takes a released lease at once, on the version it read', () => {
    const run = new MachineRun().start().reads(representation(heldBy('x', RELEASED), 7));
    expect(run.request).toMatchObject({ request: { verb: 'replace', expected: { revision: 7n } } });
    expect(run.written).toMatchObject({ holderIdentity: 'me', leaseTransitions: 5 });
  });

  it('waits a whole lease duration on a held lease, however old its renew time is', () => {
    const run = MachineRun.standingBy();
    expect(run.purposes).toEqual(['read', 'read']);
    run.at(14_999).tick();
    expect(run.state.pending).toBeNull();
    run.at(15_000).tick();
    expect(run.request.purpose).toBe('acquire');
  });

  it('gives no leader and no grant before the acquiring write is answered', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    expect(run.isLeader()).toBe(false);
    expect(run.of('grant')).toEqual([]);
  });
});

describe('when a record has unusual content', () => {
  it.each<[string, Partial<LeaseRecord>, number]>([
    ['null times', { acquireTimeMicros: null, renewTimeMicros: null }, 15_000],
    ['no duration', { leaseDurationSeconds: null }, 15_000],
    ['duration zero', { leaseDurationSeconds: 0 }, 15_000],
    ['negative duration', { leaseDurationSeconds: -3 }, 15_000],
    ['a longer duration than ours', { leaseDurationSeconds: 60 }, 60_000],
    ['a shorter duration than ours', { leaseDurationSeconds: 3 }, 3_000],
  ])('waits out the holder of a record with %s', (_name, change, wait) => {
    const run = MachineRun.standingBy({}, heldBy('other', change));
    run.at(wait - 1).tick();
    expect(run.state.pending).toBeNull();
    run.at(wait).tick();
    expect(run.request.purpose).toBe('acquire');
  });

  it('starts the transitions again at 1 where the API cannot count further', () => {
    const record = heldBy('', { leaseTransitions: 2_147_483_647 });
    const run = new MachineRun().start().reads(representation(record, 7));
    expect(run.written.leaseTransitions).toBe(1);
  });

  it('goes on counting transitions over a deleted lease', () => {
    const run = MachineRun.standingBy().watch(null, 11n);
    expect(run.written.leaseTransitions).toBe(5);
  });

  it('waits out a record that names this identity but was not written by this process', () => {
    const run = MachineRun.standingBy({}, heldBy('me'));
    expect(run.state.pending).toBeNull();
    expect(run.at(15_000).tick().request.purpose).toBe('acquire');
  });
});

describe('when two processes were given one identity', () => {
  it('waits out what the other wrote between two of its own attempts', () => {
    const run = new MachineRun().start().reads(representation(heldBy('x', RELEASED), 7));
    run.writes({ kind: 'not-applied', error: unreachable }).wake().writes({ kind: 'conflict' });
    const twins = {
      leaseTransitions: 5,
      acquireTimeMicros: 1_000_000_500_000,
      renewTimeMicros: 1_000_000_500_000,
    };
    run.reads(representation(heldBy('me', twins), 8));
    expect(run.state.pending).toBeNull();
    expect(run.at(16_600).tick().request.purpose).toBe('acquire');
  });
});

describe('when another holder renews', () => {
  it('starts the wait anew at the receipt of each new renew time', () => {
    const run = MachineRun.standingBy();
    run.at(8_000).watch(representation(heldBy('other', { renewTimeMicros: 2 }), 11));
    run.at(15_000).tick();
    expect(run.state.pending).toBeNull();
    run.at(23_000).tick();
    expect(run.request.purpose).toBe('acquire');
  });

  it('does not start the wait anew at an edit that leaves the timing as it was', () => {
    const run = MachineRun.standingBy();
    run.at(8_000).watch(representation(heldBy('other'), 11));
    run.at(15_000).tick();
    expect(run.request).toMatchObject({ request: { expected: { revision: 11n } } });
  });

  it('drops a watch event that is not newer than what is known', () => {
    const run = MachineRun.standingBy();
    run.at(8_000).watch(representation(heldBy('', RELEASED), 9));
    expect(run.state.observation?.revision).toBe(10n);
    expect(run.state.pending).toBeNull();
  });

  it('keeps what the watch told while the answer of a read was on its way', () => {
    const run = new MachineRun().start().reads(representation(heldBy('other'), 10));
    run.say({ kind: 'watch-opened' });
    run.watch(representation(heldBy('other', RELEASED), 11));
    run.reads(representation(heldBy('other'), 10));
    expect(run.request).toMatchObject({
      purpose: 'acquire',
      request: { expected: { revision: 11n } },
    });
  });

  it('adopts an older revision from a read, with a whole new wait', () => {
    const run = new MachineRun().start().reads(representation(heldBy('other'), 10));
    run.wake();
    run.reads(representation(heldBy('other'), 5));
    expect(run.state.observation).toMatchObject({ revision: 5n, since: run.now });
  });

  it('polls once per retry period without a watch, and not at all with one', () => {
    const polling = new MachineRun().start().reads(representation(heldBy('other'), 10));
    for (let poll = 0; poll < 3; poll++) {
      polling.wake().reads(representation(heldBy('other'), 10));
    }
    expect(polling.now).toBeLessThanOrEqual(3 * CONFIG.retryPeriodMs);
    expect(polling.purposes).toEqual(['read', 'read', 'read', 'read']);
    expect(MachineRun.standingBy().wakeAt).toBe(15_000);
  });
});

describe('when the lease becomes free', () => {
  it('is woken by the release and attempts within the jitter', () => {
    const run = MachineRun.standingBy();
    run.random = 0.5;
    run.at(1_000).watch(representation(heldBy('x', RELEASED), 11));
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBeGreaterThan(1_000);
    expect(run.wakeAt).toBeLessThanOrEqual(1_010);
    expect(run.wake().request.purpose).toBe('acquire');
  });

  it('gives up an attempt that another candidate forestalls', () => {
    const run = MachineRun.standingBy();
    run.random = 0.9;
    run.at(1_000).watch(representation(heldBy('x', RELEASED), 11));
    run.at(1_001).watch(representation(heldBy('third'), 12));
    expect(run.at(1_010).tick().state.pending).toBeNull();
    expect(run.state.leader).toBe('third');
  });

  it('takes over at once from a holder that is proved dead', () => {
    const run = MachineRun.standingBy();
    run.at(500).say({
      kind: 'holder-died',
      timingKey: representation(heldBy('other'), 10).timingKey,
    });
    expect(run.request.purpose).toBe('acquire');
  });

  it('ignores the death of the holder of an earlier record', () => {
    const run = MachineRun.standingBy();
    run.watch(representation(heldBy('other', { renewTimeMicros: 9 }), 11));
    run.say({ kind: 'holder-died', timingKey: representation(heldBy('other'), 10).timingKey });
    expect(run.state.pending).toBeNull();
  });

  it('leaves it to the watch to tell who was faster, and reads only if it tells nothing', () => {
    const run = MachineRun.standingBy().at(15_000).tick().writes({ kind: 'conflict' });
    expect(run.state.pending).toBeNull();
    run.at(15_100).watch(representation(heldBy('third'), 12));
    expect(run.wakeAt).toBe(30_100);
    const silent = MachineRun.standingBy().at(15_000).tick().writes({ kind: 'conflict' }).wake();
    expect(silent.now).toBeLessThanOrEqual(15_000 + CONFIG.retryPeriodMs);
    expect(silent.request.purpose).toBe('read');
  });

  it('asks nothing when the watch has told of the faster one before the answer came', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    run.watch(representation(heldBy('third'), 12)).writes({ kind: 'conflict' });
    expect(run.wakeAt).toBe(30_000);
    expect(run.wake().request.purpose).toBe('acquire');
  });

  it('polls beside a watch that has missed a renewal, until it reports something', () => {
    const run = MachineRun.standingBy().at(15_000).tick().writes({ kind: 'conflict' }).wake();
    run.reads(representation(heldBy('other', { renewTimeMicros: 2 }), 12)).wake();
    expect(run.now).toBeLessThanOrEqual(15_000 + 2 * CONFIG.retryPeriodMs);
    expect(run.request.purpose).toBe('read');
    run.reads(representation(heldBy('other', { renewTimeMicros: 2 }), 12));
    const reported = run.now + 500;
    run.at(reported).watch(representation(heldBy('other', { renewTimeMicros: 3 }), 13));
    expect(run.wakeAt).toBe(reported + 15_000);
  });

  it('does not hammer: an own record seen after a conflict is no reason to try sooner', () => {
    const run = new MachineRun().start().reads(representation(heldBy('x', RELEASED), 7));
    const landed = run.written;
    run.writes({ kind: 'conflict' });
    run.reads(representation(landed, 8));
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBeGreaterThanOrEqual(0.8 * CONFIG.retryPeriodMs);
    expect(run.wake().written.leaseTransitions).toBe(6);
  });

  it('does not hammer: after a lost race the next attempt waits', () => {
    const run = new MachineRun().start().reads(representation(heldBy('x', RELEASED), 7));
    run.writes({ kind: 'conflict' }).reads(representation(heldBy('x', RELEASED), 7));
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBeGreaterThanOrEqual(0.8 * CONFIG.retryPeriodMs);
  });
});

describe('when a leader renews', () => {
  it('renews one retry period after the start of the last renewal, not after its answer', () => {
    const run = MachineRun.leading().at(2_000).tick().at(3_500).applied(11);
    expect(run.wakeAt).toBe(4_000);
  });

  it('counts validity from the start of the request', () => {
    const run = MachineRun.leading().at(2_000).tick().at(3_500).applied(11);
    expect(run.isLeader(11_999)).toBe(true);
    expect(run.isLeader(12_000)).toBe(false);
  });

  it('ends the term at the end of validity, before any answer that comes later', () => {
    const run = MachineRun.leading().at(9_000).tick();
    run.at(10_000).applied(11);
    expect(run.of('revoke')).toEqual([{ kind: 'revoke', term: 1, reason: 'renew-deadline' }]);
    expect(run.isLeader()).toBe(false);
  });

  // Found by the simulation: the end of validity, computed anew from the elapsed time, was a rounding error later.
  it.each([47_038.749, 21_800.709, 55_407.467])(
    'ends the term at the very instant at which isLeader() does, anchored at %d',
    (anchor) => {
      const run = new MachineRun().at(anchor).start().reads(null).applied(10);
      run.at(anchor + 10_000).tick();
      expect(run.isLeader()).toBe(false);
      expect(run.of('revoke')).toMatchObject([{ reason: 'renew-deadline' }]);
    },
  );

  it('writes a greater renew time every time, also when the wall clock stands still or goes back', () => {
    const run = MachineRun.leading();
    const first = run.of('request').at(-1)!.request as { record: LeaseRecord };
    run.at(2_000);
    run.now = 2_000;
    // The wall clock of this run is derived from `now`; the state knows a much later one.
    run.state = { ...run.state, lastRenewMicros: 9_000_000_000_000 };
    run.tick();
    expect(run.written.renewTimeMicros).toBe(9_000_000_000_001);
    expect(first.record.renewTimeMicros).toBeLessThan(9_000_000_000_001);
  });

  it('is conditioned on the last known version', () => {
    const run = MachineRun.leading().at(2_000).tick();
    expect(run.request).toMatchObject({
      request: { verb: 'replace', expected: { revision: 10n, uid: 'uid-1' } },
    });
  });

  it('keeps the term number, the token and the acquire time', () => {
    const run = MachineRun.leading().at(2_000).tick();
    expect(run.written).toMatchObject({
      leaseTransitions: 1,
      acquireTimeMicros: 1_000_000_000_000,
    });
    run.applied(11);
    expect(run.of('grant')).toEqual([{ kind: 'grant', term: 1, fencingToken: 10n }]);
  });

  it('treats an applied write with an unchanged revision as no renewal', () => {
    const run = MachineRun.leading().at(2_000).tick().applied(10);
    expect(run.in('leading').validUntil).toBe(10_000);
    expect(run.wakeAt).toBe(2_250);
  });

  it('bounds a request by what is left of validity', () => {
    const run = MachineRun.leading().at(9_500).tick();
    expect(run.request.timeoutMs).toBe(500);
  });

  it('counts the time that the machine slept', () => {
    const run = MachineRun.leading().at(1_000);
    run.suspendedMs = 9_000;
    run.tick();
    expect(run.of('revoke')).toHaveLength(1);
  });

  it('ignores differences between the clocks that are mere noise', () => {
    const run = MachineRun.leading().at(1_000);
    run.suspendedMs = 40;
    run.tick();
    expect(run.in('leading').validUntil).toBe(10_000);
  });
});

describe('when the outcome of a renewal is not known', () => {
  it.each([
    ['a conflict', { kind: 'conflict' } as const],
    ['silence', { kind: 'unknown', error: unclear } as const],
  ])('reads back at once after %s, and stays leader', (_name, outcome) => {
    const run = MachineRun.leading().at(2_000).tick().at(2_100).writes(outcome);
    expect(run.request.purpose).toBe('read');
    expect(run.isLeader()).toBe(true);
  });

  it('counts a write that turns out to have landed from its own start', () => {
    const run = MachineRun.leading().at(2_000).tick();
    const landed = representation(run.written, 11);
    run.at(5_000).writes({ kind: 'unknown', error: unclear }).at(5_100).reads(landed);
    expect(run.in('leading').validUntil).toBe(12_000);
  });

  it('extends nothing by a read of an older own record, and tries again after the back-off', () => {
    const run = MachineRun.leading();
    const own = run.state.observation!.lease!;
    run.at(2_000).tick().at(5_000).writes({ kind: 'unknown', error: unclear }).reads(own);
    expect(run.in('leading').validUntil).toBe(10_000);
    expect(run.wakeAt).toBe(5_250);
    expect(run.wake().request.purpose).toBe('renew');
  });

  it('tries to read again after the back-off while validity lasts', () => {
    const run = MachineRun.leading().at(2_000).tick().writes({ kind: 'unknown', error: unclear });
    run.reads({ kind: 'failed', error: unclear });
    expect(run.wakeAt).toBe(2_250);
    expect(run.wake().request.purpose).toBe('read');
  });

  it('takes an earlier own write, seen late, for its own', () => {
    const run = MachineRun.leading().at(2_000).tick();
    const first = representation(run.written, 11);
    run.at(3_000).writes({ kind: 'unknown', error: unclear });
    run.reads(representation(run.state.observation!.lease!.record, 10)).wake();
    run.writes({ kind: 'conflict' }).reads(first);
    expect(run.isLeader()).toBe(true);
    expect(run.of('revoke')).toEqual([]);
  });
});

describe('when the lease turns out to be someone else’s', () => {
  const other = (): LeaseRecord => heldBy('other', { leaseTransitions: 2 });
  it.each<[string, (run: MachineRun) => void, string]>([
    ['another holder', (run) => run.watch(representation(other(), 11)), 'superseded'],
    [
      'an emptied holder',
      (run) => run.watch(representation({ ...own(run), holderIdentity: '' }, 11)),
      'superseded',
    ],
    [
      'other transitions under our name',
      (run) => run.watch(representation({ ...own(run), leaseTransitions: 9 }, 11)),
      'superseded',
    ],
    [
      'another duration',
      (run) => run.watch(representation({ ...own(run), leaseDurationSeconds: 1 }, 11)),
      'superseded',
    ],
    [
      'times set to null',
      (run) => run.watch(representation({ ...own(run), renewTimeMicros: null }, 11)),
      'superseded',
    ],
    ['another uid', (run) => run.watch(representation(own(run), 11, 'uid-2')), 'lease-deleted'],
    ['a deletion', (run) => run.watch(null, 11n), 'lease-deleted'],
    [
      'an absent object on its renewal',
      (run) => run.at(2_000).tick().writes({ kind: 'absent' }),
      'lease-deleted',
    ],
    [
      'another holder on a read-back',
      (run) => run.at(2_000).tick().writes({ kind: 'conflict' }).reads(representation(other(), 11)),
      'superseded',
    ],
    [
      'nothing on a read-back',
      (run) => run.at(2_000).tick().writes({ kind: 'conflict' }).reads(null),
      'lease-deleted',
    ],
  ])('revokes at once on %s', (_name, happen, reason) => {
    const run = MachineRun.leading();
    happen(run);
    expect(run.isLeader()).toBe(false);
    expect(run.of('revoke')).toEqual([{ kind: 'revoke', term: 1, reason }]);
  });

  it('goes on leading over an edit of the metadata, on the new version', () => {
    const run = MachineRun.leading();
    run
      .watch(representation(own(run), 12))
      .at(2_000)
      .tick();
    expect(run.isLeader()).toBe(true);
    expect(run.request).toMatchObject({ request: { expected: { revision: 12n } } });
  });
});

describe('when the answer to an acquisition takes more than half of the renew deadline', () => {
  it('is made again instead of granted, as a renewal that takes as long would come too late', () => {
    const run = new MachineRun().start().reads(null).at(5_001).applied(10);
    expect(run.of('grant')).toEqual([]);
    expect(run.request).toMatchObject({
      purpose: 'acquire',
      request: { expected: { revision: 10n }, record: { leaseTransitions: 2 } },
    });
    expect(run.at(5_100).applied(11).isLeader()).toBe(true);
  });

  it('is granted at half of it', () => {
    const run = new MachineRun().start().reads(null).at(5_000).applied(10);
    expect(run.of('grant')).toHaveLength(1);
  });
});

describe('when the watch tells of a later holder before an acquisition is answered', () => {
  it.each([
    ['another holder', representation(heldBy('third'), 12)],
    ['an edit that empties the lease', representation(heldBy(''), 12)],
  ])('grants nothing: %s', (_what, later) => {
    const run = MachineRun.standingBy().at(15_000).tick();
    run.watch(later).at(15_100).applied(11);
    expect(run.of('grant')).toEqual([]);
    expect(run.isLeader()).toBe(false);
  });

  it('grants nothing when it tells of a deletion', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    run.watch(null, 12n).at(15_100).applied(11);
    expect(run.of('grant')).toEqual([]);
  });
});

describe('when the watch tells of an edit of the own record before the acquisition is answered', () => {
  it('begins no term on a promise that is not its own, and acquires again', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    const edited = { ...run.written, leaseDurationSeconds: 1 };
    const answered = run.written;
    run.at(15_010).watch(representation(edited, 12));
    run.writes({ kind: 'applied', stored: representation(answered, 11) });
    expect(run.of('grant')).toEqual([]);
    expect(run.request).toMatchObject({
      purpose: 'acquire',
      request: { expected: { revision: 12n } },
    });
  });
});

describe('when nothing works for hours', () => {
  it('never stops competing, at one attempt per retry period', () => {
    const run = MachineRun.standingBy().at(15_000).tick();
    const hour = 3_600_000;
    while (run.now < hour) {
      const { pending } = run.state;
      if (pending?.purpose === 'read') run.reads({ kind: 'failed', error: unreachable });
      else if (pending) run.writes({ kind: 'not-applied', error: unreachable });
      else run.wake();
    }
    const attempts = run.purposes.filter((purpose) => purpose === 'acquire').length;
    expect(attempts).toBeGreaterThanOrEqual((hour - 15_000) / CONFIG.retryPeriodMs - 1);
    // This one draws 0 each time; on average it is three quarters of a period.
    expect(attempts).toBeLessThanOrEqual(hour / (0.5 * CONFIG.retryPeriodMs) + 1);
  });

  it('renews whatever becomes of its watch', () => {
    const run = MachineRun.leading().say({ kind: 'watch-opened' });
    run.at(1_000).say({ kind: 'watch-interrupted' }).at(2_000).tick();
    expect(run.request.purpose).toBe('renew');
    expect(run.applied(11).in('leading').validUntil).toBe(12_000);
  });
});

describe('when the server refuses a renewal', () => {
  it('waits the usual period after a rejection', () => {
    const run = MachineRun.leading().at(2_000).tick().at(2_010);
    run.writes({ kind: 'not-applied', error: rejected() });
    expect(run.wakeAt).toBe(4_000);
    expect(run.of('failed')).toHaveLength(1);
  });

  it('tries again soon when the server cannot be reached', () => {
    const run = MachineRun.leading().at(2_000).tick().at(2_010);
    run.writes({ kind: 'not-applied', error: unreachable });
    expect(run.wakeAt).toBe(2_260);
  });

  it.each([
    [1_000, 4_000],
    [3_000, 5_000],
    [60_000, 7_000],
  ])(
    'obeys Retry-After of %d ms only as long as a whole request fits before the deadline',
    (asked, wakeAt) => {
      const run = MachineRun.leading().at(2_000).tick();
      run.writes({ kind: 'not-applied', error: rejected(asked) });
      expect(run.wakeAt).toBe(wakeAt);
    },
  );
});

describe('when a term has ended', () => {
  it('acquires nothing before the work of the term has ended', () => {
    const run = MachineRun.leading().watch(null, 11n).reads(null);
    while (run.now < 60_000) run.wake().reads(null);
    expect(run.purposes.filter((purpose) => purpose === 'acquire')).toHaveLength(1);
    run.say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('acquire');
  });

  it('counts a transition also when it acquires its own record again', () => {
    const run = MachineRun.leading();
    const lease = run.state.observation!.lease!;
    // Its renewals are lost until the term is over.
    run.at(9_000).tick();
    run.at(10_000).writes({ kind: 'not-applied', error: unreachable });
    run.say({ kind: 'drained', term: 1 }).reads(lease);
    expect(run.request.purpose).toBe('acquire');
    expect(run.written.leaseTransitions).toBe(2);
    expect(run.applied(12).of('grant').at(-1)).toMatchObject({ term: 2, fencingToken: 12n });
  });

  it('gives nothing for a success after the old validity, though it came in time for itself', () => {
    const run = MachineRun.leading().at(9_900).tick();
    run.at(10_500).applied(11);
    expect(run.of('grant')).toHaveLength(1);
    expect(run.isLeader()).toBe(false);
  });
});

describe('when hundreds of renewals fail within one term', () => {
  it.each<[string, WriteOutcome]>([
    ['refused', { kind: 'not-applied', error: unreachable }],
    ['of unknown outcome', { kind: 'unknown', error: unclear }],
  ])('leads to the end of validity, though they are %s', (_how, outcome) => {
    const config = { leaseDurationMs: 120_000, renewDeadlineMs: 80_000 };
    const run = new MachineRun(config).start().reads(null).applied(10);
    while (run.now < 79_000) {
      const { pending } = run.state;
      if (pending?.purpose === 'read') run.reads({ kind: 'failed', error: unreachable });
      else if (pending !== null) run.writes(outcome);
      else run.wake();
    }
    expect(run.of('revoke')).toEqual([]);
    expect(run.isLeader()).toBe(true);
    run.at(80_000).tick();
    expect(run.of('revoke')).toMatchObject([{ reason: 'renew-deadline' }]);
  });
});

describe('when leadership is given up on purpose', () => {
  it('ends the term at once and releases only after the work has drained', () => {
    const run = MachineRun.leading().at(1_000).withdraw('stepped-down', 5_000);
    expect(run.isLeader()).toBe(false);
    expect(run.of('revoke')).toMatchObject([{ reason: 'stepped-down' }]);
    expect(run.state.pending).toBeNull();
    run.at(1_500).say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('release');
    expect(run.written).toMatchObject({
      holderIdentity: '',
      leaseTransitions: 1,
      releasedTransitions: 1,
      leaseDurationSeconds: 1,
    });
    expect(run.applied(11).of('released')).toHaveLength(1);
  });

  it('goes on renewing while the work drains', () => {
    const run = MachineRun.leading().at(1_000).withdraw('stepped-down');
    run.at(2_000).tick();
    expect(run.request.purpose).toBe('renew');
    expect(run.applied(11).wakeAt).toBe(4_000);
  });

  it('gives a renewal its whole timeout though the old validity is over', () => {
    const run = MachineRun.leading().at(1_000).withdraw('stepped-down').at(9_900).tick();
    expect(run.request).toMatchObject({ purpose: 'renew', timeoutMs: CONFIG.requestTimeoutMs });
    run.at(11_000).applied(11).at(20_500).tick();
    expect(run.request.timeoutMs).toBe(500);
  });

  it('gives up a renewal that hangs when the drain has ended, one timeout later, and reads back', () => {
    const run = behindSlowServer().withdraw('stepped-down', 60_000);
    const renewal = run.at(run.now + 1_500).tick().request;
    expect(renewal.timeoutMs).toBeGreaterThan(CONFIG.requestTimeoutMs);
    const drainedAt = run.now + 100;
    run.at(drainedAt).say({ kind: 'drained', term: 1 });
    expect(run.wakeAt).toBe(drainedAt + CONFIG.requestTimeoutMs);
    const before = run.state.observation!.lease!;
    run.wake();
    expect(run.of('abandon-request')).toEqual([{ kind: 'abandon-request', id: renewal.id }]);
    expect(run.request.purpose).toBe('read');
    run.reads(before);
    if (run.state.pending === null) run.wake();
    expect(run.request.purpose).toBe('release');
  });

  it('does not release when the work outlasts the drain timeout, and says so', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 1_500 }).at(100).withdraw('stepped-down');
    run.at(1_600).tick();
    expect(run.of('failed').map(({ error }) => error.code)).toEqual(['ERR_DRAIN_TIMEOUT']);
    run.at(60_000).tick();
    expect(run.purposes).not.toContain('release');
    expect(run.purposes.filter((purpose) => purpose === 'acquire')).toHaveLength(1);
  });

  it('releases with a drain timeout of 0 when there is nothing to drain', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 0 }).at(1_000).withdraw('stepped-down');
    run.say({ kind: 'drained', term: 1 });
    expect(run.of('failed')).toEqual([]);
    expect(run.request.purpose).toBe('release');
  });

  it('stands again after the cool-down and not before', () => {
    const run = MachineRun.leading().withdraw('stepped-down', 5_000);
    run.say({ kind: 'drained', term: 1 }).applied(11);
    run.say({ kind: 'watch-opened' });
    run.reads(run.state.observation!.lease);
    expect(run.wakeAt).toBe(5_000);
    expect(run.wake().request.purpose).toBe('acquire');
  });

  it('counts the cool-down from the end of the work, as nobody can take the lease before', () => {
    const run = MachineRun.leading().withdraw('stepped-down', 5_000);
    run.at(2_000).tick().applied(11).at(3_500).say({ kind: 'drained', term: 1 }).applied(12);
    run.say({ kind: 'watch-opened' });
    run.reads(run.state.observation!.lease);
    expect(run.wakeAt).toBe(8_500);
  });

  it.each<[string, (run: MachineRun) => MachineRun]>([
    [
      'while the work drains',
      (run) => run.withdraw('suspended').at(10_000).say({ kind: 'drained', term: 1 }),
    ],
    [
      'after the work has drained',
      (run) => run.at(10_000).say({ kind: 'drained', term: 1 }).withdraw('suspended'),
    ],
  ])('keeps the cool-down of a step-down over a suspension %s', (_when, suspend) => {
    const run = MachineRun.leading().withdraw('stepped-down', 60_000);
    suspend(run.at(1_000)).say({ kind: 'resume' });
    expect(run.state.contendNotBefore).toBe(70_000);
  });

  it('does not begin a cool-down again that is over when it is suspended', () => {
    const run = MachineRun.leading().withdraw('stepped-down', 60_000);
    run.say({ kind: 'drained', term: 1 }).applied(11);
    run.at(90_000).withdraw('suspended').say({ kind: 'resume' });
    expect(run.state.contendNotBefore).toBeLessThanOrEqual(90_000);
  });

  it('acquires once per retry period at most, however short the terms are made', () => {
    const run = MachineRun.leading().at(10).withdraw('stepped-down', 0);
    run.say({ kind: 'drained', term: 1 }).applied(11);
    run.say({ kind: 'watch-opened' });
    run.reads(run.state.observation!.lease);
    expect(run.wakeAt).toBe(2_000);
  });

  it('follows but does not stand while suspended, and stands again on resume', () => {
    const run = MachineRun.leading().withdraw('suspended').say({ kind: 'drained', term: 1 });
    run.applied(11).at(30_000).tick();
    expect(run.request.purpose).toBe('read');
    run.reads(run.state.observation!.lease).say({ kind: 'resume' });
    expect(run.request.purpose).toBe('acquire');
  });

  it('lets go of a lease that an acquisition brought after it had stopped standing', () => {
    const run = new MachineRun().start().reads(null).withdraw('suspended').applied(10);
    expect(run.of('grant')).toEqual([]);
    expect(run.request.purpose).toBe('release');
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: null });
  });
});

describe('when a release was sent', () => {
  const releasing = (): MachineRun =>
    MachineRun.leading().withdraw('stepped-down', 60_000).say({ kind: 'drained', term: 1 });

  it('never leads again by the old term, whatever becomes of the release', () => {
    const run = releasing().writes({ kind: 'not-applied', error: unreachable });
    expect(run.isLeader(1)).toBe(false);
    expect(run.of('grant')).toHaveLength(1);
  });

  it.each([
    ['a conflict', { kind: 'conflict' } as const],
    ['silence', { kind: 'unknown', error: unclear } as const],
  ])('reads after %s and writes again only if the lease still is its own', (_name, outcome) => {
    const run = releasing();
    const before = run.state.observation!.lease!;
    run.writes(outcome);
    expect(run.request.purpose).toBe('read');
    run.reads(before).wake();
    expect(run.now).toBe(250);
    expect(run.request.purpose).toBe('release');
  });

  it('goes on at once when the read-back shows a renewal that was under way', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 0 }).at(2_000).tick();
    const renewed = representation(run.written, 11);
    run.withdraw('stepped-down').say({ kind: 'drained', term: 1 });
    run.writes({ kind: 'unknown', error: unclear }).reads(renewed);
    expect(run.request.purpose).toBe('release');
  });

  it('leaves a successor’s lease alone', () => {
    const run = releasing().writes({ kind: 'unknown', error: unclear });
    run.reads(representation(heldBy('next', { leaseTransitions: 2 }), 12));
    run.at(1_000).tick();
    expect(run.purposes.filter((purpose) => purpose === 'release')).toHaveLength(1);
  });

  it('recognises its own release when only the read-back shows it', () => {
    const run = releasing();
    const released = representation(run.written, 11);
    run.writes({ kind: 'unknown', error: unclear }).reads(released);
    expect(run.of('released')).toHaveLength(1);
    expect(run.state.tenure).toBeNull();
  });

  it('gives up after two request timeouts and lets the lease lapse', () => {
    const run = releasing();
    while (run.now < 6_000) {
      if (run.state.pending) run.writes({ kind: 'not-applied', error: unreachable });
      else run.wake();
    }
    expect(run.state.tenure).toBeNull();
    run.at(14_000).tick();
    expect(run.purposes.at(-1)).not.toBe('release');
  });
});

describe('when the application shuts down', () => {
  it('renews no more once the drain timeout has passed, and still releases when told to finish', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 3_000 }).withdraw('shutdown');
    run.say({ kind: 'drained', term: 1 }).at(2_000).tick().applied(11).at(4_000).tick();
    expect(run.state.pending).toBeNull();
    run.say({ kind: 'finish' });
    expect(run.request.purpose).toBe('release');
  });

  it('lets a slow server use what is left of the drain timeout, but no more', () => {
    const closing = (drainTimeoutMs: number): MachineRun => {
      const run = behindSlowServer({ drainTimeoutMs }).withdraw('shutdown');
      return run.say({ kind: 'drained', term: 1 }).say({ kind: 'finish' });
    };
    const started = closing(20_000).now;
    const untilStopped = (run: MachineRun): number => {
      while (run.of('stop').length === 0) run.wake();
      return run.now - started;
    };
    expect(untilStopped(closing(20_000))).toBe(2 * 1.5 * 4_000);
    expect(untilStopped(closing(1_000))).toBe(1_000 + 2 * CONFIG.requestTimeoutMs);
    expect(untilStopped(closing(0))).toBe(2 * CONFIG.requestTimeoutMs);
  });

  it('keeps the lease until it is told to finish, then releases and stops', () => {
    const run = MachineRun.leading().withdraw('shutdown').say({ kind: 'drained', term: 1 });
    expect(run.purposes).not.toContain('release');
    run.at(2_000).tick();
    expect(run.request.purpose).toBe('renew');
    run.applied(11).say({ kind: 'finish' });
    expect(run.request.purpose).toBe('release');
    expect(run.applied(12).of('stop')).toHaveLength(1);
    expect(run.wakeAt).toBe(Infinity);
  });

  it('says in a late release that the work has ended, if it has before the application is gone', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 1_500 }).at(100).withdraw('shutdown');
    run.at(1_600).tick();
    expect(run.of('failed').map(({ error }) => error.code)).toEqual(['ERR_DRAIN_TIMEOUT']);
    run.at(4_000).say({ kind: 'drained', term: 1 }).at(5_000).say({ kind: 'finish' });
    if (run.request.purpose === 'read') run.reads(run.state.observation!.lease);
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: 1 });
  });

  it('does not release while work of the term still runs', () => {
    const run = MachineRun.leading().withdraw('shutdown').say({ kind: 'finish' });
    expect(run.purposes).not.toContain('release');
    expect(run.of('stop')).toHaveLength(1);
    expect(run.of('failed')).toHaveLength(1);
  });

  it('does not release when told not to', () => {
    const run = MachineRun.leading({ releaseOnShutdown: false }).withdraw('shutdown');
    run.say({ kind: 'drained', term: 1 }).say({ kind: 'finish' });
    expect(run.purposes).not.toContain('release');
    expect(run.of('stop')).toHaveLength(1);
  });

  it('stops at once as a standby, even with a read under way', () => {
    const run = new MachineRun().start().withdraw('shutdown').say({ kind: 'finish' });
    expect(run.of('abandon-request')).toHaveLength(1);
    expect(run.of('stop')).toHaveLength(1);
  });

  it('waits for an acquisition under way and gives the lease back', () => {
    const run = new MachineRun().start().reads(null).withdraw('shutdown').say({ kind: 'finish' });
    expect(run.of('stop')).toHaveLength(0);
    run.applied(10);
    expect(run.of('grant')).toEqual([]);
    expect(run.request.purpose).toBe('release');
    expect(run.applied(11).of('stop')).toHaveLength(1);
  });

  it('reads back an acquisition of unknown outcome and gives the lease back if it landed', () => {
    const run = new MachineRun().start().reads(null).withdraw('shutdown').say({ kind: 'finish' });
    const landed = representation(run.written, 10);
    run.writes({ kind: 'unknown', error: unclear });
    while (run.state.pending === null) run.wake();
    run.reads(landed);
    expect(run.request.purpose).toBe('release');
    expect(run.applied(11).of('stop')).toHaveLength(1);
  });

  it('does so within its time, however long the retry period is', () => {
    const run = new MachineRun({ retryPeriodMs: 60_000 }).start().reads(null);
    const landed = representation(run.written, 10);
    run.at(100).withdraw('shutdown').writes({ kind: 'unknown', error: unclear });
    run.say({ kind: 'finish' }).reads({ kind: 'failed', error: unclear }).wake().reads(landed);
    while (run.state.pending === null) run.wake();
    expect(run.request.purpose).toBe('release');
    expect(run.now).toBeLessThan(2 * CONFIG.requestTimeoutMs);
  });

  it('stops within two request timeouts though nothing is ever answered', () => {
    const run = MachineRun.leading().withdraw('shutdown').say({ kind: 'drained', term: 1 });
    run.say({ kind: 'finish' });
    run.at(2 * CONFIG.requestTimeoutMs).tick();
    expect(run.of('abandon-request')).toHaveLength(1);
    expect(run.of('stop')).toHaveLength(1);
  });

  it('does nothing any more after it has stopped', () => {
    const run = new MachineRun().start().withdraw('shutdown').say({ kind: 'finish' });
    const before = run.effects.length;
    run.watch(null, 50n).say({ kind: 'resume' }).start().tick();
    expect(run.effects).toHaveLength(before);
  });
});

describe('when strict', () => {
  const strict = { strict: true };

  it.each<[string, (run: MachineRun) => void]>([
    ['a missing lease', (run) => void run.reads(null)],
    [
      'a lease emptied by hand',
      (run) => void run.reads(representation(heldBy('', { releasedTransitions: 3 }), 7)),
    ],
  ])('holds %s for one lease duration before it leads', (_name, read) => {
    const run = new MachineRun(strict).start();
    read(run);
    run.applied(10);
    expect(run.isLeader()).toBe(false);
    expect(run.of('settling')).toHaveLength(1);
    keepRenewing(run, 14_999);
    expect(run.of('grant')).toEqual([]);
    keepRenewing(run, 15_000);
    expect(run.isLeader()).toBe(true);
    expect(run.of('grant')).toHaveLength(1);
  });

  it.each<[string, Partial<LeaseRecord>]>([
    ['our marker', RELEASED],
    [
      'the shape of client-go’s release',
      {
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTimeMicros: 77,
        renewTimeMicros: 77,
      },
    ],
  ])('leads at once after a release with %s', (_name, change) => {
    const run = new MachineRun(strict).start().reads(representation(heldBy('x', change), 7));
    expect(run.applied(10).isLeader()).toBe(true);
  });

  it('settles as long as the former holder’s lease, if that is longer', () => {
    const record = heldBy('', { leaseDurationSeconds: 40 });
    const run = new MachineRun(strict).start().reads(representation(record, 7)).applied(10);
    expect(run.of('settling')).toMatchObject([{ settleMs: 40_000 }]);
  });

  it('leaves no mark of a clean release when it stops while settling', () => {
    const run = new MachineRun(strict).start().reads(null).applied(10).at(1_000);
    run.withdraw('shutdown').say({ kind: 'finish' });
    expect(run.request.purpose).toBe('release');
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: null });
    expect(run.written.acquireTimeMicros).not.toBe(run.written.renewTimeMicros);
  });

  it.each<[string, (run: MachineRun) => void]>([
    ['is applied', (run) => void run.applied(11)],
    [
      'makes no new version',
      (run) => void run.writes({ kind: 'applied', stored: run.state.observation!.lease! }),
    ],
    ['is refused', (run) => void run.writes({ kind: 'not-applied', error: rejected(3_600_000) })],
    ['cannot be sent', (run) => void run.writes({ kind: 'not-applied', error: unreachable })],
  ])('lets go at once when it is withdrawn while settling and a renewal %s', (_name, answer) => {
    const run = new MachineRun(strict).start().reads(null).applied(10).at(2_000).tick();
    run.at(2_100).withdraw('suspended').at(2_200);
    answer(run);
    expect([run.request.purpose, run.now]).toEqual(['release', 2_200]);
    expect(run.written.releasedTransitions).toBeNull();
  });

  it('gives up a renewal that hangs when it is withdrawn while settling, one timeout later', () => {
    const run = new MachineRun({ ...strict, leaseDurationMs: 60_000, renewDeadlineMs: 40_000 });
    run.start().reads(null).at(4_000).applied(10).tick();
    run.at(10_000).applied(11);
    expect(run.request).toMatchObject({ purpose: 'renew', timeoutMs: 12_000 });
    run.withdraw('suspended').wake();
    expect(run.now).toBe(13_000);
    expect(run.of('abandon-request')).toHaveLength(1);
  });

  it.each([6_000.0057, 6_000.0247])(
    'grants nothing at the very instant at which validity ends, anchored at %d',
    (anchor) => {
      const run = new MachineRun(strict).start().reads(null).applied(10).at(anchor).tick();
      run
        .applied(11)
        .at(anchor + 2_000)
        .tick();
      run.at(anchor + 10_000).writes({ kind: 'unknown', error: unclear });
      expect(run.of('grant')).toEqual([]);
    },
  );

  it('tells nobody of a loss while settling, as nothing was granted', () => {
    const run = new MachineRun(strict).start().reads(null).applied(10).watch(null, 11n);
    expect(run.of('revoke')).toEqual([]);
  });
});

describe('when others ask who leads', () => {
  it('names the holder of a live foreign lease until it runs out on this clock', () => {
    const run = MachineRun.standingBy();
    expect(run.state.leader).toBe('other');
    run.at(15_000).tick();
    expect(run.state.leader).toBeUndefined();
  });

  it('names itself while it leads and nobody once it drains', () => {
    const run = MachineRun.leading();
    expect(run.state.leader).toBe('me');
    expect(run.withdraw('stepped-down').state.leader).toBeUndefined();
  });
});

/** A leader whose renewals were answered after 4 s, which calls for a timeout of 6 s; the next is due in 1.5 s. */
function behindSlowServer(change: Parameters<typeof MachineRun.leading>[0] = {}): MachineRun {
  const run = MachineRun.leading({
    leaseDurationMs: 60_000,
    renewDeadlineMs: 40_000,
    retryPeriodMs: 5_500,
    ...change,
  });
  for (let revision = 11; revision < 19; revision++) {
    run.wake();
    run.at(run.now + 4_000).applied(revision);
  }
  return run;
}

/** Lets every renewal succeed at once until the given instant. */
function keepRenewing(run: MachineRun, until: number): void {
  for (let revision = 1_000 + run.now; run.wakeAt <= until; revision++) {
    run.wake();
    if (run.state.pending) run.applied(revision);
  }
  run.at(until).tick();
  if (run.state.pending) run.applied(1_000_000 + until);
}

function own(run: MachineRun): LeaseRecord {
  return run.state.observation!.lease!.record;
}
