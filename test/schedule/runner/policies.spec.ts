import { describe, expect, it } from '@jest/globals';
import { GRACE_MS } from '../../../lib/schedule/runner/job-run.js';
import {
  CHANGE_TIMEOUT_MS,
  LEASE_DURATION_MS,
  ScheduledProcess,
} from '../support/scheduled-process.js';
import { hostileValues } from '../../support/hostile-values.js';
import type { Fate } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;

function raise(message: string): never {
  throw new Error(message);
}

/** A leader whose runs end when the test says so. */
async function busy(change: Parameters<ScheduledProcess['withJob']>[0], stubborn = false) {
  const process = await (await new ScheduledProcess().withJob(change)).lead();
  const finishers: (() => void)[] = [];
  process.handler = ({ signal }) =>
    new Promise<void>((resolve, reject) => {
      finishers.push(resolve);
      if (!stubborn) signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  const finish = async () => {
    for (const resolve of finishers.splice(0)) resolve();
    await process.clock.settle();
  };
  await process.clock.advance(MINUTE_MS);
  return { process, finish };
}

describe("when concurrencyPolicy is 'Allow'", () => {
  it('runs ticks beside each other', async () => {
    const { process } = await busy({ concurrencyPolicy: 'Allow' });
    await process.clock.advance(2 * MINUTE_MS);
    expect(process.started).toHaveLength(3);
    expect((await process.record()).active).toHaveLength(3);
  });
});

describe("when concurrencyPolicy is 'Forbid'", () => {
  it('reports the ticks that come while a run is active', async () => {
    const { process, finish } = await busy({});
    await process.clock.advance(2 * MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(process.missed).toMatchObject([
      { reason: 'forbidden', count: 1 },
      { reason: 'forbidden', count: 1 },
    ]);
    await finish();
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:04:00']);
  });

  it('starts the latest of them when the run ends within startingDeadlineSeconds', async () => {
    const { process, finish } = await busy({ startingDeadlineMs: 30_000 });
    await process.clock.advance(2 * MINUTE_MS + 20_000);
    await finish();
    expect(process.startedTimes).toEqual(['00:01:00', '00:03:00']);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 1 }]);
  });

  it('reports the tick when startingDeadlineSeconds pass first', async () => {
    const { process, finish } = await busy({ startingDeadlineMs: 30_000 });
    await process.clock.advance(MINUTE_MS + 32_000);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 1 }]);
    await finish();
    expect(process.started).toHaveLength(1);
  });

  const foreign = (change: object) => ({
    active: [
      {
        run: 'foreign',
        scheduledTime: '2026-01-01T00:00:30.000Z',
        startedAt: '2026-01-01T00:00:30.000Z',
        term: 9,
        fencingToken: '9',
        holderIdentity: 'other',
        ...change,
      },
    ],
  });

  it('respects a run of another leader until a lease duration has passed', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead(1);
    await process.lose();
    await process.edit(foreign({}));
    const next = new ScheduledProcess('b', process.clock, process.store);
    await (await next.withJob({ expression: '*/5 * * * * *' } as never)).lead(9);
    await process.clock.advance(LEASE_DURATION_MS - 1);
    expect(next.started).toEqual([]);
    await process.clock.advance(6_000);
    expect(next.started.length).toBeGreaterThan(0);
    expect(next.missed.at(-1)).toMatchObject({ reason: 'interrupted', count: 1 });
  });

  it('does not wait for a run of an earlier term: its lease has gone', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead(1);
    await process.lose();
    await process.edit(foreign({ fencingToken: '2' }));
    const next = await (
      await new ScheduledProcess('b', process.clock, process.store).withJob()
    ).lead(3);
    expect(next.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
    expect(await next.record()).toMatchObject({
      active: [],
      lastFailed: { reason: 'interrupted: other ended in term 9' },
    });
    await process.clock.advance(MINUTE_MS);
    expect(next.started).toHaveLength(1);
  });
});

describe("when concurrencyPolicy is 'Replace'", () => {
  it('aborts the active run, awaits it, and starts the tick', async () => {
    const { process } = await busy({ concurrencyPolicy: 'Replace' });
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(process.started[0]!.signal.reason).toMatchObject({ code: 'ERR_JOB_REPLACED' });
    expect(process.log[0]).toMatch(/^ended JobReplacedError/);
    expect(process.missed).toEqual([]);
  });

  it('waits for a run that ignores its signal, then starts the latest tick only', async () => {
    const change = { concurrencyPolicy: 'Replace', expression: '*/10 * * * * *' } as const;
    const { process, finish } = await busy(change, true);
    const before = process.started.length;
    await process.clock.advance(25_000);
    expect(process.started).toHaveLength(before);
    await finish();
    expect(process.startedTimes.slice(before)).toEqual(['00:01:20']);
    expect(process.missed.at(-1)).toMatchObject({ reason: 'not-started', count: 2 });
  });

  it('waits 30 s for a run that ignores its signal, and no longer', async () => {
    const { process, finish } = await busy({ concurrencyPolicy: 'Replace' }, true);
    await process.clock.advance(MINUTE_MS + GRACE_MS - 1);
    expect(process.startedTimes).toEqual(['00:01:00']);
    await process.clock.advance(1);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(process.log).toEqual(['overdue, replaced']);
    expect((await process.record()).active).toHaveLength(2);
    expect(process.isDrained).toBe(false);
    await finish();
    expect(process.isDrained).toBe(true);
    expect((await process.record()).active).toEqual([]);
    expect(process.missed).toEqual([]);
  });
});

