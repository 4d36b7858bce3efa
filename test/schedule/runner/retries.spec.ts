import { describe, expect, it } from '@jest/globals';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { ManualClock } from '../../support/manual-clock.js';
import { clockTime, ScheduledProcess } from '../support/scheduled-process.js';
import { type Fate, ScriptedDocumentStore } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;
const AT = '2026-01-01T00:05:01Z';

/** Every five minutes, and two more attempts: 10 s after the first has failed, and 20 s after the second. */
const RETRIED: Partial<JobDefinition> & { expression: string } = {
  expression: '*/5 * * * *',
  retries: { limit: 2, backoffMs: 10_000 },
};
const EVERY_MINUTE = { ...RETRIED, expression: '* * * * *' };

/** At the first tick. */
async function failing(change: Partial<typeof RETRIED> = {}): Promise<ScheduledProcess> {
  const process = await new ScheduledProcess().withJob({ ...RETRIED, ...change });
  process.handler = () => Promise.reject(new Error('no paper'));
  await process.lead();
  await process.clock.advance(change.expression === undefined ? 5 * MINUTE_MS : MINUTE_MS);
  return process;
}

async function next(
  before: ScheduledProcess,
  change: Partial<typeof RETRIED> = {},
): Promise<ScheduledProcess> {
  const process = new ScheduledProcess('b', before.clock, before.store);
  await process.withJob({ ...RETRIED, ...change });
  return process.lead(2);
}

const attemptsOf = ({ started }: ScheduledProcess): string[] =>
  started.map(
    ({ attempt, scheduledTime }) => `${scheduledTime.toISOString().slice(14, 19)} ${attempt}`,
  );

describe('when a run fails and is to be tried again', () => {
  it('waits twice as long before each attempt, and ends after the last', async () => {
    const process = await failing();
    const { clock } = process;
    await clock.advance(9_999);
    expect(attemptsOf(process)).toEqual(['05:00 1']);
    await clock.advance(1);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
    await clock.advance(19_999);
    expect(process.started).toHaveLength(2);
    await clock.advance(1);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2', '05:00 3']);
    await clock.advance(2 * MINUTE_MS);
    expect(process.started).toHaveLength(3);
    const { lastFailed, history, missedCount, retries } = await process.record();
    expect(lastFailed).toMatchObject({ reason: 'Error: no paper' });
    expect(history.map(({ attempt }) => attempt)).toEqual([undefined, 2, 3]);
    expect({ missedCount, retries }).toEqual({ missedCount: 0, retries: [] });
  });

  it('is not tried again once an attempt has succeeded', async () => {
    const process = await failing();
    process.handler = () => undefined;
    await process.clock.advance(4 * MINUTE_MS);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
    const { lastSuccessfulTime, lastFailed } = await process.record();
    expect(lastSuccessfulTime).toBeGreaterThan(lastFailed!.at);
  });

  it('claims each attempt in one write, and records its end in one', async () => {
    const process = await failing();
    const { store, clock } = process;
    const [reads, writes] = [store.reads, store.writes];
    await clock.advance(30_000);
    expect([store.reads - reads, store.writes - writes]).toEqual([0, 4]);
  });

  it('says when the next attempt may start, and that none follows the last', async () => {
    const process = await failing();
    await process.clock.advance(MINUTE_MS);
    expect(process.retryTimes).toEqual(['00:05:10', '00:05:30', null]);
  });

  it('starts no attempt after startingDeadlineSeconds', async () => {
    const process = await failing({ startingDeadlineMs: 25_000 });
    await process.clock.advance(4 * MINUTE_MS);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
    expect(process.retryTimes).toEqual(['00:05:10', null]);
  });

  it('tries a run again that has taken longer than timeoutMs', async () => {
    const process = await failing({ timeoutMs: 1_000 });
    process.handler = ({ signal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await process.clock.advance(30_999);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
    await process.clock.advance(1);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2', '05:00 3']);
  });

  it('tries a run that was cancelled no more', async () => {
    const process = await failing();
    process.handler = ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted'))),
      );
    await process.clock.advance(10_000);
    const cancelled = process.job().cancel({ by: 'x', reason: '', waitMs: 1_000 });
    await process.clock.advance(MINUTE_MS);
    expect(await cancelled).toBe('ended');
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
    expect(process.retryTimes).toEqual(['00:05:10', null]);
  });

  it('tries a run by trigger() once', async () => {
    const process = await new ScheduledProcess().withJob(RETRIED);
    process.handler = () => Promise.reject(new Error('no paper'));
    await process.lead();
    await expect(process.job().trigger(process.term!)).resolves.toBe('failed');
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(1);
  });
});

describe('when a tick is due while an attempt of another is to start', () => {
  it('is forbidden under Forbid', async () => {
    const process = await failing({ ...EVERY_MINUTE, retries: { limit: 1, backoffMs: 70_000 } });
    await process.clock.advance(MINUTE_MS);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 1 }]);
    process.handler = () => undefined;
    await process.clock.advance(MINUTE_MS);
    expect(attemptsOf(process)).toEqual(['01:00 1', '01:00 2', '03:00 1']);
  });

  it('waits under Forbid for as long as startingDeadlineSeconds lets it', async () => {
    const process = await failing({
      ...EVERY_MINUTE,
      startingDeadlineMs: 80_000,
      retries: { limit: 1, backoffMs: 70_000 },
    });
    process.handler = () => undefined;
    await process.clock.advance(70_000);
    expect(attemptsOf(process)).toEqual(['01:00 1', '01:00 2', '02:00 1']);
    expect(process.missed).toEqual([]);
  });

  it('runs beside it under Allow', async () => {
    const retries = { limit: 1, backoffMs: 70_000 };
    const process = await failing({ ...EVERY_MINUTE, concurrencyPolicy: 'Allow', retries });
    await process.clock.advance(70_000);
    expect(attemptsOf(process)).toEqual(['01:00 1', '02:00 1', '01:00 2']);
  });

  it('takes its place under Replace', async () => {
    const retries = { limit: 1, backoffMs: 70_000 };
    const process = await failing({ ...EVERY_MINUTE, concurrencyPolicy: 'Replace', retries });
    process.handler = () => undefined;
    await process.clock.advance(3 * MINUTE_MS);
    expect(attemptsOf(process)).toEqual(['01:00 1', '02:00 1', '03:00 1', '04:00 1']);
    expect(process.log).toContain('dropped 2 replaced');
  });

  it('ends a run under Replace for good', async () => {
    const process = await failing({ ...EVERY_MINUTE, concurrencyPolicy: 'Replace' });
    const { clock } = process;
    process.handler = ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted'))),
      );
    await clock.advance(MINUTE_MS);
    process.handler = () => undefined;
    await clock.advance(MINUTE_MS);
    expect(attemptsOf(process)).toEqual(['01:00 1', '01:00 2', '02:00 1', '03:00 1']);
    expect(process.retryTimes.at(-1)).toBeNull();
  });
});

