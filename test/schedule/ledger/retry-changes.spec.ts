import { describe, expect, it } from '@jest/globals';
import {
  type ActiveRun,
  type JobRecord,
  NEVER_RUN,
  type PendingRetry,
} from '../../../lib/schedule/ledger/job-record.js';
import {
  JobAdoption,
  RunEnd,
  TickClaim,
  type Verdict,
} from '../../../lib/schedule/ledger/ledger-changes.js';
import { LedgerMemory } from '../../../lib/schedule/ledger/ledger-memory.js';
import { RetryClaim, RetryDrop, RetryReturn } from '../../../lib/schedule/ledger/retry-changes.js';

const TICK = 5_000;
const run = (id: string, change: Partial<ActiveRun> = {}): ActiveRun => ({
  id,
  scheduledTime: TICK,
  startedAt: TICK,
  term: 1,
  fencingToken: '1',
  holderIdentity: 'pod_1',
  ...change,
});
const FIRST = run('first');
const SECOND = run('second', { attempt: 2, startedAt: 20_000 });
const CANCELLATION = { at: 21_000, by: 'pod_2', reason: 'stuck' };
const retry = (change: Partial<PendingRetry> = {}): PendingRetry => ({
  scheduledTime: TICK,
  attempt: 2,
  notBefore: 19_000,
  notAfter: 60_000,
  isRerun: false,
  returned: [],
  ...change,
});
const record = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...NEVER_RUN,
  schedule: 'S',
  accountedThrough: TICK,
  claimNonce: 'first',
  ...change,
});
const written = <R>(verdict: Verdict<R>): JobRecord => {
  if (verdict.kind !== 'write') throw new Error(verdict.kind);
  return verdict.record;
};
const ended = { run: FIRST, endedAt: 9_000, failure: 'no paper', historyLimit: 10 };
const fails = (change = {}) => new RunEnd('job', { ...ended, retry: retry(), ...change });
const claim = (by = SECOND, isOptionSuspend = false) =>
  new RetryClaim('job', retry(), by, isOptionSuspend);

describe('when a run has failed and another attempt is to follow', () => {
  it('is recorded with it in one write', () => {
    const after = written(fails().decide(record({ active: [FIRST] })));
    expect(after).toMatchObject({ active: [], retries: [retry()] });
    expect(after.lastFailed).toMatchObject({ scheduledTime: TICK, reason: 'no paper' });
  });

  it.each<[string, Partial<JobRecord>]>([
    ['was given up by another leader', {}],
    ['was given up, and its next attempt runs', { active: [SECOND] }],
    [
      'was given up, and another tick has failed since',
      { lastFailed: { scheduledTime: 0, at: 1, reason: 'r' } },
    ],
  ])('is not followed by one if it %s', (_what, change) => {
    expect(written(fails().decide(record(change))).retries).toEqual([]);
  });

  it('is followed by none while 20 others wait', () => {
    const retries = Array.from({ length: 20 }, (_, index) => retry({ scheduledTime: index }));
    expect(written(fails().decide(record({ active: [FIRST], retries }))).retries).toBe(retries);
  });

  it('says in the history which attempt it was', () => {
    const active = [FIRST, SECOND];
    const one = written(fails({ retry: undefined }).decide(record({ active })));
    const both = written(fails({ run: SECOND, retry: undefined }).decide(one));
    expect(both.history.map(({ attempt }) => attempt)).toEqual([undefined, 2]);
  });
});

describe('when an attempt is claimed', () => {
  const waiting = record({ retries: [retry()] });

  it('is won by the one whose own run is active then, and by no other', () => {
    const claimed = written(claim().decide(waiting));
    expect(claimed).toMatchObject({ retries: [], active: [SECOND], accountedThrough: TICK });
    expect(claim().decide(claimed)).toEqual({ kind: 'settled', result: 'won' });
    const other = claim(run('other', { attempt: 2 }));
    expect(other.decide(claimed)).toEqual({ kind: 'settled', result: 'taken' });
  });

  it.each<[string, JobRecord | undefined, 'taken' | 'outdated']>([
    ['it is no longer to start', record(), 'taken'],
    ['its run was given up', record({ retries: [retry({ attempt: 3 })] }), 'taken'],
    ['there is no record', undefined, 'outdated'],
    [
      'the job is suspended',
      {
        ...waiting,
        fleetSwitch: { isSuspended: true, at: 0, by: 'b', reason: '', liftsOption: false },
      },
      'outdated',
    ],
  ])('is not won if %s', (_what, found, result) => {
    expect(claim().decide(found)).toEqual({ kind: 'settled', result });
  });

  it('is not won if the options suspend the job', () => {
    const result = { kind: 'settled', result: 'outdated' };
    expect(claim(SECOND, true).decide(waiting)).toEqual(result);
  });
});

