import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CHANGE_TIMEOUT_MS, JOB, ScheduledProcess } from '../support/scheduled-process.js';
import type { Fate } from '../support/scripted-document-store.js';
import { SlowDocumentStore } from '../support/slow-document-store.js';

const MINUTE_MS = 60_000;
const change = { startingDeadlineMs: 600_000 };

/** A leader that has run five ticks, with the document as it was after the second. */
async function restorable() {
  const process = await (await new ScheduledProcess('a').withJob(change)).lead();
  const { clock, store } = process;
  await clock.advance(2 * MINUTE_MS + 1_000);
  const backup = await store.document();
  await clock.advance(3 * MINUTE_MS);
  expect(process.started).toHaveLength(5);
  return { process, clock, store, backup };
}

/** As an etcd that was restored, or a `kubectl apply` of an old copy. */
async function restored() {
  const { process, clock, store, backup } = await restorable();
  await store.put(backup);
  return { process, clock, store };
}

const sixTimes = ['00:01:00', '00:02:00', '00:03:00', '00:04:00', '00:05:00', '00:06:00'];

describe('when the record of a job goes back', () => {
  it('starts no tick again that this process has run, and reports none of them', async () => {
    const { process, clock } = await restored();
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(sixTimes);
    expect(process.missed).toEqual([]);
    expect(await process.record()).toMatchObject({
      lastScheduleTime: Date.parse('2026-01-01T00:06:00Z'),
      missedCount: 0,
    });
  });

  it('starts none in a later term of the same process', async () => {
    const { process, clock } = await restored();
    await process.lose();
    await process.lead(2);
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(sixTimes);
  });

  it('starts none that this process has only seen accounted for by another', async () => {
    const { process: first, clock, store, backup } = await restorable();
    await first.lose();
    const second = new ScheduledProcess('b', clock, store);
    await (await second.withJob(change)).lead(2);
    await store.put(backup);
    await clock.advance(MINUTE_MS);
    expect(second.startedTimes).toEqual(['00:06:00']);
    expect(second.missed).toEqual([]);
  });

  it('writes back what it knows before the next tick, so that others know it too', async () => {
    const { process, clock, store, backup } = await restorable();
    await process.lose();
    await store.put(backup);
    await process.lead(2);
    expect(await process.record()).toMatchObject({
      accountedThrough: Date.parse('2026-01-01T00:05:00Z'),
    });
    const next = new ScheduledProcess('c', clock, store);
    await process.lose();
    await (await next.withJob(change)).lead(3);
    expect(next.started).toEqual([]);
  });

  it('starts none again where the whole object is gone', async () => {
    const { process, clock, store } = await restorable();
    clock.shiftWall(-3 * MINUTE_MS);
    await store.put({});
    // The job begins again at 00:06, as nobody can know what others ran before.
    await clock.advance(5 * MINUTE_MS + 1_000);
    expect(process.startedTimes).toEqual([...sixTimes.slice(0, 5), '00:07:00']);
  });

  it('does not give up a run that is known to have ended well', async () => {
    const process = await (await new ScheduledProcess('a').withJob(change)).lead();
    const { clock, store } = process;
    let finish!: () => void;
    process.handler = () => new Promise<void>((resolve) => (finish = resolve));
    await clock.advance(MINUTE_MS);
    const backup = await store.document();
    finish();
    await clock.settle();
    process.handler = () => undefined;
    await store.put(backup);
    await clock.advance(MINUTE_MS);
    expect(process.missed).toEqual([]);
    expect(await process.record()).toMatchObject({ active: [], lastFailed: null });
  });
});

