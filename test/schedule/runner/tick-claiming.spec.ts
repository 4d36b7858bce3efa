import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/manual-clock.js';
import { CHANGE_TIMEOUT_MS, ScheduledProcess } from '../support/scheduled-process.js';
import { ScriptedDocumentStore, type Fate } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;

async function leading(change = {}): Promise<ScheduledProcess> {
  const process = await new ScheduledProcess().withJob(change);
  return process.lead();
}

describe('when a tick is due on the leader', () => {
  it('is claimed by one write, without a read, and recorded by another', async () => {
    const process = await leading();
    const { store, clock } = process;
    const [reads, writes] = [store.reads, store.writes];
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(store.reads).toBe(reads);
    expect(store.writes).toBe(writes + 2);
    await clock.advance(9 * MINUTE_MS);
    expect(process.started).toHaveLength(10);
    expect([store.reads, store.writes]).toEqual([reads, writes + 20]);
  });

  it('is claimed together with what has to be recorded at that moment', async () => {
    const process = await leading({ expression: '* * * * * *', startingDeadlineMs: 5_000 });
    const { store, clock } = process;
    process.handler = () => new Promise<void>((resolve) => void clock.setTimer(resolve, 1_000));
    await clock.advance(1_000);
    const { writes } = store;
    await clock.advance(10_000);
    expect(process.started).toHaveLength(11);
    expect(store.writes - writes).toBe(10);
  });

  it('tells the handler its nominal time however late the timer is', async () => {
    const process = await leading();
    process.clock.stall(MINUTE_MS + 1_234);
    await process.clock.advance(0);
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(process.started[0]).toMatchObject({ term: { number: 1 }, missed: { count: 0 } });
  });

  it('is started after the claim is stored, and not before', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toEqual([]);
    process.store.release();
    await process.clock.settle();
    expect(process.startedTimes).toEqual(['00:01:00']);
  });
});

describe('when two processes believe that they lead', () => {
  it('is started by one of them', async () => {
    const [clock, store] = [new ManualClock(), new ScriptedDocumentStore()];
    const both = [
      await new ScheduledProcess('a', clock, store).withJob(),
      await new ScheduledProcess('b', clock, store).withJob(),
    ];
    for (const process of both) await process.lead();
    await clock.advance(20 * MINUTE_MS);
    const times = both.flatMap(({ startedTimes }) => startedTimes);
    expect(times).toHaveLength(20);
    expect(new Set(times).size).toBe(20);
  });

  it('says of a tick that the other has claimed that it was skipped here', async () => {
    const [clock, store] = [new ManualClock(), new ScriptedDocumentStore()];
    const both = [
      await new ScheduledProcess('a', clock, store).withJob(),
      await new ScheduledProcess('b', clock, store).withJob(),
    ];
    for (const process of both) await process.lead();
    await clock.advance(MINUTE_MS);
    const skipped = both.flatMap(({ log }) => log).filter((line) => line === 'skipped taken');
    expect(skipped).toHaveLength(1);
  });

  it('does not start a tick that another with a fast clock has started', async () => {
    const store = new ScriptedDocumentStore();
    const fast = await new ScheduledProcess('fast', new ManualClock(), store).withJob();
    const slow = await new ScheduledProcess('slow', new ManualClock(), store).withJob();
    await fast.lead(1);
    await fast.clock.advance(5 * MINUTE_MS);
    await slow.lead(2);
    await slow.clock.advance(5 * MINUTE_MS);
    expect(fast.started).toHaveLength(5);
    expect(slow.started).toEqual([]);
    await slow.clock.advance(MINUTE_MS);
    expect(slow.startedTimes).toEqual(['00:06:00']);
  });
});

