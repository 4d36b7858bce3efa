import { describe, expect, it } from '@jest/globals';
import {
  type ActiveRun,
  type JobRecord,
  NEVER_RUN,
  shortReason,
} from '../../../lib/schedule/ledger/job-record.js';
import {
  JobAdoption,
  ReportsTold,
  RunEnd,
  RunStart,
  TickClaim,
  type TickClaimRequest,
  TickReturn,
} from '../../../lib/schedule/ledger/ledger-changes.js';
import { readJobRecord, writeJobRecord } from '../../../lib/schedule/ledger/ledger-document.js';

const RUN: ActiveRun = {
  id: 'mine',
  scheduledTime: 5_000,
  startedAt: 5_001,
  term: 3,
  fencingToken: '77',
  holderIdentity: 'pod_1',
};
const failed = (scheduledTime: number, at: number) => ({ scheduledTime, at, reason: 'r' });
const record = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...NEVER_RUN,
  schedule: 'S',
  accountedThrough: 2_000,
  claimNonce: 'earlier',
  ...change,
});
const REQUEST: TickClaimRequest = {
  job: 'job',
  schedule: 'S',
  tick: 5_000,
  nonce: 'mine',
  run: RUN,
  missed: [],
  basis: 2_000,
  reason: 'not-started',
  isOptionSuspend: false,
  isCapped: false,
  replacesRetries: false,
};
const claim = (missed: number[] = []) => new TickClaim({ ...REQUEST, missed });

describe('when a tick is claimed', () => {
  it('is won by the version that carries its own nonce, and by no other', () => {
    const settled = (change: Partial<JobRecord>) => claim().decide(record(change));
    const won = { kind: 'settled', result: { kind: 'won', missed: [], dropped: [] } };
    const taken = { kind: 'settled', result: { kind: 'taken' } };
    expect(settled({ accountedThrough: 5_000, claimNonce: 'mine' })).toEqual(won);
    expect(settled({ accountedThrough: 5_000, claimNonce: 'other' })).toEqual(taken);
    expect(settled({ accountedThrough: 6_000, claimNonce: 'mine' })).toEqual(taken);
    expect(settled({ accountedThrough: 6_000, claimNonce: 'other' })).toEqual(taken);
  });

  it('writes the step from below the tick to the tick', () => {
    expect(claim([3_000, 4_000]).decide(record())).toMatchObject({
      kind: 'write',
      record: {
        accountedThrough: 5_000,
        claimNonce: 'mine',
        lastScheduleTime: 5_000,
        missedCount: 2,
        lastMissedTime: 4_000,
        active: [RUN],
        untold: [{ id: 'mine', reason: 'not-started', times: [3_000, 4_000] }],
      },
    });
  });

  it('counts no missed tick that another has accounted for meanwhile', () => {
    const change = claim([3_000, 4_000]);
    change.decide(record());
    const verdict = change.decide(record({ accountedThrough: 3_000, missedCount: 7 }));
    expect(verdict).toMatchObject({ record: { missedCount: 8 } });
    expect(change.decide(record({ accountedThrough: 5_000, claimNonce: 'mine' }))).toMatchObject({
      result: { kind: 'won', missed: [4_000] },
    });
  });

  it('is given up when a tick before it was handed back since the decision', () => {
    const verdict = claim([3_000, 4_000]).decide(record({ accountedThrough: 1_999 }));
    expect(verdict).toEqual({ kind: 'settled', result: { kind: 'outdated' } });
  });

  it.each([
    ['of a list that was cut short, as it does not say what lies beyond', true, 'settled'],
    ['of a whole list, for the rest', false, 'write'],
  ])('is decided again when another has accounted for some %s', (_what, isCapped, kind) => {
    const change = new TickClaim({ ...REQUEST, missed: [3_000, 4_000], isCapped });
    expect(change.decide(record({ accountedThrough: 2_001 })).kind).toBe(kind);
    expect(change.decide(record({ accountedThrough: 2_000 })).kind).toBe('write');
  });

  it('keeps which claims of this very tick were handed back, and forgets those of an earlier one', () => {
    const returned = (accountedThrough: number) =>
      claim().decide(record({ accountedThrough, returned: ['before'] }));
    expect(returned(4_999)).toMatchObject({ record: { returned: ['before'] } });
    expect(returned(4_998)).toMatchObject({ record: { returned: [] } });
  });

  it('is no last scheduled tick if it is only reported', () => {
    const report = new TickClaim({ ...REQUEST, run: null, missed: [5_000] });
    expect(report.decide(record({ lastScheduleTime: 1_000 }))).toMatchObject({
      record: { accountedThrough: 5_000, lastScheduleTime: 1_000, active: [], missedCount: 1 },
    });
  });

  it('is given up where the record has gone, and with it whether the tick has been run', () => {
    expect(claim().decide(undefined)).toEqual({ kind: 'settled', result: { kind: 'outdated' } });
  });
});