describe('when an attempt that was claimed is handed back', () => {
  const claimed = record({ active: [SECOND] });
  const back = new RetryReturn('job', retry(), SECOND);

  it('is to start again, and says which run had claimed it', () => {
    const after = written(back.decide(claimed));
    expect(after).toMatchObject({ active: [], retries: [retry({ returned: ['second'] })] });
    expect(back.decide(after)).toEqual({ kind: 'settled', result: true });
    expect(after.accountedThrough).toBe(TICK);
  });

  it('stays claimed once another leader has given its run up', () => {
    const next = record({ retries: [retry({ attempt: 3 })] });
    expect(back.decide(next)).toEqual({ kind: 'settled', result: false });
    expect(back.decide(undefined)).toEqual({ kind: 'settled', result: false });
  });

  it('stays claimed if it was cancelled, so that it does not start again', () => {
    const cancelled = record({ active: [{ ...SECOND, cancellation: CANCELLATION }] });
    expect(back.decide(cancelled)).toEqual({ kind: 'settled', result: false });
  });
});

describe('when attempts are dropped', () => {
  const drop = new RetryDrop('job', ({ notAfter }) => notAfter !== null && notAfter < 99_000);

  it('tells which, and leaves the others', () => {
    const later = retry({ scheduledTime: 9_000, notAfter: null });
    const after = written(drop.decide(record({ retries: [retry(), later] })));
    expect(after).toMatchObject({ retries: [later], untold: [] });
    expect(drop.decide(after)).toEqual({ kind: 'settled', result: [retry()] });
  });

  it('reports the tick as interrupted if no attempt of it has ended', () => {
    const rerun = retry({ isRerun: true });
    const { untold } = written(drop.decide(record({ retries: [rerun] })));
    expect(untold).toMatchObject([{ reason: 'interrupted', times: [TICK], isCapped: false }]);
  });
});

describe('when a later tick is claimed while attempts are to start', () => {
  const waiting = record({ retries: [retry(), retry({ scheduledTime: 4_000, isRerun: true })] });
  const later = (replacesRetries: boolean, begins = true) =>
    new TickClaim({
      job: 'job',
      schedule: 'S',
      tick: 65_000,
      nonce: 'later',
      run: begins ? run('later', { scheduledTime: 65_000 }) : null,
      missed: [],
      basis: TICK,
      reason: 'not-started',
      isOptionSuspend: false,
      isCapped: false,
      replacesRetries,
    });

  it('takes their place under Replace, tells which, and reports ticks of which none has ended', () => {
    const claimed = later(true);
    const after = written(claimed.decide(waiting));
    expect(after.retries).toEqual([]);
    expect(after.untold).toMatchObject([{ reason: 'interrupted', times: [4_000] }]);
    expect(claimed.decide(after)).toEqual({
      kind: 'settled',
      result: { kind: 'won', missed: [], dropped: waiting.retries },
    });
  });

  it.each<[string, TickClaim]>([
    ['it does not start', later(true, false)],
    ['the policy is another', later(false)],
  ])('leaves them if %s', (_what, change) => {
    expect(written(change.decide(waiting))).toMatchObject({ retries: waiting.retries, untold: [] });
  });
});

