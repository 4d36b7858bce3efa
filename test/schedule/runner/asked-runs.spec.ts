import { describe, expect, it } from '@jest/globals';
import type {
  ActiveRun,
  JobRecord,
  TriggerAnswer,
  TriggerRequest,
} from '../../../lib/schedule/ledger/job-record.js';
import { NEVER_RUN } from '../../../lib/schedule/ledger/job-record.js';
import {
  TriggerAsk,
  TriggerClaim,
  TriggerStarted,
  TriggerTakeBack,
} from '../../../lib/schedule/ledger/trigger-changes.js';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { JOB, LEASE_DURATION_MS, ScheduledProcess } from '../support/scheduled-process.js';
import type { Fate } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;
const START = Date.UTC(2026, 0, 1);

function request(change: Partial<TriggerRequest> = {}): TriggerRequest {
  return { id: 'r1', at: START, by: 'anna', notAfter: START + MINUTE_MS, ...change };
}

/** As another process stores it. */
async function ask(process: ScheduledProcess, change: Partial<TriggerRequest> = {}): Promise<void> {
  const { id, at, by, notAfter } = request(change);
  const printed = { at: new Date(at).toISOString(), notAfter: new Date(notAfter).toISOString() };
  await process.edit({ trigger: { id, by, ...printed } });
}

async function leading(change: Partial<JobDefinition> = {}): Promise<ScheduledProcess> {
  return (await new ScheduledProcess().withJob(change)).lead();
}

function many(fate: Fate, times = 400): Fate[] {
  return Array.from({ length: times }, () => fate);
}

function unresolved({ log }: ScheduledProcess): number {
  return log.filter((line) => line === 'skipped unresolved').length;
}

async function readNow(process: ScheduledProcess): Promise<void> {
  process.schedule.readNow();
  await process.clock.settle();
}

describe('when the record asks the leader for a run', () => {
  it('starts it once it is told to read, and says by which run', async () => {
    const process = await leading();
    await ask(process);
    await readNow(process);
    expect(process.started).toHaveLength(1);
    const record = await process.record();
    expect(record.trigger).toBeUndefined();
    expect(record.triggered).toMatchObject({
      id: 'r1',
      by: 'a',
      state: 'succeeded',
      refused: '',
    });
    expect(record.triggered!.run).not.toBe('');
    expect(record).toMatchObject({ active: [], history: [{ isTriggered: true }] });
  });

  it('uses up no tick, and reads nothing until it is told to', async () => {
    const process = await leading();
    const { accountedThrough } = await process.record();
    await ask(process);
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.started).toHaveLength(0);
    await readNow(process);
    expect((await process.record()).accountedThrough).toBe(accountedThrough);
  });

  it('starts it when a term begins, if that is in time', async () => {
    const process = await leading();
    await process.lose();
    await ask(process);
    await process.lead(2);
    expect(process.started).toHaveLength(1);
  });

  it('refuses it afterwards', async () => {
    const process = await leading();
    await process.lose();
    await ask(process);
    await process.clock.advance(MINUTE_MS + 1);
    await process.lead(2);
    const { trigger, triggered } = await process.record();
    expect(trigger).toBeUndefined();
    expect(triggered).toMatchObject({ id: 'r1', refused: 'the leader heard of it too late' });
    expect(process.log).not.toContain('skipped forbidden');
  });

  it('starts it also while the job is suspended for the fleet', async () => {
    const process = await leading();
    await process.job().switchFleet({ isSuspended: true, by: 'a', reason: '' });
    await ask(process);
    await readNow(process);
    expect(process.started).toHaveLength(1);
  });

  it('refuses it while another run is active, under Forbid', async () => {
    const process = await leading();
    process.handler = () => new Promise(() => undefined);
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(1);
    await ask(process, { at: START + MINUTE_MS, notAfter: START + 2 * MINUTE_MS });
    await readNow(process);
    expect(process.started).toHaveLength(1);
    expect((await process.record()).triggered).toMatchObject({
      id: 'r1',
      run: '',
      refused: 'another run is active, or about to start',
    });
  });

  it('lets the active run make way under Replace', async () => {
    const process = await leading({ concurrencyPolicy: 'Replace' });
    process.handler = ({ signal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await process.clock.advance(MINUTE_MS);
    await ask(process, { at: START + MINUTE_MS, notAfter: START + 2 * MINUTE_MS });
    await readNow(process);
    expect(process.started).toHaveLength(2);
    expect(process.started[0]!.signal.aborted).toBe(true);
  });

  it('starts it once, by one of two processes that both believe they are leader', async () => {
    const policy = { concurrencyPolicy: 'Allow' } as const;
    const first = await leading(policy);
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob(policy);
    await second.lead(2);
    await ask(first);
    first.schedule.readNow();
    second.schedule.readNow();
    await first.clock.settle();
    expect(first.started.length + second.started.length).toBe(1);
  });

  it('starts it once, though the store goes back to before that', async () => {
    const process = await leading();
    await ask(process);
    const before = await process.store.document();
    await readNow(process);
    await process.store.put(before);
    await readNow(process);
    await process.clock.advance(LEASE_DURATION_MS);
    expect(process.started).toHaveLength(1);
  });

  it('never starts what it could not record as claimed', async () => {
    const process = await leading();
    await ask(process);
    process.store.fatesOfWrites.push(...many('lost'));
    process.schedule.readNow();
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.started).toHaveLength(0);
    expect(process.log).toContain('skipped unresolved');
  });
});