describe('when an attempt is to start while another run of the job is active', () => {
  it('waits until that run has ended', async () => {
    const process = await failing();
    const { clock } = process;
    process.handler = () => new Promise<void>((resolve) => void clock.setTimer(resolve, 15_000));
    void process.job().trigger(process.term!);
    await clock.advance(14_999);
    expect(process.started.map(({ attempt }) => attempt)).toEqual([1, 1]);
    await clock.advance(1);
    expect(process.started.map(({ attempt }) => attempt)).toEqual([1, 1, 2]);
  });
});

describe('when leadership changes while an attempt is to start', () => {
  it('is started by the next leader, and not before its time', async () => {
    const first = await failing();
    await first.lose();
    const second = await next(first);
    await first.clock.advance(9_999);
    expect(second.started).toEqual([]);
    await first.clock.advance(1);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
    expect(first.started).toHaveLength(1);
  });

  it('is started by a leader that comes late, without a deadline', async () => {
    const first = await failing();
    await first.lose();
    await first.clock.advance(3 * MINUTE_MS);
    expect(attemptsOf(await next(first))).toEqual(['05:00 2']);
  });

  it('is started by the next leader after a run that failed as the term ended', async () => {
    const first = await new ScheduledProcess().withJob(RETRIED);
    first.handler = ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted'))),
      );
    await first.lead();
    await first.clock.advance(5 * MINUTE_MS);
    await first.lose();
    const second = await next(first);
    await first.clock.advance(10_000);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
    expect(second.missed).toEqual([]);
  });

  it('is given up after startingDeadlineSeconds, and the leader says so', async () => {
    const deadline = { startingDeadlineMs: MINUTE_MS };
    const first = await failing(deadline);
    await first.lose();
    await first.clock.advance(3 * MINUTE_MS);
    const second = await next(first, deadline);
    expect(second.started).toEqual([]);
    expect(second.log).toEqual(['dropped 2 too-late']);
    expect(second.missed).toEqual([]);
    expect((await second.record()).retries).toEqual([]);
  });

  it('is started although the next release has no retries', async () => {
    const first = await failing();
    await first.lose();
    const second = await next(first, { retries: { limit: 0, backoffMs: 1 } });
    second.handler = () => Promise.reject(new Error('no paper'));
    await first.clock.advance(2 * MINUTE_MS);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
  });

  it('is claimed by one of two processes that both believe that they lead', async () => {
    const [clock, store] = [new ManualClock(), new ScriptedDocumentStore()];
    const both = ['a', 'b'].map((name) => new ScheduledProcess(name, clock, store));
    for (const process of both) {
      process.handler = () => Promise.reject(new Error('no paper'));
      await (await process.withJob(RETRIED)).lead();
    }
    await clock.advance(6 * MINUTE_MS);
    const attempts = both.flatMap(attemptsOf);
    expect(attempts.toSorted()).toEqual(['05:00 1', '05:00 2', '05:00 3']);
  });

  it('is handed back if it ends while the claim is under way, as the same attempt', async () => {
    const first = await failing();
    first.store.fatesOfWrites.push('held');
    await first.clock.advance(10_000);
    await first.lose();
    expect(first.isDrained).toBe(false);
    first.store.release();
    await first.clock.settle();
    expect(first.log.at(-1)).toBe('returned true, leadership ended');
    expect(first.isDrained).toBe(true);
    expect(await first.record()).toMatchObject({ active: [], retries: [{ attempt: 2 }] });
    const second = await next(first);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
    expect(first.started).toHaveLength(1);
  });

  it('is reported as interrupted if its leader died after the claim', async () => {
    const first = await failing();
    first.handler = () => new Promise(() => {});
    await first.clock.advance(10_000);
    await first.lose();
    const second = await next(first);
    await first.clock.advance(2 * MINUTE_MS);
    expect(second.started).toEqual([]);
    expect(second.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
    expect((await second.record()).history.at(-1)).toMatchObject({
      attempt: 2,
      outcome: 'interrupted',
    });
  });
});

