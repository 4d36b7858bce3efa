import { describe, expect, it } from '@jest/globals';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import { type LeaseRecord, successorOf } from '../../lib/core/lease-record.js';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';

const ME = { memberUid: 'uid-me' };

/** A release of term 4 that names this member. */
function directed(uid: string, change: Partial<LeaseRecord> = {}): LeaseRecord {
  return heldBy('', {
    releasedTransitions: 4,
    successor: { transitions: 4, uid },
    leaseDurationSeconds: 1,
    ...change,
  });
}

/** A standby with a watch that hears of such a release at 1,000, and has drawn the middle of its window of 10 ms. */
function heard(record: LeaseRecord, change: Partial<ElectionConfig> = ME): MachineRun {
  const run = MachineRun.standingBy(change);
  run.random = 0.5;
  return run.at(1_000).watch(representation(record, 11));
}

/** A leader in its first term that has been told whom to name, and gives up. */
function released(uid: string | null, change: Partial<ElectionConfig> = ME): MachineRun {
  const run = MachineRun.leading(change).say({ kind: 'successor-chosen', uid });
  return run.at(500).withdraw('stepped-down').say({ kind: 'drained', term: 1 });
}

describe('when a release names this member', () => {
  it('acquires at once', () => {
    const run = heard(directed('uid-me'));
    expect(run.now).toBe(1_000);
    expect(run.request.purpose).toBe('acquire');
  });

  it('takes the name off, writes which member it is and leaves the number of candidates', () => {
    const run = heard(directed('uid-me', { crowd: { candidates: 90, stepMs: 8 } }));
    expect(run.written.successor).toBeUndefined();
    expect(run.written).toMatchObject({
      memberUid: 'uid-me',
      crowd: { candidates: 90, stepMs: 8 },
    });
  });

  it('does not acquire while it does not compete', () => {
    const run = MachineRun.standingBy(ME).withdraw('suspended');
    run.at(1_000).watch(representation(directed('uid-me'), 11));
    expect(run.at(20_000).tick().state.pending).toBeNull();
  });

  it('does not acquire beside the work of its own last term', () => {
    const run = MachineRun.leading(ME).withdraw('stepped-down').at(500);
    const named = representation(directed('uid-me'), 12);
    run.watch(named).reads(named).at(3_000).tick().reads(named);
    expect(run.purposes.filter((purpose) => purpose === 'acquire')).toHaveLength(1);
    expect(run.say({ kind: 'drained', term: 1 }).request.purpose).toBe('acquire');
  });

  it('does not acquire while it cools down', () => {
    const run = MachineRun.leading(ME).withdraw('stepped-down', 9_000);
    run.say({ kind: 'drained', term: 1 }).applied(11).say({ kind: 'watch-opened' });
    run.at(500).reads(representation(directed('uid-me'), 12));
    expect(run.state.pending).toBeNull();
    expect(run.wake().now).toBe(9_000);
  });
});

describe('when a term begins', () => {
  it.each([
    ['by a release that names this member', 'uid-me', true],
    ['by one that names another, who did not come', 'uid-x', false],
  ])('knows whether it was named: %s', (_, uid, wasNamed) => {
    const run = heard(directed(uid));
    if (run.state.pending === null) run.wake();
    run.applied(12);
    expect(run.isLeader()).toBe(true);
    expect(run.state.wasNamed).toBe(wasNamed);
  });
});

describe('when a release names another member', () => {
  it('holds back for a second and then waits for its share of the window', () => {
    expect(heard(directed('uid-x')).wakeAt).toBe(2_005);
  });

  it.each([
    ['twice the step of the record, where steps are slow', 800, 2_000, 2_600],
    ['a retry period at most', 5_000, 2_000, 3_000],
    ['a retry period, where that is less than a second', 4, 400, 1_400],
  ])('holds back for %s', (_, stepMs, retryPeriodMs, startsAt) => {
    const record = directed('uid-x', { crowd: { candidates: 1, stepMs } });
    const run = heard(record, { ...ME, retryPeriodMs, requestTimeoutMs: 1_000 });
    const windowMs = Math.min(5_000, Math.max(10, stepMs / 2));
    expect(run.wakeAt).toBe(startsAt + windowMs / 2);
  });

  it('holds back though it has no member uid of its own', () => {
    expect(heard(directed('uid-x'), {}).wakeAt).toBe(2_005);
  });

  it('holds back though it polls', () => {
    const run = new MachineRun(ME).start().reads(representation(directed('uid-x'), 7));
    expect(run.state.pending).toBeNull();
    expect(run.at(1_000).tick().request.purpose).toBe('acquire');
  });

  it('leaves the number of candidates, as its wait says nothing about them', () => {
    const crowd = { candidates: 90, stepMs: 8 };
    const run = heard(directed('uid-x', { crowd })).wake();
    expect(run.written.crowd).toEqual(crowd);
    expect(run.written.successor).toBeUndefined();
  });

  it('does not hold back again when the name is edited', () => {
    const run = heard(directed('uid-x'));
    run.at(1_800).watch(representation(directed('uid-y'), 12));
    expect(run.wakeAt).toBe(2_005);
  });

  it('acquires at once when an edit takes the name off after the window has begun', () => {
    const run = heard(directed('uid-x'));
    run.at(1_800).watch(representation(directed('uid-x', { successor: undefined }), 12));
    expect(run.request.purpose).toBe('acquire');
  });
});

