import { describe, expect, it } from '@jest/globals';
import type {
  ActiveRun,
  JobRecord,
  TriggerRequest,
} from '../../../lib/schedule/ledger/job-record.js';
import { NEVER_RUN } from '../../../lib/schedule/ledger/job-record.js';
import { TriggerAsk, TriggerClaim } from '../../../lib/schedule/ledger/trigger-changes.js';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { JOB, LEASE_DURATION_MS, ScheduledProcess } from '../support/scheduled-process.js';

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
    expect(record.triggered).toMatchObject({ id: 'r1', by: 'a', refused: '' });
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
    process.store.fatesOfWrites.push(...Array.from({ length: 200 }, () => 'lost' as const));
    process.schedule.readNow();
    await process.clock.advance(MINUTE_MS / 2);
    expect(process.started).toHaveLength(0);
    expect(process.log).toContain('skipped unresolved');
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
      { ...known, triggered: { id: 'r1', at: START, by: 'a', run: 'x', refused: '' } },
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
});