describe('when the claim of an attempt has no clear outcome', () => {
  it.each<[string, Fate[]]>([
    ['the answer is lost', ['unanswered']],
    ['the request is lost', ['lost']],
    ['the server refuses', ['rejected']],
  ])('is started once: %s', async (_what, fates) => {
    const process = await failing();
    process.store.fatesOfWrites.push(...fates);
    await process.clock.advance(10_000);
    expect(process.started).toHaveLength(1);
    await process.clock.advance(5_000);
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
  });

  it('is started as another run once the store is back, and reported as nothing', async () => {
    const process = await failing();
    const { store, clock } = process;
    store.fatesOfWrites.push('unanswered');
    store.fatesOfReads.push(...Array<Fate>(200).fill('lost'));
    await clock.advance(40_000);
    expect(process.started).toHaveLength(1);
    expect(process.log).toContain('unresolved');
    store.fatesOfReads.length = 0;
    await clock.advance(30_000);
    expect(attemptsOf(process).slice(0, 2)).toEqual(['05:00 1', '05:00 2']);
    expect(process.missed).toEqual([]);
    await clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(3);
  });
});

describe('when the job is suspended while an attempt is to start', () => {
  it.each<[string, (process: ScheduledProcess) => unknown, (process: ScheduledProcess) => unknown]>(
    [
      [
        'for the fleet',
        (process) => process.job().switchFleet({ isSuspended: true, by: 'a', reason: '' }),
        (process) => process.job().switchFleet({ isSuspended: false, by: 'a', reason: '' }),
      ],
      ['here', (process) => process.job().suspend(), (process) => process.job().resume()],
    ],
  )('starts when it is resumed: %s', async (_what, suspend, resume) => {
    const process = await failing();
    await suspend(process);
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(1);
    await resume(process);
    await process.clock.settle();
    expect(attemptsOf(process)).toEqual(['05:00 1', '05:00 2']);
  });

  it('is given up if it is resumed after the deadline', async () => {
    const process = await failing({ startingDeadlineMs: MINUTE_MS });
    process.job().suspend();
    await process.clock.advance(2 * MINUTE_MS);
    process.job().resume();
    await process.clock.settle();
    expect(process.started).toHaveLength(1);
    expect(process.log).toContain('dropped 2 too-late');
  });
});