describe('when the answer says what became of the run', () => {
  it('is claimed before it is started, started while it lasts, and then how it ended', async () => {
    const process = await leading();
    let end: () => void = () => undefined;
    process.handler = () => new Promise<void>((_, reject) => (end = () => reject(new Error('no'))));
    await ask(process);
    process.store.fatesOfWrites.push('ok', 'held');
    await readNow(process);
    expect((await process.record()).triggered).toMatchObject({ state: 'claimed' });
    expect(process.started).toHaveLength(1);
    process.store.release();
    await process.clock.settle();
    expect((await process.record()).triggered).toMatchObject({ state: 'started' });
    end();
    await process.clock.settle();
    expect((await process.record()).triggered).toMatchObject({ state: 'failed', refused: '' });
  });

  it('is that it was not started, if its claim was stored and not confirmed in time', async () => {
    const process = await leading();
    await ask(process);
    process.store.fatesOfReads.push('ok', ...many('lost', 7));
    process.store.fatesOfWrites.push('unanswered');
    await readNow(process);
    expect((await process.record()).triggered).toMatchObject({ state: 'claimed' });
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.log).toContain('skipped unresolved');
    expect(process.started).toHaveLength(0);
    const { active, triggered } = await process.record();
    expect(active).toEqual([]);
    expect(triggered).toMatchObject({
      id: 'r1',
      state: 'not-started',
      refused: 'its claim could not be confirmed in time',
    });
  });

  it('is that it was not started, if leadership ended before', async () => {
    const process = await leading();
    await ask(process);
    process.store.fatesOfWrites.push('held');
    await readNow(process);
    process.freeze();
    process.store.release();
    await process.clock.settle();
    expect(process.started).toHaveLength(0);
    expect((await process.record()).triggered).toMatchObject({
      state: 'not-started',
      refused: 'not started: leadership or the job has ended',
    });
  });

  it('is that it was not started, if its claim was confirmed after the last time to start', async () => {
    const process = await leading();
    await ask(process, { notAfter: START + 2_000 });
    process.store.fatesOfWrites.push('held');
    await readNow(process);
    await process.clock.advance(2_500);
    process.store.release();
    await process.clock.settle();
    expect(process.started).toHaveLength(0);
    expect((await process.record()).triggered).toMatchObject({
      state: 'not-started',
      refused: 'not started: its claim was confirmed too late',
    });
  });

  it('is that it was interrupted, if its leader has gone and a later one gives it up', async () => {
    const first = await leading();
    first.handler = () => new Promise(() => undefined);
    await ask(first);
    await readNow(first);
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob();
    await second.lead(2);
    expect((await second.record()).triggered).toMatchObject({ by: 'a', state: 'interrupted' });
    expect(second.started).toHaveLength(0);
  });

  it('is not changed by another run', async () => {
    const process = await leading();
    await ask(process);
    await readNow(process);
    process.handler = () => Promise.reject(new Error('no'));
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(2);
    expect((await process.record()).triggered).toMatchObject({ state: 'succeeded' });
  });
});

