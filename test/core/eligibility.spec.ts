import { describe, expect, it } from '@jest/globals';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';

const RELEASED: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 4 };

function report(run: MachineRun, isEligible: boolean, mayHandOver = true): MachineRun {
  return run.say({ kind: 'eligibility', isEligible, mayHandOver });
}

/** A leader since 0 that has been ineligible since 1,000 and had its renewal of 2,000 answered. */
function ineligibleLeader(mayHandOver = true): MachineRun {
  const run = report(MachineRun.leading().at(1_000), false, mayHandOver);
  return run.at(2_000).tick().applied(11).at(4_000).tick().applied(12);
}

/** An ineligible standby with a watch. */
function ineligibleStandby(): MachineRun {
  const run = report(MachineRun.standingBy(), false);
  return run.at(5_000).tick();
}

/** Has handed over as ineligible: its release of term 1 was applied at 6,100. */
function letGo(): MachineRun {
  const run = ineligibleLeader().say({ kind: 'watch-opened' }).at(6_000).tick();
  run.applied(13).say({ kind: 'drained', term: 1 });
  return run.at(6_100).applied(14).reads(run.state.observation!.lease);
}

describe('when a leader is ineligible', () => {
  it('hands over to another that may take over, once the grace has passed', () => {
    const run = ineligibleLeader().at(5_999).tick();
    expect(run.isLeader()).toBe(true);
    run.at(6_000).tick();
    expect(run.isLeader()).toBe(false);
    expect(run.of('revoke')).toEqual([{ kind: 'revoke', term: 1, reason: 'ineligible' }]);
  });

  it('asks to be woken when the grace has passed', () => {
    const run = report(MachineRun.leading({ ineligibleGraceMs: 700 }).at(1_000), false);
    expect(run.wakeAt).toBe(1_700);
  });

  it('releases cleanly after its work has ended', () => {
    const run = ineligibleLeader().at(6_000).tick().applied(13);
    run.say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('release');
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: 1 });
  });

  it('leads on while no other is known to be fit', () => {
    const run = ineligibleLeader(false).at(6_000).tick().applied(13).at(8_000).tick().applied(14);
    expect(run.isLeader(9_000)).toBe(true);
    expect(run.of('eligibility-changed')).toHaveLength(1);
  });

  it('hands over as soon as another becomes fit', () => {
    const run = ineligibleLeader(false).at(6_000).tick().applied(13);
    report(run.at(7_000), false, true);
    expect(run.of('revoke')).toHaveLength(1);
  });

  it('leads on if it is eligible again within the grace', () => {
    const run = report(ineligibleLeader().at(5_000), true).at(6_000).tick();
    expect(run.isLeader()).toBe(true);
    expect(run.of('eligibility-changed')).toEqual([]);
  });

  it('counts the grace from the last change: a flap that is faster never hands over', () => {
    const run = MachineRun.leading();
    for (let now = 1_000, revision = 11; now < 60_000; now += 1_000) {
      report(run.at(now), now % 4_000 !== 0);
      if (run.state.pending !== null) run.applied(revision++);
    }
    expect(run.of('revoke')).toEqual([]);
  });

  it('believes as before: eligibility decides who competes, not who leads', () => {
    const run = ineligibleLeader(false).at(6_000).tick();
    expect(run.state.eligibility.isEligible).toBe(false);
    expect(run.isLeader()).toBe(true);
  });
});