describe("when a run is interrupted and the job says onInterrupted: 'rerun'", () => {
  const RERUN: Partial<typeof RETRIED> = {
    onInterrupted: 'rerun',
    retries: { limit: 0, backoffMs: 1 },
  };

  /** A leader that dies in the first run. */
  async function died(change: Partial<typeof RETRIED> = {}): Promise<ScheduledProcess> {
    const process = await new ScheduledProcess('a').withJob({ ...RETRIED, ...RERUN, ...change });
    process.handler = () => new Promise(() => {});
    await process.lead(1);
    await process.clock.advance(5 * MINUTE_MS);
    await process.lose();
    return process;
  }

  it('is run again by the next leader, and not reported', async () => {
    const first = await died();
    const second = await next(first, RERUN);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
    expect(second.missed).toEqual([]);
    expect(second.log).toContain('rerun 2');
    await first.clock.advance(2 * MINUTE_MS);
    expect(second.started).toHaveLength(1);
    const { active, retries, lastSuccessfulTime } = await second.record();
    expect({ active, retries }).toEqual({ active: [], retries: [] });
    expect(lastSuccessfulTime).not.toBeNull();
  });

  it('is run again after startingDeadlineSeconds too', async () => {
    const deadline = { startingDeadlineMs: 1_000 };
    const first = await died(deadline);
    await first.clock.advance(3 * MINUTE_MS);
    expect(attemptsOf(await next(first, { ...RERUN, ...deadline }))).toEqual(['05:00 2']);
  });

  it('is reported after the fourth attempt, as the run may be what ends its process', async () => {
    let process = await died();
    const attempts = attemptsOf(process);
    for (const number of [2, 3, 4, 5]) {
      const after = new ScheduledProcess(`p${number}`, process.clock, process.store);
      after.handler = () => new Promise(() => {});
      await (await after.withJob({ ...RETRIED, ...RERUN })).lead(number);
      attempts.push(...attemptsOf(after));
      await after.lose();
      process = after;
    }
    expect(attempts).toEqual(['05:00 1', '05:00 2', '05:00 3', '05:00 4']);
    expect(process.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
    expect((await process.record()).retries).toEqual([]);
  });

  it('is reported for each of two jobs whose attempts of the same tick give way to the next one', async () => {
    const jobs = ['one', 'two'].map((name) => ({
      ...RERUN,
      name,
      concurrencyPolicy: 'Replace' as const,
      startingDeadlineMs: MINUTE_MS,
    }));
    const first = new ScheduledProcess('a');
    first.handler = () => new Promise(() => {});
    for (const job of jobs) await first.withJob(job);
    await first.lead(1);
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    const second = new ScheduledProcess('b', first.clock, first.store);
    for (const job of jobs) await second.withJob(job);
    await first.clock.advance(MINUTE_MS);
    await second.lead(2);
    const times = second.missed.map(({ job, reason, times: [time] }) => [
      job,
      reason,
      clockTime(time!),
    ]);
    expect(times).toEqual([
      ['one', 'interrupted', '00:01:00'],
      ['two', 'interrupted', '00:01:00'],
    ]);
  });

  it('is run again once though two leaders take over', async () => {
    const first = await died();
    const others = ['b', 'c'].map((name) => new ScheduledProcess(name, first.clock, first.store));
    for (const process of others) await process.withJob({ ...RETRIED, ...RERUN });
    await Promise.all(others.map((process) => process.lead(2)));
    await first.clock.advance(MINUTE_MS);
    expect(others.flatMap(attemptsOf)).toEqual(['05:00 2']);
  });

  it('is not reported by a claimant that had given its claim up, and has not stored that yet', async () => {
    const first = await new ScheduledProcess('a').withJob({ ...RETRIED, ...RERUN });
    const { store, clock } = first;
    await first.lead(1);
    store.fatesOfWrites.push('unanswered');
    store.fatesOfReads.push(...Array<Fate>(200).fill('lost'));
    await clock.advance(5 * MINUTE_MS + 15_000);
    expect(first.log).toContain('unresolved');
    await first.lose();
    store.fatesOfReads.length = 0;
    store.fatesOfWrites.push('held');
    await first.lead(2);
    const { writes } = store;
    while (store.writes === writes) await clock.advance(100);
    const second = new ScheduledProcess('b', clock, new ScriptedDocumentStore(store.inner));
    await (await second.withJob({ ...RETRIED, ...RERUN })).lead(3);
    expect(attemptsOf(second)).toEqual(['05:00 2']);
    store.release();
    await clock.advance(MINUTE_MS);
    expect([...first.missed, ...second.missed]).toEqual([]);
    expect((await second.record()).missedCount).toBe(0);
  });

  it('is reported and not run again if it was cancelled before it was given up', async () => {
    const first = await died();
    const { jobs } = (await first.store.document()) as { jobs: { job: { active: object[] } } };
    const active = jobs.job.active.map((run) => ({ ...run, cancellation: { at: AT, by: 'x' } }));
    await first.edit({ active });
    const second = await next(first, RERUN);
    expect(second.started).toEqual([]);
    expect(second.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
  });

  it('reports a run that was triggered to nobody, and does not run it again', async () => {
    const first = await new ScheduledProcess('a').withJob({ ...RETRIED, ...RERUN });
    first.handler = () => new Promise(() => {});
    await first.lead(1);
    void first.job().trigger(first.term!);
    await first.clock.settle();
    await first.lose();
    const second = await next(first, RERUN);
    expect(second.started).toEqual([]);
    expect(second.missed).toEqual([]);
  });
});