describe('when the claim has no clear outcome', () => {
  it.each<[string, Fate[], Fate[]]>([
    ['the answer is lost', ['unanswered'], []],
    ['the answer and two reads are lost', ['unanswered'], ['lost', 'throws']],
    ['the request is lost', ['lost'], []],
    ['the request is lost three times', ['lost', 'lost', 'lost'], []],
    ['the server refuses', ['rejected'], []],
    ['the store throws', ['throws'], []],
  ])('is started once: %s', async (_what, writes, reads) => {
    const process = await leading();
    process.store.fatesOfWrites.push(...writes);
    process.store.fatesOfReads.push(...reads);
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toEqual([]);
    await process.clock.advance(5_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
    await process.clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
  });

  it('is not started while nothing is known, and reported once it is too late', async () => {
    const process = await leading();
    const { store, clock } = process;
    store.fatesOfWrites.push('lost');
    store.fatesOfReads.push(...Array<Fate>(100).fill('lost'));
    await clock.advance(MINUTE_MS + CHANGE_TIMEOUT_MS + 250);
    expect(process.log).toContain('unresolved');
    store.fatesOfReads.length = 0;
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:02:00']);
    expect(process.missed).toMatchObject([{ reason: 'not-started', count: 1 }]);
    expect((await process.record()).missedCount).toBe(1);
  });

  it('does not start a tick whose abandoned claim turns up later', async () => {
    const process = await leading();
    const { store, clock } = process;
    store.fatesOfWrites.push('late');
    store.fatesOfReads.push(...Array<Fate>(100).fill('lost'));
    await clock.advance(MINUTE_MS + CHANGE_TIMEOUT_MS + 250);
    await store.deliverLate();
    store.fatesOfReads.length = 0;
    await clock.advance(MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:02:00']);
    // It knows that it has not started what it has given up, and that no other may.
    expect(process.missed).toMatchObject([{ reason: 'not-started', count: 1 }]);
    expect(await process.record()).toMatchObject({ lastFailed: null, missedCount: 1, active: [] });
  });

  it('starts nothing by a write of another that looks like its own but for the nonce', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('lost');
    await process.clock.advance(MINUTE_MS);
    await process.edit({ accountedThrough: '2026-01-01T00:01:00.000Z', claim: 'somebody' });
    await process.clock.advance(5_000);
    expect(process.started).toEqual([]);
  });
});

describe('when leadership ends while a claim is under way', () => {
  it('hands the tick back, and the next leader catches it up', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    await process.lose();
    expect(process.isDrained).toBe(false);
    process.store.release();
    await process.clock.settle();
    expect(process.started).toEqual([]);
    expect(process.log).toEqual(['returned true, leadership ended']);
    expect(process.isDrained).toBe(true);
    expect(await process.record()).toMatchObject({ lastScheduleTime: null, active: [] });

    const next = new ScheduledProcess('b', process.clock, process.store);
    await (await next.withJob({ startingDeadlineMs: 30_000 })).lead(2);
    expect(next.startedTimes).toEqual(['00:01:00']);
    expect(next.missed).toEqual([]);
  });

  it('leaves a tick alone that could not be handed back, and the next leader reports it', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held', ...Array<Fate>(100).fill('lost'));
    await process.clock.advance(MINUTE_MS);
    await process.lose();
    process.store.release();
    await process.clock.advance(CHANGE_TIMEOUT_MS + 1_000);
    expect(process.log.at(-1)).toBe('returned false, leadership ended');
    expect(process.isDrained).toBe(true);

    process.store.fatesOfWrites.length = 0;
    const next = new ScheduledProcess('b', process.clock, process.store);
    await (await next.withJob({ startingDeadlineMs: 59_000 })).lead(2);
    expect(next.started).toEqual([]);
    expect(next.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
  });

  it('forgets a claim that had not been sent', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('lost');
    process.store.fatesOfReads.push(...Array<Fate>(100).fill('lost'));
    await process.clock.advance(MINUTE_MS + 100);
    await process.lose();
    expect(process.isDrained).toBe(true);
    await process.clock.advance(MINUTE_MS);
    expect(process.started).toEqual([]);
  });
});

describe('when this process does not lead', () => {
  it('reads nothing, writes nothing and sets no timer', async () => {
    const process = await new ScheduledProcess().withJob();
    await process.clock.advance(10 * MINUTE_MS);
    expect([process.store.reads, process.store.writes]).toEqual([0, 0]);
    expect(process.clock.pendingTimers).toBe(0);
    await process.lead();
    await process.clock.advance(MINUTE_MS);
    await process.lose();
    const requests = process.store.reads + process.store.writes;
    await process.clock.advance(10 * MINUTE_MS);
    expect(process.store.reads + process.store.writes).toBe(requests);
    expect(process.clock.pendingTimers).toBe(0);
  });
});
