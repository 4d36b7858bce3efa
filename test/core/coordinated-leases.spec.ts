import { describe, expect, it } from '@jest/globals';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';

const COORDINATED: Partial<LeaseRecord> = {
  coordination: { strategy: 'OldestEmulationVersion', preferredHolder: 'chosen' },
};
const RELEASED: Partial<LeaseRecord> = {
  ...COORDINATED,
  holderIdentity: '',
  releasedTransitions: 4,
  leaseDurationSeconds: 1,
};

/** A standby with a watch that has just seen this record, revision 10. */
function standby(change: Partial<LeaseRecord>, config: Partial<ElectionConfig> = {}): MachineRun {
  return MachineRun.standingBy(config, heldBy('other', change));
}

/** When it acquires, if nothing more happens. */
function acquiresAt(run: MachineRun): number {
  while (run.state.pending?.purpose !== 'acquire') run.wake();
  return run.now;
}

describe('when a lease names a strategy of coordinated leader election', () => {
  it.each<[string, Partial<LeaseRecord>, Partial<ElectionConfig>, number]>([
    ['its holder has let it run out', COORDINATED, {}, 30_000],
    ['its holder has released it', RELEASED, {}, 15_000],
    ['its holder was removed by hand', { ...COORDINATED, holderIdentity: '' }, {}, 15_000],
    [
      'its holder promises another duration than we do',
      { ...COORDINATED, leaseDurationSeconds: 40 },
      {},
      55_000,
    ],
    [
      'its release names this member',
      { ...RELEASED, successor: { transitions: 4, uid: 'uid-me' } },
      { memberUid: 'uid-me' },
      15_000,
    ],
    [
      'its release names another member',
      { ...RELEASED, successor: { transitions: 4, uid: 'uid-x' } },
      { memberUid: 'uid-me' },
      16_000,
    ],
    ['nobody is preferred', { coordination: { strategy: 'S' } }, {}, 30_000],
  ])(
    'leaves it to the coordinator for a lease duration more, and then takes it, when %s',
    (_when, record, config, at) => {
      expect(acquiresAt(standby(record, config))).toBe(at);
    },
  );

  it('leaves it longer still to those that are eligible', () => {
    const run = standby(RELEASED).say({
      kind: 'eligibility',
      isEligible: false,
      mayHandOver: true,
    });
    run.at(5_000).tick();
    expect(acquiresAt(run)).toBe(30_000);
  });

  it('waits for the holder whom the coordinator has chosen in time', () => {
    const run = standby(RELEASED).at(14_999);
    run.watch(representation(heldBy('chosen', { ...COORDINATED, renewTimeMicros: 2 }), 11));
    expect(acquiresAt(run)).toBe(14_999 + 30_000);
  });

  it('takes it at once when the strategy is removed after the lease has run out', () => {
    const run = standby(COORDINATED).at(20_000);
    const plain = heldBy('other');
    const { timingKey } = run.state.observation!.lease!;
    run.watch({ ...representation(plain, 11), timingKey });
    expect(acquiresAt(run)).toBe(20_000);
  });

  it('counts from the release, and not from an edit that sets or changes the strategy', () => {
    const run = standby({ ...RELEASED, coordination: { strategy: 'a' } });
    const { timingKey } = run.state.observation!.lease!;
    for (const revision of [11, 12, 13]) {
      const coordination = { strategy: `edited ${revision}` };
      const record = heldBy('', { ...RELEASED, coordination });
      run.at(revision * 1_000).watch({ ...representation(record, revision), timingKey });
    }
    expect(acquiresAt(run)).toBe(15_000);
  });

  it('writes neither strategy nor preferred holder, and tells once that nobody coordinates', () => {
    const run = standby(RELEASED);
    acquiresAt(run);
    expect(run.written.coordination).toBeUndefined();
    run.writes({
      kind: 'applied',
      stored: representation({ ...run.written, ...COORDINATED }, 11),
    });
    run.at(17_000).tick();
    run.writes({
      kind: 'applied',
      stored: representation({ ...run.written, ...COORDINATED }, 12),
    });
    expect(run.of('uncoordinated-acquisition')).toEqual([
      { kind: 'uncoordinated-acquisition', term: 5, ...COORDINATED },
    ]);
    expect(run.of('failed')).toEqual([]);
  });

  it('leads on when the strategy is set during its term', () => {
    const run = MachineRun.leading().at(2_000).tick();
    run.writes({
      kind: 'applied',
      stored: representation({ ...run.written, ...COORDINATED }, 11),
    });
    run.at(4_000).tick().applied(12);
    expect(run.isLeader(6_000)).toBe(true);
    expect(run.of('revoke')).toEqual([]);
  });
});

describe('when a lease names no strategy', () => {
  it('tells of no coordination', () => {
    const run = standby({ holderIdentity: '', releasedTransitions: 4 });
    acquiresAt(run);
    run.applied(11);
    expect(run.of('uncoordinated-acquisition')).toEqual([]);
  });
});
