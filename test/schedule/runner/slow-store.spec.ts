import { describe, expect, it, jest } from '@jest/globals';
import { LockRequestError } from '../../../lib/core/errors.js';
import { ManualClock } from '../../support/manual-clock.js';
import {
  CHANGE_TIMEOUT_MS,
  LEASE_DURATION_MS,
  ScheduledProcess,
} from '../support/scheduled-process.js';
import type { Fate } from '../support/scripted-document-store.js';
import { SlowDocumentStore } from '../support/slow-document-store.js';

const MINUTE_MS = 60_000;

// An hour of virtual time takes long on a busy machine.
jest.setTimeout(60_000);

async function leadingOn(answersAfterMs: number, startingDeadlineMs: number | null = null) {
  const clock = new ManualClock();
  const store = new SlowDocumentStore(clock, answersAfterMs);
  const process = await new ScheduledProcess('a', clock, store).withJob({ startingDeadlineMs });
  await process.lead();
  await clock.advance(MINUTE_MS - 1);
  return { clock, store, process };
}

describe('when the store answers slowly, and steadily so', () => {
  // Configured are 3 s for a request; 10 s are left for a claim.
  it.each([[2_900], [3_100], [4_900]])('starts every tick: after %d ms', async (answersAfterMs) => {
    const { clock, store, process } = await leadingOn(answersAfterMs);
    const before = store.reads + store.writes;
    await clock.advance(60 * MINUTE_MS);
    expect(process.started.length).toBeGreaterThanOrEqual(59);
    expect(process.missed).toEqual([]);
    expect(store.reads + store.writes - before).toBeLessThanOrEqual(2 * 60 + 10);
  });

  it('starts every tick with a deadline of 0 whose claim was sent in time', async () => {
    const { clock, process } = await leadingOn(1_100, 0);
    await clock.advance(60 * MINUTE_MS);
    expect(process.started.length).toBeGreaterThanOrEqual(59);
    expect(process.missed).toEqual([]);
  });

  it('believes it to be fast again once it has been so for a while', async () => {
    const { clock, store, process } = await leadingOn(4_000);
    await clock.advance(10 * MINUTE_MS);
    store.answersAfterMs = 10;
    await clock.advance(10 * MINUTE_MS);
    const { reads } = store;
    store.fatesOfWrites.push('hangs');
    // 3 s and what a store is given beyond them, and then a read.
    await clock.advance(MINUTE_MS);
    expect(store.reads).toBe(reads + 1);
    expect(process.started.length).toBeGreaterThanOrEqual(20);
  });
});

describe('when the store does not do what stores do', () => {
  it.each<[string, Fate[], Fate[]]>([
    ['a write is never answered', ['hangs'], []],
    ['a read is never answered', ['lost'], ['hangs']],
    ['a write is answered by nonsense', ['nonsense'], []],
    ['a read is answered by nonsense', ['lost'], ['nonsense']],
  ])('starts the tick when it does again: %s', async (_what, writes, reads) => {
    const { clock, store, process } = await leadingOn(0);
    store.fatesOfWrites.push(...writes);
    store.fatesOfReads.push(...reads);
    await clock.advance(10_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
    expect(process.errors.length).toBeGreaterThan(0);
  });
});

describe('when a store of somebody answers what it must not', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['a version without a document', { kind: 'found', stored: null }],
    ['no document', { kind: 'found', stored: { document: null, version: 1 } }],
    ['a list', { kind: 'found', stored: { document: [], version: 1 } }],
  ])('starts the tick when it does again: %s', async (_what, answer) => {
    const { clock, store, process } = await leadingOn(0);
    store.fatesOfWrites.push('lost');
    jest.spyOn(store, 'read').mockResolvedValueOnce(answer as never);
    await clock.advance(10_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });
});

describe('when a store of somebody answers a read with the outcome of a write', () => {
  it.each<[string, unknown]>([
    ['conflict', { kind: 'conflict' }],
    ['applied', { kind: 'applied', stored: { document: {}, version: 1 } }],
    [
      'not applied',
      { kind: 'not-applied', error: new LockRequestError('no', { reason: 'rejected' }) },
    ],
  ])(
    'learns nothing from it, and does not create the document again: %s',
    async (_what, answer) => {
      const { clock, store, process } = await leadingOn(0);
      store.fatesOfWrites.push('lost');
      jest.spyOn(store, 'read').mockResolvedValueOnce(answer as never);
      const create = jest.spyOn(store, 'create');
      await clock.advance(10_000);
      expect(create).not.toHaveBeenCalled();
      expect(process.errors).toContainEqual(expect.stringContaining('which is not an outcome'));
      expect(process.startedTimes).toEqual(['00:01:00']);
    },
  );
});