describe('when a request could not be decided, as the store did not answer', () => {
  it('is tried again, and starts once', async () => {
    const process = await leading();
    await ask(process);
    process.store.fatesOfWrites.push(...many('lost'));
    await readNow(process);
    await process.clock.advance(15_000);
    expect(process.log).toContain('skipped unresolved');
    process.store.fatesOfWrites.length = 0;
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.started).toHaveLength(1);
    expect((await process.record()).triggered).toMatchObject({ id: 'r1', state: 'succeeded' });
  });

  it('is refused once it is too late', async () => {
    const process = await leading();
    await process.job().switchFleet({ isSuspended: true, by: 'a', reason: '' });
    await ask(process);
    process.store.fatesOfWrites.push(...many('lost', 2_000));
    await readNow(process);
    await process.clock.advance(MINUTE_MS + 1);
    process.store.fatesOfWrites.length = 0;
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(0);
    expect((await process.record()).triggered).toMatchObject({ id: 'r1', state: 'refused' });
  });

  it('is tried again less and less often', async () => {
    const process = await leading();
    await process.job().switchFleet({ isSuspended: true, by: 'a', reason: '' });
    const last = START + 20 * MINUTE_MS;
    await ask(process, { notAfter: last });
    process.store.fatesOfWrites.push(...many('lost', 2_000));
    await readNow(process);
    await process.clock.advance(MINUTE_MS);
    const early = unresolved(process);
    await process.clock.advance(9 * MINUTE_MS);
    expect(early).toBeGreaterThan(2);
    expect(unresolved(process) - early).toBeLessThan(16);
  });
});

