import { describe, expect, it } from '@jest/globals';
import {
  decideOnce,
  endedRecord,
  endOf,
  type InterruptionPolicy,
  type OnceClaimant,
} from '../../../lib/schedule/once/once-decision.js';
import type { OnceRecord, OnceState } from '../../../lib/schedule/once/once-record.js';

const RECORD: OnceRecord = {
  version: '4',
  state: 'started',
  claim: 'theirs',
  attempt: 1,
  holderIdentity: 'pod-a',
  term: 1,
  fencingToken: '1',
  startedAt: 1_000,
  endedAt: null,
  reason: null,
  source: { later: true },
};

const wanted = (version = '4', onInterrupted: InterruptionPolicy = 'fail') => ({
  version,
  onInterrupted,
});

const claimant = (change: Partial<OnceClaimant> = {}): OnceClaimant => ({
  nonce: 'mine',
  holderIdentity: 'pod-b',
  term: 2,
  fencingToken: '2',
  now: 5_000,
  isOver: () => true,
  isUnstarted: () => false,
  ...change,
});

const CLAIM = {
  version: '4',
  state: 'started',
  claim: 'mine',
  attempt: 1,
  holderIdentity: 'pod-b',
  term: 2,
  fencingToken: '2',
  startedAt: 5_000,
  endedAt: null,
  reason: null,
};

const record = (state: OnceState, change: Partial<OnceRecord> = {}): OnceRecord => ({
  ...RECORD,
  state,
  ...change,
});

describe('when a process that may run it looks at the record', () => {
  it('claims what no record tells of', () => {
    expect(decideOnce(undefined, wanted(), claimant())).toEqual({ kind: 'write', record: CLAIM });
  });

  it('runs what its own claim is stored of', () => {
    const own = record('started', { claim: 'mine' });
    expect(decideOnce(own, wanted(), claimant())).toEqual({ kind: 'own', record: own });
  });

  it.each<[OnceState]>([['started'], ['succeeded'], ['failed'], ['interrupted'], ['returned']])(
    'claims a newer version over one that is %s, and keeps what it does not understand',
    (state) => {
      expect(decideOnce(record(state), wanted('4.1'), claimant())).toEqual({
        kind: 'write',
        record: { ...CLAIM, version: '4.1', source: { later: true } },
      });
    },
  );

  it.each<[OnceState]>([['started'], ['succeeded'], ['failed'], ['interrupted'], ['returned']])(
    'never claims an older version than one that is %s: after a rollback nothing runs again',
    (state) => {
      for (const policy of ['fail', 'rerun'] as const) {
        expect(decideOnce(record(state), wanted('3.9', policy), claimant())).toMatchObject({
          kind: 'ended',
          end: 'superseded',
        });
      }
    },
  );

  it.each<[OnceState, InterruptionPolicy, object]>([
    ['succeeded', 'fail', { kind: 'ended', end: 'succeeded' }],
    ['succeeded', 'rerun', { kind: 'ended', end: 'succeeded' }],
    ['failed', 'fail', { kind: 'ended', end: 'failed' }],
    ['failed', 'rerun', { kind: 'ended', end: 'failed' }],
    ['interrupted', 'fail', { kind: 'ended', end: 'interrupted' }],
    ['interrupted', 'rerun', { kind: 'write', record: { claim: 'mine', attempt: 2 } }],
    ['returned', 'fail', { kind: 'write', record: { claim: 'mine', attempt: 1 } }],
    ['returned', 'rerun', { kind: 'write', record: { claim: 'mine', attempt: 1 } }],
    ['started', 'rerun', { kind: 'write', record: { claim: 'mine', attempt: 2 } }],
    [
      'started',
      'fail',
      { kind: 'write', record: { claim: 'theirs', state: 'interrupted', endedAt: 5_000 } },
    ],
  ])('finds its version %s, with onInterrupted %s', (state, policy, verdict) => {
    expect(decideOnce(record(state), wanted('4', policy), claimant())).toMatchObject(verdict);
  });

  it.each(['4', '4.1'])(
    'leaves a run of version 4 alone that may be under way, wanting version %s',
    (version) => {
      for (const policy of ['fail', 'rerun'] as const) {
        const busy = claimant({ isOver: () => false });
        expect(decideOnce(record('started'), wanted(version, policy), busy)).toEqual({
          kind: 'busy',
          record: record('started'),
        });
      }
    },
  );

  it('claims again what it has claimed before and will never start, though it may be stored late', () => {
    const late = claimant({ isUnstarted: (claim) => claim === 'theirs', isOver: () => false });
    expect(decideOnce(record('started'), wanted(), late)).toMatchObject({
      kind: 'write',
      record: { claim: 'mine', state: 'started', attempt: 1 },
    });
  });
});

describe('when a process only waits', () => {
  it.each<[OnceState, string | undefined, string | undefined]>([
    ['started', undefined, undefined],
    ['returned', undefined, undefined],
    ['succeeded', 'succeeded', 'succeeded'],
    ['failed', 'failed', 'failed'],
    ['interrupted', 'interrupted', undefined],
  ])('goes by its policy if the version is %s', (state, failing, rerunning) => {
    expect(endOf(record(state), wanted('4', 'fail'))).toBe(failing);
    expect(endOf(record(state), wanted('4', 'rerun'))).toBe(rerunning);
    expect(endOf(record(state), wanted('5', 'fail'))).toBeUndefined();
    expect(endOf(record(state), wanted('3', 'fail'))).toBe('superseded');
    expect(endOf(undefined, wanted())).toBeUndefined();
  });
});

describe('when a run has ended', () => {
  const ending = { state: 'succeeded', endedAt: 9_000, reason: null } as const;

  it.each<[OnceState]>([['started'], ['interrupted']])(
    'is recorded if its record is %s, as it knows best how it ended',
    (state) => {
      const own = record(state, { claim: 'mine', reason: 'its process died' });
      expect(endedRecord(own, 'mine', ending)).toEqual({ ...own, ...ending });
    },
  );

  it.each<[string, OnceRecord | undefined]>([
    ['that another has claimed since', record('started')],
    ['whose end is recorded', record('failed', { claim: 'mine' })],
    ['that was handed back', record('returned', { claim: 'mine' })],
    ['that is gone', undefined],
  ])('changes no record %s', (_what, stored) => {
    expect(endedRecord(stored, 'mine', ending)).toBeUndefined();
  });
});
