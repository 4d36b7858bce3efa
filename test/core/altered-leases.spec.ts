import { describe, expect, it } from '@jest/globals';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { CONFIG, heldBy, MachineRun, representation } from '../support/machine-run.js';

type Change = Partial<LeaseRecord>;
type Fields = Change | ((sent: LeaseRecord) => Change);

/** As a mutating admission webhook: what is stored, and answered, is not what was sent. */
function alteredTo(run: MachineRun, fields: Fields, revision = run.now + 100): MachineRun {
  const sent = run.written;
  const stored = { ...sent, ...(typeof fields === 'function' ? fields(sent) : fields) };
  return run.writes({ kind: 'applied', stored: representation(stored, revision) });
}

const codes = (run: MachineRun): string[] => run.of('failed').map(({ error }) => error.code);

const CHANGES: [string, Fields][] = [
  ['holderIdentity', { holderIdentity: 'node-7' }],
  ['holderIdentity', { holderIdentity: '' }],
  ['leaseDurationSeconds', { leaseDurationSeconds: 60 }],
  ['leaseDurationSeconds', { leaseDurationSeconds: null }],
  ['renewTimeMicros', ({ renewTimeMicros }) => ({ renewTimeMicros: renewTimeMicros! - 1 })],
  ['acquireTimeMicros', { acquireTimeMicros: null }],
  ['leaseTransitions', { leaseTransitions: 0 }],
];

describe('when something changes every write of the lease', () => {
  it.each(CHANGES)('grants no term, and says what is changed: %s', (field, change) => {
    const run = new MachineRun().start().reads(null);
    alteredTo(run, change);
    expect(run.of('grant')).toEqual([]);
    expect(run.of('failed')[0]?.error).toMatchObject({
      code: 'ERR_LEASE_ALTERED',
      alterations: [{ field }],
    });
  });

  it.each(CHANGES)(
    'goes on asking less and less often, without a term that must end: %s',
    (_field, change) => {
      const run = new MachineRun().start().reads(null);
      const attempts: number[] = [];
      let stored = null as ReturnType<typeof representation> | null;
      while (run.now < 300_000) {
        if (run.state.pending === null) run.wake();
        else if (run.request.purpose === 'read') run.reads(stored);
        else {
          if (run.request.purpose === 'acquire') attempts.push(run.now);
          alteredTo(run, change);
          stored = run.state.observation!.lease;
        }
      }
      expect(run.of('grant')).toEqual([]);
      expect(attempts.length).toBeGreaterThan(3);
      expect(attempts.length).toBeLessThanOrEqual(300_000 / (0.8 * CONFIG.leaseDurationMs) + 4);
      expect(codes(run)).toHaveLength(attempts.length);
    },
  );
});

describe('when something changes every write, and a proxy sends each one twice', () => {
  it.each(CHANGES)(
    'goes on asking less and less often, though each attempt makes a new version: %s',
    (_field, change) => {
      const run = new MachineRun().start().reads(null);
      let revision = 7;
      let stored = representation(heldBy('', { releasedTransitions: 3, leaseTransitions: 3 }), 7);
      const attempts: number[] = [];
      while (run.now < 300_000 && attempts.length < 1_000) {
        if (run.state.pending === null) run.wake();
        else if (run.request.purpose === 'read') run.reads(stored);
        else {
          attempts.push(run.now);
          const sent = run.written;
          const changed = typeof change === 'function' ? change(sent) : change;
          stored = representation({ ...sent, ...changed }, (revision += 1));
          run.writes({ kind: 'conflict' });
        }
      }
      expect(attempts.length).toBeLessThanOrEqual(300_000 / (0.8 * CONFIG.retryPeriodMs));
    },
  );
});

describe('when something begins to change writes while this process leads', () => {
  it.each(CHANGES)(
    'revokes once, with the reason in an error, and grants no more: %s',
    (_field, change) => {
      const run = alteredTo(MachineRun.leading().at(2_000).tick(), change);
      expect(run.isLeader()).toBe(false);
      expect(codes(run)).toEqual(['ERR_LEASE_ALTERED']);
      run.say({ kind: 'drained', term: 1 });
      while (run.now < 100_000) {
        if (run.state.pending === null) run.wake();
        else if (run.request.purpose === 'read') run.reads(run.state.observation!.lease);
        else alteredTo(run, change);
      }
      expect(run.of('grant')).toHaveLength(1);
      expect(run.of('revoke')).toHaveLength(1);
    },
  );

  it('says why no renewal counts where each is undone, so that the store keeps nothing', () => {
    const run = MachineRun.leading().at(2_000).tick();
    const before = run.state.observation!.lease!;
    run.writes({ kind: 'applied', stored: before });
    expect(codes(run)).toEqual(['ERR_LEASE_ALTERED']);
    expect(run.in('leading').validUntil).toBe(10_000);
  });

  it('does not count a renewal whose time is undone, though the object has a new version', () => {
    const run = MachineRun.leading();
    const { record } = run.state.observation!.lease!;
    run.at(9_400).tick();
    const undone = representation(record, 11);
    run.writes({ kind: 'applied', stored: undone });
    expect(codes(run)).toEqual(['ERR_LEASE_ALTERED']);
    expect(run.of('renewed')).toEqual([]);
    expect(run.isLeader(9_999)).toBe(true);
    expect(run.isLeader(10_000)).toBe(false);
  });

  it('has no second leader while a renewal that was undone is thought to count', () => {
    const run = MachineRun.leading();
    const first = run.state.observation!.lease!;
    const standby = MachineRun.standingBy({ identity: 'standby' }, first.record);
    run.at(9_400).tick();
    const undone = representation(first.record, 11);
    run.writes({ kind: 'applied', stored: undone });
    standby.at(9_400).watch(undone).at(15_000).tick();
    standby.applied(12);
    expect(standby.isLeader()).toBe(true);
    // What the leader asks from here on is not answered, and it has no watch.
    expect(run.isLeader(15_000)).toBe(false);
  });
});