describe('when an active run is to make way for one that was asked for (Replace)', () => {
  async function running(): Promise<ScheduledProcess> {
    const process = await leading({ concurrencyPolicy: 'Replace' });
    process.handler = ({ signal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await process.clock.advance(MINUTE_MS);
    await ask(process, { at: START + MINUTE_MS, notAfter: START + 1.5 * MINUTE_MS });
    return process;
  }

  it('continues if the request was taken back in the meantime', async () => {
    const process = await running();
    process.store.fatesOfReads.push('ok', 'held');
    await readNow(process);
    await process.edit({ trigger: undefined });
    process.store.release();
    await process.clock.settle();
    expect(process.started).toHaveLength(1);
    expect(process.started[0]!.signal.aborted).toBe(false);
  });

  it('continues while the record cannot be read', async () => {
    const process = await running();
    process.store.fatesOfReads.push('ok', ...many('lost', 8));
    await readNow(process);
    await process.clock.advance(5_000);
    expect(process.started[0]!.signal.aborted).toBe(false);
    process.store.fatesOfReads.length = 0;
    await process.clock.advance(20_000);
    expect(process.started).toHaveLength(2);
  });

  it('is followed by none if it took until it was too late', async () => {
    const process = await leading({ concurrencyPolicy: 'Replace' });
    process.handler = () => new Promise<void>((end) => void process.clock.setTimer(end, 20_000));
    await process.clock.advance(MINUTE_MS);
    await ask(process, { at: START + MINUTE_MS, notAfter: START + MINUTE_MS + 10_000 });
    await readNow(process);
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.started).toHaveLength(1);
    expect((await process.record()).triggered).toMatchObject({
      refused: 'the run that made way for it ended too late',
    });
  });
});

describe('when others have changed the record, and say so', () => {
  it('ends a run that was cancelled at once', async () => {
    const process = await leading();
    const { clock } = process;
    const operator = await new ScheduledProcess('cli', clock, process.store).withJob();
    process.handler = ({ signal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await clock.advance(MINUTE_MS);
    void operator.job().cancel({ by: 'anna', reason: '', waitMs: 0 });
    await clock.settle();
    expect(process.started[0]!.signal.aborted).toBe(false);
    await readNow(process);
    expect(process.started[0]!.signal.aborted).toBe(true);
  });
});

describe('when a run is asked for', () => {
  const known: JobRecord = {
    ...NEVER_RUN,
    schedule: '* * * * *',
    accountedThrough: START,
    claimNonce: '',
  };
  const earlier = request({ id: 'r0', notAfter: START + 1 });
  const answer = (id: string, change: Partial<TriggerAnswer> = {}): TriggerAnswer => ({
    id,
    at: START,
    by: 'a',
    state: 'claimed',
    run: 'x',
    refused: '',
    ...change,
  });

  it('is claimed by one run, whoever else has seen the request', () => {
    const run = (id: string): ActiveRun => ({
      id,
      scheduledTime: START,
      startedAt: START,
      term: 1,
      fencingToken: '1',
      holderIdentity: id,
    });
    const claim = (id: string): TriggerClaim => new TriggerClaim(JOB, request(), run(id));
    const first = claim('a').decide({ ...known, trigger: request() });
    const record = (first as Extract<typeof first, { kind: 'write' }>).record;
    expect(record).toMatchObject({ active: [{ id: 'a' }], triggered: { id: 'r1', run: 'a' } });
    expect(claim('a').decide(record)).toEqual({ kind: 'settled', result: 'won' });
    expect(claim('b').decide(record)).toEqual({ kind: 'settled', result: 'gone' });
  });

  it.each<[string, JobRecord | undefined, unknown]>([
    ['the fleet does not have', undefined, { kind: 'settled', result: 'unknown' }],
    ['waits for another one', { ...known, trigger: earlier }, { kind: 'settled', result: 'busy' }],
    [
      'has it stored already',
      { ...known, trigger: request() },
      { kind: 'settled', result: 'stored' },
    ],
    [
      'has answered it',
      { ...known, triggered: answer('r1') },
      { kind: 'settled', result: 'stored' },
    ],
    [
      'was asked for one that is too late',
      { ...known, trigger: { ...earlier, notAfter: START } },
      { kind: 'write', record: { ...known, trigger: request() } },
    ],
  ])('of a job that %s, decides by the record', (_, record, verdict) => {
    expect(new TriggerAsk(JOB, request()).decide(record)).toEqual(verdict);
  });
  it('is not asked for again after its answer has given way to that to another request', () => {
    const ask = new TriggerAsk(JOB, request());
    const before = { ...known, triggered: answer('r0') };
    expect(ask.decide(before)).toMatchObject({ kind: 'write' });
    expect(ask.decide(before)).toMatchObject({ kind: 'write' });
    const after = { ...known, triggered: answer('r2') };
    expect(ask.decide(after)).toEqual({ kind: 'settled', result: 'overtaken' });
  });

  it('is taken back, also where it is not found and may still arrive', () => {
    const ask = new TriggerAsk(JOB, request());
    const before = { ...known, triggered: answer('r0') };
    ask.decide(before);
    const back = new TriggerTakeBack(ask, START + 1);
    for (const record of [before, { ...before, trigger: request() }]) {
      const taken = back.decide(record) as { kind: 'write'; record: JobRecord };
      expect(taken.record).not.toHaveProperty('trigger');
      expect(taken.record.triggered).toMatchObject({ id: 'r1', by: 'anna', state: 'refused' });
      expect(back.decide(taken.record)).toMatchObject({ kind: 'settled', result: { id: 'r1' } });
    }
  });

  it('is not taken back once a leader has answered it, or another one since', () => {
    const ask = new TriggerAsk(JOB, request());
    ask.decide(known);
    const back = new TriggerTakeBack(ask, START + 1);
    const own = answer('r1');
    expect(back.decide({ ...known, triggered: own })).toEqual({ kind: 'settled', result: own });
    expect(back.decide({ ...known, triggered: answer('r2') })).toEqual({ kind: 'settled' });
  });

  it.each(['succeeded', 'interrupted', 'not-started'] as const)(
    'is not said to have started once it is known that it %s',
    (state) => {
      const record = { ...known, triggered: answer('r1', { state }) };
      expect(new TriggerStarted(JOB, 'x').decide(record)).toEqual({ kind: 'settled' });
    },
  );
});
