import { describe, expect, it } from '@jest/globals';
import type { GivenUp, LeaseRecord } from '../../lib/core/lease-record.js';
import { gaveUpOf } from '../../lib/core/lease-record.js';
import { restsUntil } from '../../lib/core/resting.js';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';

const ME = { memberUid: 'uid-me' };

const marked = (transitions: number, change: Partial<GivenUp> = {}): GivenUp => ({
  transitions,
  uid: 'uid-x',
  count: 1,
  ...change,
});

/** The release of term 4 by a member that has given up. */
function givenUp(gaveUp: GivenUp | undefined, change: Partial<LeaseRecord> = {}): LeaseRecord {
  return heldBy('', { releasedTransitions: 4, leaseDurationSeconds: 1, gaveUp, ...change });
}

function heard(record: LeaseRecord): MachineRun {
  const run = MachineRun.standingBy(ME);
  run.random = 0.5;
  return run.at(1_000).watch(representation(record, 11));
}

/** A leader in its first term that gives up for this reason at 500 and whose work has ended. */
function gavesUp(reason: 'stepped-down' | 'handler-failed', change = ME): MachineRun {
  return MachineRun.leading(change).at(500).withdraw(reason).say({ kind: 'drained', term: 1 });
}

describe('when a member gives up as a handler failed', () => {
  it('says so on its release, for that term', () => {
    expect(gavesUp('handler-failed').written).toMatchObject({
      holderIdentity: '',
      gaveUp: { transitions: 1, uid: 'uid-me', count: 1 },
    });
  });

  it('says so on the renewals while its work ends, as a release may never come', () => {
    const run = MachineRun.leading(ME).at(500).withdraw('handler-failed').at(2_000).tick();
    expect(run.request.purpose).toBe('renew');
    expect(run.written.gaveUp).toEqual({ transitions: 1, uid: 'uid-me', count: 1 });
  });

  it('counts how often it has', () => {
    const run = gavesUp('handler-failed').applied(11).at(20_000).tick().applied(12);
    expect(run.isLeader()).toBe(true);
    run.withdraw('handler-failed').say({ kind: 'drained', term: 2 });
    expect(run.written.gaveUp).toEqual({ transitions: 2, uid: 'uid-me', count: 2 });
  });

  it('says it of the present term though a renewal that was under way still says it of the one before', () => {
    const run = gavesUp('handler-failed').applied(11).at(20_000).tick().applied(12);
    run.at(22_000).tick();
    expect(run.written.gaveUp).toMatchObject({ transitions: 1 });
    run.withdraw('handler-failed').say({ kind: 'drained', term: 2 }).applied(13);
    expect(run.request.purpose).toBe('release');
    expect(run.written.gaveUp).toEqual({ transitions: 2, uid: 'uid-me', count: 2 });
  });

  it('says nothing where it is no known member', () => {
    expect(gavesUp('handler-failed', {} as typeof ME).written.gaveUp).toBeUndefined();
  });
});

describe('when a member gives up as it is ineligible', () => {
  it('says so on its release', () => {
    const run = MachineRun.leading(ME).at(1_000);
    run.say({ kind: 'eligibility', isEligible: false, mayHandOver: true });
    run.at(2_000).tick().applied(11).at(4_000).tick().applied(12).at(6_000).tick().applied(13);
    run.say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('release');
    expect(run.written.gaveUp).toEqual({ transitions: 1, uid: 'uid-me', count: 1 });
  });
});

describe('when a member ends its term for another reason', () => {
  it('does not rest', () => {
    const run = gavesUp('stepped-down');
    expect(run.written.gaveUp).toBeUndefined();
    expect(run.state.resting).toEqual([]);
  });
});

describe('when a release says that its member has given up', () => {
  const resting = [{ transitions: 4, uid: 'uid-x', count: 1, since: 1_000 }];

  it('is remembered by all who see it, from when they do', () => {
    expect(heard(givenUp(marked(4))).state.resting).toEqual(resting);
  });

  it('is written on by the next holder in all of its term, for those who start or poll', () => {
    const run = heard(givenUp(marked(4))).wake();
    expect(run.request.purpose).toBe('acquire');
    expect(run.written).toMatchObject({ leaseTransitions: 5, gaveUp: marked(4) });
    run.applied(12).at(3_100).tick();
    expect(run.request.purpose).toBe('renew');
    expect(run.written.gaveUp).toEqual(marked(4));
  });

  it('is written no more in the term after that', () => {
    const record = givenUp(marked(4), { leaseTransitions: 5, releasedTransitions: 5 });
    const run = heard(record).wake();
    expect(run.written.leaseTransitions).toBe(6);
    expect(run.written.gaveUp).toBeUndefined();
  });

  it('is heard of by a process that starts in the next term', () => {
    const record = heldBy('other', { leaseTransitions: 5, gaveUp: marked(4) });
    const run = new MachineRun(ME).at(7_000).start().reads(representation(record, 7));
    expect(run.state.resting).toEqual([{ ...resting[0], since: 7_000 }]);
  });

  it('counts once, however often it is read', () => {
    const run = heard(givenUp(marked(4)));
    run
      .at(1_001)
      .watch(representation(heldBy('y', { leaseTransitions: 5, gaveUp: marked(4) }), 12));
    run
      .at(9_000)
      .watch(
        representation(
          heldBy('y', { leaseTransitions: 5, gaveUp: marked(4), renewTimeMicros: 9 }),
          13,
        ),
      );
    expect(run.state.resting).toEqual(resting);
  });

  it('begins again when the member gives up again', () => {
    const run = heard(givenUp(marked(4)));
    const again = marked(6, { count: 2 });
    run
      .at(9_000)
      .watch(representation(givenUp(again, { leaseTransitions: 6, releasedTransitions: 6 }), 13));
    expect(run.state.resting).toEqual([{ ...again, since: 9_000 }]);
  });

  it.each([
    ['two terms ago, and the mark was kept by a client that does not know it', marked(2)],
    ['in a term that has not been', marked(5)],
  ])('counts for nothing where that was %s', (_, gaveUp) => {
    expect(gaveUpOf(givenUp(gaveUp))).toBeUndefined();
    expect(heard(givenUp(gaveUp)).state.resting).toEqual([]);
  });

  it('neither stops nor starts a candidate: it changes who is a target and nothing else', () => {
    const run = heard(givenUp(marked(4, { uid: 'uid-me' })));
    expect(run.wakeAt).toBe(heard(givenUp(undefined)).wakeAt);
    expect(run.wake().request.purpose).toBe('acquire');
  });
});

describe('when the clock of a restored process shows less', () => {
  it('begins every rest again, as nothing is known of the time between', () => {
    const run = heard(givenUp(marked(4)));
    run.at(200).tick();
    expect(run.state.resting).toEqual([{ ...marked(4), since: 200 }]);
  });
});

describe('when a member rests', () => {
  it.each([
    ['ten cool-downs the first time', 1, 300_000],
    ['twice as long the second time', 2, 600_000],
    ['and the third', 3, 1_200_000],
    ['a day at most', 10, 86_400_000],
    ['a day at most, whatever was written by hand', 99, 86_400_000],
  ])('does so for %s', (_, count, restMs) => {
    expect(restsUntil({ since: 5_000, count }, 30_000)).toBe(5_000 + restMs);
  });
});