describe('when something changes what is written on its way to the store', () => {
  it('starts nothing, and says what is going on', async () => {
    const { clock, store, process } = await leadingOn(0);
    const replace = store.replace.bind(store);
    store.replace = ({ format }, ...others) => replace({ format, jobs: {} }, ...others);
    await clock.advance(5_000);
    expect(process.started).toEqual([]);
    expect(process.errors[0]).toContain('what is stored differs from what was sent');
    const { writes } = store;
    await clock.advance(MINUTE_MS);
    expect(store.writes - writes).toBeLessThan(20);
  });
});

describe('when requests fail again and again', () => {
  it.each<[string, Fate, Fate]>([
    ['conflicts without end', 'conflict', 'ok'],
    ['writes that are refused', 'rejected', 'ok'],
    ['writes without an answer', 'lost', 'ok'],
    ['reads without an answer', 'lost', 'lost'],
  ])('asks less and less often: %s', async (_what, write, read) => {
    const { clock, store, process } = await leadingOn(0, 3_600_000);
    store.fatesOfWrites.push(...Array<Fate>(10_000).fill(write));
    store.fatesOfReads.push(...Array<Fate>(10_000).fill(read));
    const before = store.reads + store.writes;
    await clock.advance(10 * MINUTE_MS);
    // 0.25, 0.5, 1, 2, 4, 8 s and then once per lease duration, in pairs.
    const most = 2 * (8 + (10 * MINUTE_MS) / (0.8 * LEASE_DURATION_MS));
    expect(store.reads + store.writes - before).toBeLessThanOrEqual(most);
    store.fatesOfWrites.length = 0;
    store.fatesOfReads.length = 0;
    const started = process.started.length;
    await clock.advance(LEASE_DURATION_MS);
    expect(process.started.length).toBeGreaterThan(started);
  });

  it('says that conflicts have become too many for rivals', async () => {
    const { clock, store, process } = await leadingOn(0, 3_600_000);
    store.fatesOfWrites.push('conflict', 'conflict', 'conflict');
    await clock.advance(5_000);
    expect(process.started).toHaveLength(1);
    expect(process.errors).toEqual([]);
    store.fatesOfWrites.push(...Array<Fate>(4).fill('conflict'));
    await clock.advance(MINUTE_MS);
    expect(process.errors).toEqual([expect.stringContaining('finds another version')]);
    expect(process.started).toHaveLength(2);
  });

  it('tries once more at once after the first conflict, as another was faster', async () => {
    const { clock, store, process } = await leadingOn(0);
    store.fatesOfWrites.push('conflict');
    await clock.advance(1);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it('waits as long as the server asks, and keeps time for one more request before a claim is over', async () => {
    const { clock, store, process } = await leadingOn(0);
    const error = new LockRequestError('busy', { reason: 'rejected', retryAfterMs: 60_000 });
    const replace = store.replace.bind(store);
    store.replace = async () => {
      store.replace = replace;
      return { kind: 'not-applied', error };
    };
    await clock.advance(6_900);
    expect(process.started).toEqual([]);
    await clock.advance(3_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it('gives a request no more than the longest time there is, however slow the store is', async () => {
    const { clock, store } = await leadingOn(0);
    store.answersAfterMs = 1e9;
    const given: number[] = [];
    const read = store.read.bind(store);
    store.read = (options) => {
      given.push(options.timeoutMs);
      return read(options);
    };
    await clock.advance(5 * MINUTE_MS);
    expect(Math.max(...given)).toBe(CHANGE_TIMEOUT_MS);
  });

  it('says nothing of a read that nobody waits for any more', async () => {
    const { clock, store, process } = await leadingOn(0);
    store.fatesOfWrites.push('conflict');
    store.fatesOfReads.push('held');
    await clock.advance(1);
    await process.lose();
    store.release();
    await clock.advance(1);
    expect(process.errors).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves nothing behind when nobody waits any more', async () => {
    const { clock, store, process } = await leadingOn(0);
    store.fatesOfWrites.push('lost');
    store.fatesOfReads.push(...Array<Fate>(100).fill('lost'));
    await clock.advance(5_000);
    await process.lose();
    expect(clock.pendingTimers).toBe(0);
    const { reads } = store;
    await clock.advance(MINUTE_MS);
    expect(store.reads).toBe(reads);
  });

  it('asks no sooner because somebody else has something to write', async () => {
    const { clock, store, process } = await leadingOn(0, 3_600_000);
    store.fatesOfWrites.push(...Array<Fate>(10_000).fill('lost'));
    store.fatesOfReads.push(...Array<Fate>(10_000).fill('lost'));
    await clock.advance(5 * MINUTE_MS);
    const before = store.reads + store.writes;
    for (let index = 0; index < 50; index += 1) {
      await process.withJob({ name: `another ${index}` });
      await clock.advance(1_000);
    }
    expect(store.reads + store.writes - before).toBeLessThanOrEqual(6);
  });
});