describe('when a tick is handed back', () => {
  const back = () => new TickReturn('job', { tick: 5_000, nonce: 'mine' }, 1_000);
  const claimed = record({
    accountedThrough: 5_000,
    claimNonce: 'mine',
    lastScheduleTime: 5_000,
    active: [RUN],
    missedCount: 2,
  });

  it('opens the tick and nothing before it', () => {
    const change = back();
    const verdict = change.decide(claimed);
    if (verdict.kind !== 'write') throw new Error(verdict.kind);
    expect(verdict.record).toMatchObject({
      accountedThrough: 4_999,
      lastScheduleTime: 1_000,
      active: [],
      missedCount: 2,
    });
    expect(change.decide(verdict.record)).toEqual({ kind: 'settled', result: true });
    expect(claim().decide(verdict.record).kind).toBe('write');
  });

  it('is not handed back by a write that was not stored before another claimed a later one', () => {
    const change = back();
    expect(change.decide(claimed).kind).toBe('write');
    const later = { ...claimed, accountedThrough: 6_000, claimNonce: 'other' };
    expect(change.decide(later)).toEqual({ kind: 'settled', result: false });
  });

  it('stays claimed if it was cancelled, so that no leader starts it', () => {
    const cancellation = { at: 5_500, by: 'pod_2', reason: 'stuck' };
    const marked = { ...claimed, active: [{ ...RUN, cancellation }] };
    expect(back().decide(marked)).toEqual({ kind: 'settled', result: false });
  });

  it('is known to have been handed back before, too', () => {
    expect(back().decide({ ...claimed, returned: ['earlier'] })).toMatchObject({
      record: { returned: ['earlier', 'mine'] },
    });
  });

  it('was handed back if another has claimed it since', () => {
    const again = { ...claimed, claimNonce: 'other', returned: ['mine'] };
    expect(back().decide(again)).toEqual({ kind: 'settled', result: true });
  });

  it('stays claimed once another leader has given its run up, as it is reported as interrupted', () => {
    const isOver = () => true;
    const continues = () => true;
    const adoption = {
      job: 'job',
      schedule: 'S',
      now: 9_000,
      continues,
      isOver,
      historyLimit: 10,
      isOptionSuspend: false,
      rerunOf: () => undefined,
    };
    const adopted = new JobAdoption(adoption).decide(claimed);
    if (adopted.kind !== 'write') throw new Error(adopted.kind);
    expect(adopted.record.untold).toMatchObject([{ reason: 'interrupted', times: [5_000] }]);
    expect(back().decide(adopted.record)).toEqual({ kind: 'settled', result: false });
    const told = { ...adopted.record, untold: [] };
    expect(back().decide(told)).toEqual({ kind: 'settled', result: false });
  });

  it('opens if the store has gone back to before the claim, as nobody has reported it', () => {
    expect(back().decide({ ...claimed, active: [], isRecalled: true }).kind).toBe('write');
  });

  it.each([
    ['of another', { ...claimed, claimNonce: 'other' }],
    [
      'that a later claim has left behind',
      { ...claimed, accountedThrough: 6_000, claimNonce: 'other' },
    ],
    [
      'that a later claim of the same nonce has left behind',
      { ...claimed, accountedThrough: 6_000 },
    ],
    ['whose record is gone', undefined],
  ])('leaves a tick alone %s', (_what, found) => {
    expect(back().decide(found)).toEqual({ kind: 'settled', result: false });
  });
});