describe('when a tick was handed back', () => {
  it('is open to a process that had seen it claimed', async () => {
    const clock = new ManualClock();
    const store = new SlowDocumentStore(clock, 100);
    const first = await new ScheduledProcess('a', clock, store).withJob(change);
    await first.lead(1);
    const second = await new ScheduledProcess('b', clock, store).withJob(change);
    await clock.advance(MINUTE_MS + 50);
    // The claim is stored, and its answer under way.
    await first.lose();
    await second.lead(2);
    await clock.advance(MINUTE_MS + 1_000);
    expect(first.log).toEqual(['returned true, leadership ended']);
    expect(first.started).toEqual([]);
    expect(second.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(second.missed).toEqual([]);
  });

  it('is handed back if it was, and not if another has claimed the next one first', async () => {
    const process = await (await new ScheduledProcess('a').withJob()).lead();
    const { clock, store } = process;
    store.fatesOfWrites.push('held', 'conflict');
    await clock.advance(MINUTE_MS);
    await process.lose();
    await process.edit({ later: true });
    store.release();
    await clock.advance(10);
    store.fatesOfWrites.length = 0;
    await clock.advance(CHANGE_TIMEOUT_MS);
    expect(process.log).not.toContain('returned true, leadership ended');
  });
});

describe('when an older version of the document is read late', () => {
  it('settles nothing that a write has not stored: a success is recorded', async () => {
    const process = await (await new ScheduledProcess('a').withJob(change)).lead();
    const { clock, store } = process;
    let finish!: () => void;
    process.handler = () => new Promise<void>((resolve) => (finish = resolve));
    await clock.advance(MINUTE_MS - 1);
    // A new term begins to read before the claim, and is answered after it.
    store.fatesOfReads.push('held');
    await process.lose();
    await process.lead(2);
    await clock.advance(1);
    store.release();
    await clock.advance(1_000);
    finish();
    await clock.settle();
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(await process.record()).toMatchObject({
      active: [],
      lastSuccessfulTime: expect.any(Number),
    });
  });

  it('records a success by a version from before the claim as well', async () => {
    const process = await (await new ScheduledProcess('a').withJob(change)).lead();
    const { clock, store } = process;
    let finish!: () => void;
    process.handler = () => new Promise<void>((resolve) => (finish = resolve));
    const before = await store.document();
    await clock.advance(MINUTE_MS);
    await store.put(before);
    finish();
    await clock.settle();
    expect(await process.record()).toMatchObject({ lastSuccessfulTime: expect.any(Number) });
  });
});

describe('when a triggered run was interrupted', () => {
  it('is no missed tick, and the last failure says what happened', async () => {
    const process = await (await new ScheduledProcess('a').withJob(change)).lead();
    const { clock, store } = process;
    process.handler = () => new Promise(() => {});
    await clock.advance(1_234);
    void process.job().trigger(process.term!);
    await clock.settle();
    const next = new ScheduledProcess('b', clock, store);
    await (await next.withJob(change)).lead(2);
    expect(next.missed).toEqual([]);
    expect(await next.record()).toMatchObject({
      active: [],
      missedCount: 0,
      lastFailed: { reason: expect.stringContaining('interrupted') },
    });
  });
});

describe('when a record cannot be read', () => {
  const unreadable: [string, Record<string, unknown>, string][] = [
    ['it is of a newer format', { format: 3 }, 'has format 3'],
    ['its last tick is of another type', { accountedThrough: 5 }, 'accountedThrough'],
  ];

  it.each(unreadable)(
    'does not start the job, says so once, and leaves it as it is: %s',
    async (_what, edit, why) => {
      const process = await (await new ScheduledProcess('a').withJob()).lead();
      const { clock, store } = process;
      let others = 0;
      await process.withJob({ name: 'other', run: () => void (others += 1) });
      await clock.advance(1_000);
      await process.edit(edit);
      const spoilt = (await store.document())['jobs'] as Record<string, JsonDocument>;
      await clock.advance(10 * MINUTE_MS);
      expect(process.started).toEqual([]);
      expect(others).toBe(10);
      const told = process.errors.filter((message) => message.includes(JSON.stringify(JOB)));
      expect(told).toEqual([expect.stringContaining(why)]);
      const now = (await store.document())['jobs'] as Record<string, JsonDocument>;
      expect(now[JOB]).toEqual(spoilt[JOB]);
    },
  );

  it.each(unreadable)('starts it as soon as it can: %s', async (_what, edit) => {
    const process = await (await new ScheduledProcess('a').withJob()).lead();
    const { clock, store } = process;
    await clock.advance(1_000);
    const sound = await store.document();
    await process.edit(edit);
    await clock.advance(5 * MINUTE_MS);
    await store.put(sound);
    await clock.advance(MINUTE_MS);
    const missed = process.missed.reduce((sum, { count }) => sum + count, 0);
    expect(process.startedTimes.at(-1)).toBe('00:06:00');
    expect(process.started.length + missed).toBe(6);
  });

  it('reads the document no more often than once per lease duration for it', async () => {
    const process = await (await new ScheduledProcess('a').withJob()).lead();
    const { clock, store } = process;
    await process.edit({ format: 3 });
    await clock.advance(2 * MINUTE_MS);
    const { reads } = store;
    await clock.advance(10 * MINUTE_MS);
    expect(store.reads - reads).toBeLessThanOrEqual(55);
  });
});

const all = (fate: Fate): Fate[] => Array<Fate>(100).fill(fate);

describe('when a claim was given up', () => {
  it('is not started by the process that gave it up, which says that nobody has', async () => {
    const process = await (await new ScheduledProcess('a').withJob()).lead();
    const { clock, store } = process;
    store.fatesOfWrites.push('unanswered');
    store.fatesOfReads.push(...all('lost'));
    await clock.advance(MINUTE_MS + CHANGE_TIMEOUT_MS);
    store.fatesOfReads.length = 0;
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:02:00']);
    expect(process.missed).toMatchObject([{ reason: 'not-started', count: 1 }]);
  });
});