describe('when a leader adopts a job whose run was interrupted, and it is to run again', () => {
  const adoption = (rerunOf: () => PendingRetry | undefined) =>
    new JobAdoption({
      job: 'job',
      schedule: 'S',
      now: 20_000,
      historyLimit: 10,
      isOptionSuspend: false,
      isOver: () => true,
      continues: () => true,
      rerunOf,
    });
  const rerun = retry({ isRerun: true, notAfter: null });

  it('is to start, and is not reported', () => {
    const after = written(adoption(() => rerun).decide(record({ active: [FIRST] })));
    expect(after).toMatchObject({ active: [], retries: [rerun], untold: [] });
    expect(after.history).toMatchObject([{ outcome: 'interrupted', scheduledTime: TICK }]);
  });

  it('no longer lets its claimant start it, if that has not heard of its claim yet', () => {
    const { claimNonce } = written(adoption(() => rerun).decide(record({ active: [FIRST] })));
    expect(claimNonce).toBe('');
    const reported = written(adoption(() => undefined).decide(record({ active: [FIRST] })));
    expect(reported.claimNonce).toBe('first');
  });

  it('reports a run that was triggered to nobody, and starts it no more', () => {
    const active = [run('asked', { isTriggered: true })];
    const after = written(adoption(() => rerun).decide(record({ active })));
    expect(after).toMatchObject({ active: [], retries: [], untold: [] });
  });

  it('reports it while 20 others wait', () => {
    const retries = Array.from({ length: 20 }, (_, index) => retry({ scheduledTime: index }));
    const after = written(adoption(() => rerun).decide(record({ active: [FIRST], retries })));
    expect(after.retries).toBe(retries);
    expect(after.untold).toMatchObject([{ reason: 'interrupted', times: [TICK] }]);
  });
});

describe('when the store goes back to before an attempt was claimed', () => {
  it('is not to start again in a process that has seen the claim', () => {
    const memory = new LedgerMemory();
    memory.saw('job', record({ active: [SECOND] }));
    expect(memory.recall('job', record({ retries: [retry()] }))).toMatchObject({
      retries: [],
      isRecalled: true,
    });
    expect(memory.recall('other', record({ retries: [retry()] })).retries).toHaveLength(1);
  });

  it('is not to start in a process that has seen a later attempt', () => {
    const memory = new LedgerMemory();
    memory.saw('job', record({ retries: [retry({ attempt: 3 })] }));
    expect(memory.recall('job', record({ retries: [retry()] })).retries).toEqual([]);
    const next = record({ retries: [retry({ attempt: 3 })] });
    expect(memory.recall('job', next)).toBe(next);
  });

  it('is not to start for the run before it, whose end this process knows', () => {
    const memory = new LedgerMemory();
    memory.saw('job', record({ active: [SECOND] }));
    memory.runEnded({ ...ended, retry: retry() });
    const recalled = memory.recall('job', record({ active: [FIRST] }));
    expect(recalled).toMatchObject({ active: [], retries: [] });
  });

  it('is to start if the claim was handed back', () => {
    const memory = new LedgerMemory();
    memory.saw('job', record({ active: [SECOND] }));
    const open = record({ retries: [retry({ returned: ['second'] })] });
    expect(memory.recall('job', open)).toBe(open);
  });
});

describe('when the claim of an attempt turns up after it was given up', () => {
  it('is to start again as another run, and is not reported as not started', () => {
    const memory = new LedgerMemory();
    memory.runAbandoned('second', retry());
    const late = record({ active: [SECOND] });
    memory.saw('job', late);
    const recalled = memory.recall('job', late);
    expect(recalled).toMatchObject({
      active: [],
      untold: [],
      missedCount: 0,
      retries: [retry({ returned: ['second'] })],
    });
    expect(recalled.isRecalled).toBe(true);
  });

  it('is to start again although an earlier claim of it was given up since it was read', () => {
    const memory = new LedgerMemory();
    const open = record({ retries: [retry({ returned: ['earlier'] })] });
    memory.saw('job', record({ active: [{ ...SECOND, id: 'earlier' }] }));
    const claimed = claim();
    const late = written(claimed.decide(open));
    memory.gaveUp(claimed);
    memory.saw('job', late);
    const { retries } = memory.recall('job', late);
    expect(retries).toEqual([retry({ returned: ['earlier', 'second'] })]);
    const back = new RetryReturn('job', claimed.retry, SECOND);
    expect(written(back.decide(late)).retries).toEqual(retries);
  });

  it.each([
    ['and its tick is reported if it was to run an interrupted run again', true, ['interrupted']],
    ['and a failure before it is final', false, []],
  ])('is not to start again if it was cancelled, %s', (_what, isRerun, reasons) => {
    const memory = new LedgerMemory();
    memory.runAbandoned('second', retry({ isRerun }));
    const late = record({ active: [{ ...SECOND, cancellation: CANCELLATION }] });
    const recalled = memory.recall('job', late);
    expect(recalled).toMatchObject({ active: [], retries: [], isRecalled: true });
    expect(recalled.untold.map(({ reason }) => reason)).toEqual(reasons);
  });
});