describe('when a run has ended', () => {
  const end = (failure: string | null) =>
    new RunEnd('job', { run: RUN, endedAt: 9_000, failure, historyLimit: 10 });

  it('is recorded once', () => {
    const change = end(null);
    const verdict = change.decide(record({ active: [RUN] }));
    if (verdict.kind !== 'write') throw new Error(verdict.kind);
    expect(verdict.record).toMatchObject({ active: [], lastSuccessfulTime: 9_000 });
    expect(change.decide(verdict.record)).toEqual({ kind: 'settled', result: undefined });
  });

  it('corrects what is remembered of a run that was given up, and ended after all', () => {
    const { id: _id, fencingToken: _token, ...run } = RUN;
    const given = { ...run, endedAt: 8_000, outcome: 'interrupted', reason: '' } as const;
    const verdict = end(null).decide(record({ history: [given] }));
    const history = [{ ...given, endedAt: 9_000, outcome: 'succeeded' }];
    expect(verdict).toMatchObject({ record: { history } });
    expect(end(null).decide(record())).toMatchObject({ record: { history: [] } });
  });

  it('keeps the latest success', () => {
    const verdict = end(null).decide(record({ active: [RUN], lastSuccessfulTime: 10_000 }));
    expect(verdict).toMatchObject({ record: { lastSuccessfulTime: 10_000 } });
  });

  it('leaves out the nonce of its claim, and keeps that of a later one', () => {
    const ended = (nonce: string) => end(null).decide(record({ active: [RUN], claimNonce: nonce }));
    expect(ended('mine')).toMatchObject({ record: { claimNonce: '' } });
    expect(ended('later')).toMatchObject({ record: { claimNonce: 'later' } });
  });

  it.each<[string, string | null, Partial<JobRecord>, 'write' | 'settled']>([
    ['a success after an older one', null, { lastSuccessfulTime: 8_999 }, 'write'],
    ['a success that is there', null, { lastSuccessfulTime: 9_000 }, 'settled'],
    ['a failure that is not there', 'no', {}, 'write'],
    ['a failure after an older one', 'no', { lastFailed: failed(4_000, 8_999) }, 'write'],
    ['a failure before a newer one', 'no', { lastFailed: failed(6_000, 9_000) }, 'settled'],
    ['one that was given up', 'no', { lastFailed: failed(5_000, 8_000) }, 'settled'],
  ])('is not taken for recorded because it is not active: %s', (_what, failure, change, kind) => {
    expect(end(failure).decide(record(change)).kind).toBe(kind);
  });

  it('has nowhere to be recorded where the record has gone', () => {
    expect(end(null).decide(undefined).kind).toBe('settled');
  });

  it('keeps the reason of a failure', () => {
    expect(end('Error: no').decide(record({ active: [RUN] }))).toMatchObject({
      record: { lastFailed: { scheduledTime: 5_000, at: 9_000, reason: 'Error: no' } },
    });
  });
});

describe('when a run is triggered', () => {
  const triggered = { ...RUN, isTriggered: true };
  const start = () => new RunStart('job', 'S', triggered);

  it('is added once to what is active, and uses up no tick', () => {
    const verdict = start().decide(record({ active: [{ ...RUN, id: 'other' }] }));
    if (verdict.kind !== 'write') throw new Error(verdict.kind);
    expect(verdict.record).toEqual(record({ active: [{ ...RUN, id: 'other' }, triggered] }));
    expect(start().decide(verdict.record)).toEqual({ kind: 'settled', result: undefined });
  });

  it('begins a job that the fleet has not seen, after every tick of a record that was removed', () => {
    const begun = (sweptThrough?: number) => start().decide(undefined, sweptThrough);
    const active = [RUN];
    expect(begun()).toMatchObject({ record: { schedule: 'S', accountedThrough: 5_001, active } });
    expect(begun(9_000)).toMatchObject({ record: { accountedThrough: 9_000 } });
  });
});

const report = (id: string) =>
  ({ id, reason: 'forbidden', times: [1_000], isCapped: false }) as const;

describe('when a leader has told what was stored to be told', () => {
  const told = new ReportsTold('job', ['told']);

  it('removes that and keeps the rest', () => {
    expect(told.decide(record({ untold: [report('told'), report('new')] }))).toMatchObject({
      kind: 'write',
      record: { untold: [report('new')] },
    });
  });

  it('writes nothing where it is gone already', () => {
    expect(told.decide(record({ untold: [report('new')] })).kind).toBe('settled');
    expect(told.decide(undefined).kind).toBe('settled');
  });
});

