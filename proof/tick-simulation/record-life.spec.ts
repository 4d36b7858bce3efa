import { beforeEach, describe, expect, it } from '@jest/globals';
import { type ActiveRun, type JobRecord, NEVER_RUN } from '../../lib/schedule/ledger/job-record.js';
import { writeJobRecord } from '../../lib/schedule/ledger/ledger-document.js';
import { RecordLife } from './record-life.js';

const KEPT_MS = 5_000;
const SKEW_MS = 1_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): number => START + seconds * 1_000;
const RUN: ActiveRun = {
  id: 'r',
  scheduledTime: at(5),
  startedAt: at(5),
  term: 1,
  fencingToken: '1',
  holderIdentity: 'gone',
};

function document(change: Partial<JobRecord>, sweptThrough?: number) {
  const record = {
    ...NEVER_RUN,
    schedule: 'S',
    claimNonce: '',
    accountedThrough: at(0),
    ...change,
  };
  return writeJobRecord(swept(sweptThrough), 'job', record);
}

function swept(through: number | undefined) {
  return through === undefined ? {} : { sweptThrough: new Date(through).toISOString() };
}

describe('when the record of a job was swept and made anew', () => {
  let life: RecordLife;
  let counted: string[];

  beforeEach(() => {
    counted = [];
    life = new RecordLife({
      job: 'job',
      keptUnknownMs: KEPT_MS,
      skewMs: SKEW_MS,
      onSwept: () => counted.push('swept'),
      onRecreated: () => counted.push('made anew'),
    });
    life.written({}, document({ accountedThrough: at(0) }), at(0));
  });

  const owed = (...seconds: number[]): number[] => seconds.filter((s) => life.isOwed(at(s)));

  it('owes no tick in between, and every other', () => {
    const last = document({ accountedThrough: at(10), unknownSince: at(12) });
    life.written(last, swept(at(10)), at(17));
    expect(owed(0, 1, 10, 11, 20)).toEqual([1, 10, 11, 20]);
    life.written(swept(at(10)), document({ accountedThrough: at(20) }, at(10)), at(20));
    expect(owed(0, 1, 10, 11, 20, 21)).toEqual([1, 10, 21]);
    expect(counted).toEqual(['swept', 'made anew']);
  });

  it('owes no tick that only the swept record could have told of', () => {
    const untold = [{ id: 'x', reason: 'not-started' as const, times: [at(3)], isCapped: false }];
    const active = [RUN];
    const last = document({ accountedThrough: at(10), unknownSince: at(12), untold, active });
    life.written(last, swept(at(10)), at(17));
    expect(owed(2, 3, 4, 5, 6)).toEqual([2, 4, 6]);
  });

  it('owes no tick that was handed back before the sweep', () => {
    const last = document({ accountedThrough: at(10) - 1, unknownSince: at(12), returned: ['x'] });
    life.written(last, swept(at(10) - 1), at(17));
    life.written(swept(at(10) - 1), document({ accountedThrough: at(10) - 1 }), at(18));
    expect(owed(9, 10, 11)).toEqual([9, 11]);
  });

  it.each<[string, Partial<JobRecord>]>([
    ['had no mark', { unknownSince: null }],
    ['was marked too short a time ago', { unknownSince: at(14) }],
    ['has a tick that is too young', { unknownSince: at(11), accountedThrough: at(14) }],
  ])('owes every tick if it %s', (_what, change) => {
    const active = [RUN];
    life.written(document({ accountedThrough: at(10), active, ...change }), {}, at(17));
    life.written({}, document({ accountedThrough: at(20) }), at(20));
    expect(owed(5, 15, 20)).toEqual([5, 15, 20]);
  });

  it('owes every tick if the next one begins later than any clock shows', () => {
    life.written(document({ unknownSince: at(0) }), swept(at(0)), at(17));
    life.written(swept(at(0)), document({ accountedThrough: at(22) }), at(20));
    expect(owed(15, 22)).toEqual([15, 22]);
  });

  it('owes none up to where ticks of swept records reach, also if that is later', () => {
    life.written(document({ unknownSince: at(0) }), swept(at(30)), at(17));
    life.written(swept(at(30)), document({ accountedThrough: at(30) }), at(20));
    expect(owed(15, 30, 31)).toEqual([31]);
  });
});