describe('when something changes the release', () => {
  const releasing = (): MachineRun =>
    MachineRun.leading().withdraw('stepped-down', 60_000).say({ kind: 'drained', term: 1 });

  it.each<[string, Fields]>([
    ['names another holder', { holderIdentity: 'node-7' }],
    ['names us again', ({ leaseTransitions }) => ({ holderIdentity: 'me', leaseTransitions })],
  ])('does not say that the lease was released when it %s', (_name, change) => {
    const run = alteredTo(releasing(), change);
    expect(run.of('released')).toEqual([]);
    expect(codes(run)).toEqual(['ERR_LEASE_ALTERED']);
    expect(run.state.tenure).toBeNull();
  });

  it('does not repeat a release that is undone', () => {
    const run = releasing();
    run.writes({ kind: 'applied', stored: run.state.observation!.lease! });
    run.at(1_000).tick();
    expect(run.purposes.filter((purpose) => purpose === 'release')).toHaveLength(1);
    expect(codes(run)).toEqual(['ERR_LEASE_ALTERED']);
  });
});

describe('when another part of the object is changed', () => {
  it('leads, as the name of the application is for people', () => {
    const run = new MachineRun().start().reads(null);
    alteredTo(run, { application: 'other' });
    expect(run.isLeader()).toBe(true);
    expect(codes(run)).toEqual([]);
  });
});

describe('when a store applies a write under no newer revision', () => {
  const RELEASED = representation(heldBy('', { releasedTransitions: 4, leaseTransitions: 4 }), 7);

  it.each([7, 6, 0])('acquires less and less often, and says so: revision %d', (revision) => {
    const run = new MachineRun().start().reads(RELEASED);
    const attempts: number[] = [];
    while (run.now < 300_000) {
      if (run.state.pending === null) run.wake();
      else if (run.request.purpose === 'read') run.at(run.now + 5).reads(RELEASED);
      else {
        attempts.push(run.now);
        run.at(run.now + 5).applied(revision);
      }
    }
    expect(run.of('grant')).toEqual([]);
    expect(attempts.length).toBeLessThanOrEqual(300_000 / (0.8 * CONFIG.leaseDurationMs) + 4);
    expect(run.of('failed')).toHaveLength(attempts.length);
    expect(run.of('failed')[0]!.error.message).toContain(
      `as revision ${revision}, although the one before was 7`,
    );
  });

  it.each([10, 9])('counts no renewal, and says so: revision %d', (revision) => {
    const run = MachineRun.leading().at(2_000).tick().applied(revision);
    expect(run.of('renewed')).toEqual([]);
    expect(run.of('failed')[0]!.error.message).toContain(
      `as revision ${revision}, although the one before was 10`,
    );
  });

  it('reads back and gives back on shutdown what such an acquisition has left', () => {
    const run = MachineRun.standingBy().at(1_000).watch(null, 11n);
    const stored = representation(run.written, 1);
    run.withdraw('shutdown').applied(1).say({ kind: 'finish' });
    expect(run.request.purpose).toBe('read');
    expect(run.reads(stored).request.purpose).toBe('release');
  });

  it('leads where the first revision of a lease is 0', () => {
    const run = new MachineRun().start().reads(null).applied(0);
    expect(run.isLeader()).toBe(true);
    expect(run.at(2_000).tick().applied(1).of('renewed')).toHaveLength(1);
  });

  it('leads soon where a lease is created again and counts from the beginning', () => {
    const run = MachineRun.standingBy().at(1_000).watch(null, 11n);
    const stored = representation(run.written, 1);
    run.applied(1);
    while (!run.isLeader()) {
      if (run.state.pending === null) run.wake();
      else if (run.request.purpose === 'read') run.reads(stored);
      else if (run.request.request.verb === 'create') run.writes({ kind: 'conflict' });
      else run.applied(2);
    }
    expect(run.now).toBeLessThanOrEqual(3 * CONFIG.retryPeriodMs);
  });
});