describe('when the database is gone for all, and every pod is Ready', () => {
  it('hands over once, and then keeps what it has taken back, although others look fit', () => {
    const run = letGo();
    expect(run.at(9_099).tick().state.pending).toBeNull();
    expect(run.at(9_100).tick().request.purpose).toBe('acquire');
    run.applied(15);
    for (let now = 11_100, revision = 16; now < 100_000; now += 2_000) {
      report(run.at(now).tick(), false, now % 4_000 !== 0);
      if (run.state.pending !== null) run.applied(revision++);
    }
    expect(run.isLeader()).toBe(true);
    expect(run.of('revoke')).toHaveLength(1);
  });

  it('says that an ineligible process leads', () => {
    const run = letGo().at(9_100).tick().applied(15);
    expect(run.of('ineligible-acquisition')).toEqual([{ kind: 'ineligible-acquisition', term: 2 }]);
  });

  it('may hand over again only after it was eligible for the grace', () => {
    const run = letGo().at(9_100).tick().applied(15);
    report(run.at(10_000), true);
    const renewUntil = (until: number, from: number): void => {
      for (let now = from, revision = 20 + from; now < until; now += 1_000) {
        run.at(now).tick();
        if (run.state.pending !== null) run.applied(revision++);
      }
    };
    renewUntil(15_000, 11_000);
    report(run.at(15_000).tick(), false);
    renewUntil(20_000, 16_000);
    expect(run.of('revoke')).toHaveLength(1);
    run.at(20_000).tick();
    expect(run.of('revoke')).toHaveLength(2);
  });
});

describe('when a process that let go is eligible again', () => {
  it('is not first after its own release all the same', () => {
    const run = report(letGo(), true);
    expect(run.at(9_099).tick().state.pending).toBeNull();
    expect(run.at(11_100).tick().request.purpose).toBe('acquire');
  });
});

describe('when a process that let go has led again, and a lease made again counts its terms from the start', () => {
  it('does not stand back from a release that only has the number of its own', () => {
    const run = report(letGo(), true).at(11_100).tick().applied(15);
    expect(run.isLeader()).toBe(true);
    run.at(11_200).watch(null, 16n).reads(null).say({ kind: 'drained', term: 2 });
    const released = heldBy('', { leaseTransitions: 1, releasedTransitions: 1 });
    run.at(16_300).watch(representation(released, 17, 'uid-2'));
    expect(run.request.purpose).toBe('acquire');
  });
});

describe('when a process was held up until it is reported eligible again', () => {
  it('was ineligible all the same, and counts the grace from that report', () => {
    const run = report(MachineRun.standingBy(), false);
    report(run.at(60_000), true);
    expect(run.state.eligibility.isEligible).toBe(false);
    run.at(65_000).tick();
    expect(run.state.eligibility.isEligible).toBe(true);
  });
});

describe('when an ineligible standby sees a lease that may be taken', () => {
  it('leaves a released one to others for a lease duration, and then takes it', () => {
    const run = ineligibleStandby().watch(representation(heldBy('', RELEASED), 11));
    expect(run.at(19_999).tick().state.pending).toBeNull();
    expect(run.at(20_000).tick().request.purpose).toBe('acquire');
  });

  it('leaves that of a crashed leader for another lease duration after it has run out', () => {
    const run = ineligibleStandby();
    expect(run.at(29_999).tick().state.pending).toBeNull();
    expect(run.at(30_000).tick().request.purpose).toBe('acquire');
  });

  it('leaves a missing one for a lease duration', () => {
    const run = new MachineRun();
    report(run, false).start().reads(null).say({ kind: 'watch-opened' }).reads(null);
    expect(run.at(14_999).tick().state.pending).toBeNull();
    expect(run.at(15_000).tick().request.purpose).toBe('acquire');
  });

  it('takes it at once when it becomes eligible', () => {
    const run = ineligibleStandby();
    run.at(6_000).watch(representation(heldBy('', RELEASED), 11));
    report(run, true);
    expect(run.at(10_999).tick().state.pending).toBeNull();
    expect(run.at(11_000).tick().request.purpose).toBe('acquire');
  });

  it('hands over what it has taken as soon as another is fit', () => {
    const run = report(ineligibleStandby(), false, false);
    run
      .watch(representation(heldBy('', RELEASED), 11))
      .at(20_000)
      .tick()
      .applied(12);
    expect(run.isLeader()).toBe(true);
    report(run, false, true);
    expect(run.of('revoke')).toEqual([{ kind: 'revoke', term: 5, reason: 'ineligible' }]);
  });
});