describe('when a leader adopts a job', () => {
  const adopt = (isOver = false) =>
    new JobAdoption({
      job: 'job',
      schedule: 'S',
      now: 9_000,
      historyLimit: 10,
      isOptionSuspend: false,
      rerunOf: () => undefined,
      isOver: () => isOver,
      continues: (text) => text === 'S',
    });

  it('writes nothing for one that is as it left it', () => {
    expect(adopt().decide(record({ active: [RUN] }))).toEqual({
      kind: 'settled',
      result: undefined,
    });
  });

  it('begins a new one now', () => {
    expect(adopt().decide(undefined)).toMatchObject({ record: { accountedThrough: 9_000 } });
  });

  it('begins one after every tick of a record that was removed', () => {
    expect(adopt().decide(undefined, 10_000)).toMatchObject({
      record: { accountedThrough: 10_000 },
    });
  });

  it('takes off the mark of a leader that did not know it', () => {
    expect(adopt().decide(record({ unknownSince: 1_000 }))).toMatchObject({
      kind: 'write',
      record: { accountedThrough: 2_000, unknownSince: null },
    });
  });

  it('begins one with another schedule now, and never goes back', () => {
    const changed = (accountedThrough: number) =>
      adopt().decide(record({ schedule: 'T', accountedThrough }));
    expect(changed(2_000)).toMatchObject({ record: { schedule: 'S', accountedThrough: 9_000 } });
    expect(changed(20_000)).toMatchObject({ record: { accountedThrough: 20_000 } });
  });

  it('keeps the reports that are to be told', () => {
    const untold = [report('new')];
    expect(adopt().decide(record({ untold })).kind).toBe('settled');
    expect(adopt(true).decide(record({ untold, active: [RUN] }))).toMatchObject({
      record: { untold: [report('new'), { reason: 'interrupted' }] },
    });
  });

  it('tells of runs that it gives up in the order of their ticks', () => {
    const active = [RUN, { ...RUN, id: 'older', scheduledTime: 4_000 }];
    expect(adopt(true).decide(record({ active }))).toMatchObject({
      record: { untold: [{ times: [4_000, 5_000] }] },
    });
  });

  it('gives up runs of leaders that are gone, and stores which to be told', () => {
    const change = adopt(true);
    const verdict = change.decide(record({ active: [RUN] }));
    if (verdict.kind !== 'write') throw new Error(verdict.kind);
    expect(verdict.record).toMatchObject({
      accountedThrough: 2_000,
      active: [],
      lastFailed: { scheduledTime: 5_000, reason: 'interrupted: pod_1 ended in term 3' },
    });
    expect(verdict.record.untold).toEqual([
      { id: 'mine/interrupted', reason: 'interrupted', times: [5_000], isCapped: false },
    ]);
    expect(change.decide({ ...verdict.record, untold: [] }).kind).toBe('settled');
  });
});

describe('when a record is stored', () => {
  const full = record({
    lastScheduleTime: 5_000,
    lastSuccessfulTime: 4_000,
    lastFailed: { scheduledTime: 1_000, at: 2_000, reason: 'no' },
    missedCount: 3,
    lastMissedTime: 500,
    active: [RUN],
    unknownSince: 6_000,
  });

  it('reads as it was written, with times people can read', () => {
    const document = writeJobRecord({}, 'job', full);
    expect(readJobRecord(JSON.parse(JSON.stringify(document)), 'job')).toMatchObject(full);
    expect(JSON.stringify(document)).toContain('"accountedThrough":"1970-01-01T00:00:02Z"');
  });

  it('keeps what it does not understand, of the document, of other jobs and of this one', () => {
    const document = { later: 1, jobs: { other: { x: 1 }, job: { y: 2 } } };
    const first = writeJobRecord(document, 'job', { ...full, source: { y: 2 } });
    expect(first).toMatchObject({ later: 1, jobs: { other: { x: 1 }, job: { y: 2 } } });
  });

  it.each([
    [null],
    [5],
    ['x'],
    [{}],
    [{ jobs: 5 }],
    [{ jobs: { job: [] } }],
    [{ jobs: { job: { accountedThrough: 'x' } } }],
  ])('takes nonsense for no record: %j', (document) => {
    expect(readJobRecord((document as never) ?? {}, 'job')).toBeUndefined();
  });

  it('reads a record with nonsense in its other fields', () => {
    const accountedThrough = '2026-01-01T00:00:00.000Z';
    const job = {
      accountedThrough,
      missedCount: -1,
      active: [1, {}, { run: 'r' }],
      lastFailed: 'x',
    };
    expect(readJobRecord({ jobs: { job } }, 'job')).toMatchObject({
      missedCount: 0,
      active: [],
      lastFailed: null,
    });
  });

  it('does not take what every object has for a job', () => {
    expect(readJobRecord({ jobs: {} }, 'constructor')).toBeUndefined();
  });

  it('shortens a reason to one line', () => {
    expect(shortReason(new TypeError('a\n b'))).toBe('TypeError: a b');
    expect(shortReason('x'.repeat(500))).toHaveLength(200);
    expect(shortReason(undefined)).toBe('undefined');
  });
});