describe('when a run takes longer than timeoutMs', () => {
  it('aborts its signal and records it as failed', async () => {
    const { process } = await busy({ timeoutMs: 5_000 });
    await process.clock.advance(5_000);
    expect(process.started[0]!.signal.reason).toMatchObject({ code: 'ERR_JOB_TIMEOUT' });
    expect((await process.record()).lastFailed?.reason).toContain('5000 ms (timeoutMs)');
  });

  it('counts a run as failed that ignores the signal and ends well', async () => {
    const { process, finish } = await busy({ timeoutMs: 5_000 }, true);
    await process.clock.advance(6_000);
    await finish();
    expect(await process.record()).toMatchObject({
      lastSuccessfulTime: null,
      lastFailed: { reason: expect.stringContaining('JobTimeoutError') },
    });
  });
});

describe('when a handler throws', () => {
  it('is recorded with a short reason, and the schedule goes on', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    process.handler = () => {
      throw new Error(`no\nmoney ${'x'.repeat(500)}`);
    };
    await process.clock.advance(MINUTE_MS);
    const { lastFailed } = await process.record();
    expect(lastFailed?.reason).toMatch(/^Error: no money x+…$/);
    expect(lastFailed?.reason).toHaveLength(200);
    process.handler = () => Promise.reject(new Error('later'));
    await process.clock.advance(MINUTE_MS);
    process.handler = () => 'fine';
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toHaveLength(3);
    expect(await process.record()).toMatchObject({
      lastSuccessfulTime: Date.parse('2026-01-01T00:03:00Z'),
      lastFailed: { reason: 'Error: later' },
      active: [],
    });
  });
});

describe('when a handler returns something with a then()', () => {
  it('is waited for, and its then() is called once', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    const asked: string[] = [];
    let done!: () => void;
    process.handler = () =>
      new Proxy({} as PromiseLike<void>, {
        get: (_target, key) => {
          asked.push(String(key));
          return (resolve: () => void) => {
            asked.push('called');
            done = resolve;
          };
        },
      });
    await process.clock.advance(MINUTE_MS);
    expect(asked).toEqual(['then', 'called']);
    expect((await process.record()).active).toHaveLength(1);
    done();
    await process.clock.settle();
    expect(process.log).toEqual(['ended well']);
    expect(process.isDrained).toBe(true);
  });

  it('counts as failed if its then() cannot be read', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    process.handler = () => new Proxy({}, { get: () => raise('no then') });
    await process.clock.advance(MINUTE_MS);
    expect(process.log).toEqual(['ended Error: no then']);
    expect((await process.record()).active).toEqual([]);
  });
});

describe('when an observer throws at the end of a run', () => {
  it('has recorded the end all the same, and the schedule goes on', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    process.onEnded = () => raise('in the observer');
    await process.clock.advance(2 * MINUTE_MS);
    expect(process.started).toHaveLength(2);
    expect(await process.record()).toMatchObject({ active: [], lastFailed: null });
  });
});

describe('when what a handler throws cannot be read', () => {
  it.each(Object.entries(hostileValues()))(
    'is recorded all the same: %s',
    async (_what, thrown) => {
      const process = await (await new ScheduledProcess().withJob()).lead();
      process.handler = () => Promise.reject(thrown as Error);
      await process.clock.advance(MINUTE_MS);
      const { active, lastFailed } = await process.record();
      expect(active).toEqual([]);
      expect(lastFailed).toMatchObject({ reason: expect.any(String) });
      await process.clock.advance(MINUTE_MS);
      expect(process.started).toHaveLength(2);
    },
  );
});

describe('when the end of a run cannot be recorded', () => {
  it('is recorded by the same process as soon as that is possible, and the schedule continues', async () => {
    const { process, finish } = await busy({});
    const { store, clock } = process;
    store.fatesOfReads.push(...Array<Fate>(200).fill('lost'));
    store.fatesOfWrites.push(...Array<Fate>(200).fill('lost'));
    await finish();
    await clock.advance(CHANGE_TIMEOUT_MS + 1_000);
    expect([process.log[0], process.log.at(-1)]).toEqual(['ended well', 'unrecorded']);
    store.fatesOfReads.length = 0;
    store.fatesOfWrites.length = 0;
    await clock.advance(MINUTE_MS);
    expect(process.missed).toEqual([]);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(await process.record()).toMatchObject({ lastFailed: null, missedCount: 0 });
  });

  it('is reported as interrupted by the next leader', async () => {
    const { process, finish } = await busy({});
    const { store, clock } = process;
    store.fatesOfReads.push(...Array<Fate>(200).fill('lost'));
    store.fatesOfWrites.push(...Array<Fate>(200).fill('lost'));
    await finish();
    await process.lose();
    await clock.advance(CHANGE_TIMEOUT_MS + 1_000);
    store.fatesOfReads.length = 0;
    store.fatesOfWrites.length = 0;
    const next = new ScheduledProcess('b', clock, store);
    await (await next.withJob()).lead(2);
    expect(next.missed).toMatchObject([
      { reason: 'interrupted', times: [new Date('2026-01-01T00:01:00Z')] },
    ]);
  });
});

describe('when the term ends during a run', () => {
  it('aborts its signal, and keeps the lease until its end is recorded', async () => {
    const { process, finish } = await busy({}, true);
    await process.lose();
    expect(process.started[0]!.signal.aborted).toBe(true);
    expect(process.isDrained).toBe(false);
    await finish();
    expect(process.isDrained).toBe(true);
    expect(await process.record()).toMatchObject({
      active: [],
      lastSuccessfulTime: expect.any(Number),
    });
  });
});