describe('when an ineligible process acquires the lease though another is fit', () => {
  it('leads when its grant is heard of, and hands over in the next step', () => {
    const run = ineligibleStandby().watch(representation(heldBy('', RELEASED), 11));
    run.at(20_000).tick().applied(12);
    expect(run.of('grant')).toHaveLength(1);
    expect(run.isLeader()).toBe(true);
    expect(run.wakeAt).toBe(20_000);
    run.tick();
    expect(run.of('revoke')).toEqual([{ kind: 'revoke', term: 5, reason: 'ineligible' }]);
  });
});

describe('when a pod starts that is not Ready yet', () => {
  it('does not compete, from the first instant on', () => {
    const run = report(new MachineRun(), false).start();
    run.reads(representation(heldBy('', RELEASED), 7));
    expect(run.of('eligibility-changed')).toHaveLength(1);
    expect(run.state.pending).toBeNull();
  });

  it('competes as soon as it is Ready, as a release may name it', () => {
    const run = report(new MachineRun(), false).start();
    run.reads(representation(heldBy('', RELEASED), 7));
    report(run.at(3_000), true);
    expect(run.request.purpose).toBe('acquire');
  });

  it('waits for the grace once it has been Ready before', () => {
    const run = report(new MachineRun(), false)
      .start()
      .reads(representation(heldBy('x'), 7));
    report(run.at(1_000), true);
    report(run.at(2_000), false).at(7_000).tick();
    report(run.at(8_000), true);
    expect(run.state.eligibility.isEligible).toBe(false);
    run.at(13_000).tick();
    expect(run.state.eligibility.isEligible).toBe(true);
  });
});

describe('when an ineligible leader loses its term to a slow server', () => {
  it('acquires its own lease again at once, as it never let go of it', () => {
    const run = ineligibleLeader(false).at(14_000).tick();
    expect(run.of('revoke').map(({ reason }) => reason)).toEqual(['renew-deadline']);
    run.say({ kind: 'drained', term: 1 }).reads(run.state.observation!.lease);
    expect(run.at(16_000).tick().request.purpose).toBe('acquire');
  });
});

describe('when the work of an ineligible leader ends after the drain timeout', () => {
  /** Its term 1 was revoked at 6,000 and its drain given up; the work ends now. */
  function drainedLate(): MachineRun {
    const run = ineligibleLeader().at(6_000).tick().applied(13);
    for (let revision = 14; run.of('failed').length === 0; revision++) {
      run.wake();
      if (run.state.pending?.purpose === 'renew') run.applied(revision);
    }
    return run.reads(run.state.observation!.lease).at(run.now + 500);
  }

  it('releases the lease all the same, as it was to be handed over', () => {
    const run = drainedLate().say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('release');
    expect(run.written).toMatchObject({ holderIdentity: '', releasedTransitions: 1 });
  });

  it('takes the lease back if it has become eligible meanwhile', () => {
    const run = report(drainedLate(), true);
    run.say({ kind: 'watch-opened' }).reads(run.state.observation!.lease);
    run
      .at(run.now + 5_000)
      .tick()
      .say({ kind: 'drained', term: 1 });
    expect(run.request.purpose).toBe('acquire');
  });
});

describe('when a leader that has handed over becomes eligible', () => {
  it('waits for the grace, although it was ineligible from the start', () => {
    const run = report(new MachineRun(), false, true).start().reads(null);
    run.say({ kind: 'watch-opened' }).reads(null).wake().applied(10).tick();
    expect(run.of('revoke')).toHaveLength(1);
    report(run, true);
    expect(run.state.eligibility.isEligible).toBe(false);
  });
});

describe('when a process that competes no more reports', () => {
  it('neither wakes nor hands over after that', () => {
    const run = MachineRun.leading().withdraw('shutdown');
    report(run, false);
    expect(run.at(6_000).tick().of('revoke')).toHaveLength(1);
    expect(run.of('revoke')[0]!.reason).toBe('shutdown');
    expect(run.of('eligibility-changed')).toEqual([]);
  });
});