describe('when a name stands on a record that is not the release of its term', () => {
  it.each<[string, Partial<LeaseRecord>]>([
    ['it was kept by a client that does not know it', { leaseTransitions: 5 }],
    ['the release is not marked as clean', { releasedTransitions: null }],
    ['the mark of an earlier release was kept', { releasedTransitions: 3 }],
    ['somebody holds the lease', { holderIdentity: 'other' }],
  ])('names nobody: %s', (_, change) => {
    expect(successorOf(directed('uid-me', change))).toBeUndefined();
  });

  it('is an ordinary release to others, though its name was written in an earlier term', () => {
    // client-go keeps annotations; its release has its own shape.
    const kept = directed('uid-x', { leaseTransitions: 12, acquireTimeMicros: 1 });
    expect(heard(kept).wakeAt).toBe(1_005);
  });
});

describe('when a leader lets go and has been told whom to name', () => {
  it('names it on the release, for that term', () => {
    expect(released('uid-x').written).toMatchObject({
      holderIdentity: '',
      releasedTransitions: 1,
      successor: { transitions: 1, uid: 'uid-x' },
    });
  });

  it('names nobody if it was told so in the end', () => {
    expect(released(null).written.successor).toBeUndefined();
  });

  it('does not name itself', () => {
    expect(released('uid-me').written.successor).toBeUndefined();
  });

  it('may be told while the work of the term still ends', () => {
    const run = MachineRun.leading(ME).at(500).withdraw('stepped-down');
    run.say({ kind: 'successor-chosen', uid: 'uid-x' }).say({ kind: 'drained', term: 1 });
    expect(run.written.successor?.uid).toBe('uid-x');
  });

  it('writes no name on a renewal, not even while it drains, so that the last write alone has one', () => {
    const run = MachineRun.leading(ME).say({ kind: 'successor-chosen', uid: 'uid-x' });
    run.wake();
    expect(run.written.successor).toBeUndefined();
    run.applied(11).withdraw('shutdown').wake();
    expect(run.request.purpose).toBe('renew');
    expect(run.written.successor).toBeUndefined();
    run.applied(12).say({ kind: 'drained', term: 1 }).say({ kind: 'finish' });
    expect(run.request.purpose).toBe('release');
    expect(run.written.successor?.uid).toBe('uid-x');
  });

  it('names nobody when it gives back a lease that was never granted', () => {
    const run = new MachineRun({ ...ME, strict: true }).start().reads(null).applied(10);
    run.say({ kind: 'successor-chosen', uid: 'uid-x' }).withdraw('stepped-down');
    expect(run.in('releasing').wasGranted).toBe(false);
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: null });
    expect(run.written.successor).toBeUndefined();
  });

  it('forgets in its next term whom it was told in the last', () => {
    const run = released('uid-x').applied(11);
    run.at(20_000).tick().applied(12);
    expect(run.isLeader()).toBe(true);
    run.withdraw('stepped-down').say({ kind: 'drained', term: 2 });
    expect(run.written.successor).toBeUndefined();
  });

  it('stands back for two seconds longer than the others', () => {
    const run = released('uid-x').applied(11).say({ kind: 'watch-opened' });
    run.reads(
      representation(
        directed('uid-x', {
          leaseTransitions: 1,
          releasedTransitions: 1,
          successor: { transitions: 1, uid: 'uid-x' },
        }),
        12,
      ),
    );
    run.at(3_499).tick();
    expect(run.state.pending).toBeNull();
    expect(run.at(3_500).tick().request.purpose).toBe('acquire');
  });
});

describe('when a release has named somebody', () => {
  const followedBy = (run: MachineRun, change: Partial<LeaseRecord> = {}): MachineRun =>
    run.watch(representation(heldBy('third', { leaseTransitions: 5, ...change }), 12));

  it('counts it as named in vain when another one acquires, and says so', () => {
    const run = followedBy(heard(directed('uid-x')), { memberUid: 'uid-third' });
    expect(run.state.namedInVain).toEqual(['uid-x']);
    expect(run.of('named-in-vain')).toEqual([
      { kind: 'named-in-vain', uid: 'uid-x', leader: 'third' },
    ]);
  });

  it('does not when it acquires', () => {
    const run = followedBy(heard(directed('uid-x')), { memberUid: 'uid-x' });
    expect(run.state.namedInVain).toEqual([]);
  });

  it('does not when there was a term in between, of which it saw nothing', () => {
    const run = followedBy(heard(directed('uid-x')), { leaseTransitions: 6 });
    expect(run.state.namedInVain).toEqual([]);
  });

  it('counts it when this process itself acquires in its place', () => {
    const run = heard(directed('uid-x')).wake().applied(12);
    expect(run.isLeader()).toBe(true);
    expect(run.state.namedInVain).toEqual(['uid-x']);
  });

  it('does not name it again before it has led', () => {
    const run = heard(directed('uid-x')).wake().applied(12);
    run.say({ kind: 'successor-chosen', uid: 'uid-x' }).withdraw('stepped-down');
    run.say({ kind: 'drained', term: 5 });
    expect(run.written.successor).toBeUndefined();
  });

  it('forgets it when it is seen to lead', () => {
    const run = followedBy(heard(directed('uid-x')));
    run.watch(representation(heldBy('x', { leaseTransitions: 6, memberUid: 'uid-x' }), 13));
    expect(run.state.namedInVain).toEqual([]);
    run.at(60_000).tick().applied(14).say({ kind: 'successor-chosen', uid: 'uid-x' });
    run.withdraw('stepped-down').say({ kind: 'drained', term: 7 });
    expect(run.written.successor?.uid).toBe('uid-x');
  });
});
