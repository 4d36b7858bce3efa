import { describe, expect, it } from '@jest/globals';
import { lockContract } from '../../lib/contracts/lock.contract.js';
import { RecordingStore } from '../../lib/contracts/recording.store.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type { LeaseWatchObserver, ResourceLock } from '../../lib/core/resource-lock.js';
import {
  memoryLeaseKey,
  MemoryLeaseStore,
  memoryLock,
} from '../../lib/locks/memory/memory.lock.js';
import { editLease } from '../locks/edit-lease.js';
import { held } from '../locks/lease-records.js';
import { RecordedWatch } from '../locks/recorded-watch.js';
import { request } from '../locks/lock-request.js';
import { describeContract } from './describe-contract.js';
import { ManualClock } from '../support/manual-clock.js';

const REQUESTER = { leaseName: 'plan', namespace: 'plans', identity: 'first' };
const KEY = memoryLeaseKey(REQUESTER);
const RECORD = held('first');
const RENEWED = held('first', { renewTimeMicros: 2_000_000 });

/** A recorded lock of a lease that exists, on a clock of the test. */
async function recorded() {
  const clock = new ManualClock();
  const memory = new MemoryLeaseStore();
  const store = new RecordingStore({ clock });
  const lock = await store.record(memoryLock(memory))(REQUESTER);
  const created = await lock.create(RECORD, request());
  if (created.kind !== 'applied') throw new Error(created.kind);
  return { clock, memory, store, lock, lease: created.stored };
}

/** The kind of an outcome, or that it has not come. */
async function soFar(outcome: Promise<{ kind: string }>): Promise<string> {
  const notYet = new Promise<{ kind: string }>((resolve) =>
    setImmediate(() => resolve({ kind: 'on its way' })),
  );
  return (await Promise.race([outcome, notYet])).kind;
}

describe('when a recorded lock is asked', () => {
  it('records what was asked, of which object, what was answered and when', async () => {
    const { clock, store, lock, lease } = await recorded();
    const startMs = clock.now();
    await clock.advance(250);
    const outcome = await lock.replace(RENEWED, lease, request());
    await lock.read(request());

    expect(outcome.kind).toBe('applied');
    const [, write, read] = store.requests;
    expect(store.requests).toHaveLength(3);
    expect(write).toEqual({
      verb: 'replace',
      object: 'in-memory lease plans/plan',
      record: RENEWED,
      document: undefined,
      startedAtMs: startMs + 250,
      endedAtMs: startMs + 250,
      outcome,
      stored: outcome,
      rejection: undefined,
    });
    expect(read).toMatchObject({ verb: 'read', record: undefined, outcome: { kind: 'found' } });
  });

  it('shows a request that has not been answered as that', async () => {
    const { store, lock } = await recorded();
    store.holdBack();
    const answer = lock.read(request());
    expect(store.requests.at(-1)).toMatchObject({ endedAtMs: undefined, outcome: undefined });
    await store.letGo();
    await answer;
    expect(store.requests.at(-1)).toMatchObject({ outcome: { kind: 'found' } });
  });

  it('lists the writes apart from the reads', async () => {
    const { store, lock, lease } = await recorded();
    await lock.read(request());
    await lock.replace(RENEWED, lease, request());
    expect(store.writes.map(({ verb, record }) => [verb, record?.renewTimeMicros])).toEqual([
      ['create', RECORD.renewTimeMicros],
      ['replace', RENEWED.renewTimeMicros],
    ]);
  });

  it('records the documents and the leases beside it too', async () => {
    const { store, lock } = await recorded();
    await lock.sibling!('schedule').create({ jobs: {} }, request());
    await lock.leaseBeside!('once-schema', 'first_once').create(held('first_once'), request());
    expect(store.writes.slice(1)).toEqual([
      expect.objectContaining({
        object: 'in-memory document plans/plan-schedule',
        record: undefined,
        document: { jobs: {} },
      }),
      expect.objectContaining({
        object: 'in-memory lease plans/plan-once-schema',
        record: held('first_once'),
        document: undefined,
      }),
    ]);
  });

  it('records what a lock rejects with, and rejects with it', async () => {
    const error = new Error('broken pipe');
    const store = new RecordingStore({ clock: new ManualClock() });
    const lock = store.record({
      read: () => Promise.reject(error),
      create: () => {
        throw error;
      },
      replace: () => Promise.reject(error),
      describe: () => 'row 1',
    });
    await expect(lock.read(request())).rejects.toBe(error);
    await expect(lock.create(RECORD, request())).rejects.toBe(error);
    expect(store.requests).toEqual([
      expect.objectContaining({ verb: 'read', outcome: undefined, rejection: error }),
      expect.objectContaining({ verb: 'create', outcome: undefined, rejection: error }),
    ]);
    expect(store.requests.every(({ endedAtMs }) => endedAtMs !== undefined)).toBe(true);
  });
});

describe('when nothing is to fail', () => {
  const cases = lockContract(
    async () => {
      const memory = new MemoryLeaseStore();
      const lock = new RecordingStore().record(memoryLock(memory));
      return {
        first: await lock(REQUESTER),
        firstIdentity: 'first',
        second: await lock({ ...REQUESTER, identity: 'second' }),
        secondIdentity: 'second',
        name: 'plans/plan',
        deleteByHand: async () => memory.delete(KEY),
        editByHand: async (change) => editLease(memory, KEY, change),
        dispose: () => Promise.resolve(),
      };
    },
    { without: ['lost-answers', 'outages'] },
  );

  describeContract('is as good as the lock behind it', cases);

  it('has what the lock behind it has, and no more', async () => {
    const bare: ResourceLock = {
      read: async () => ({ kind: 'absent' }),
      create: async () => ({ kind: 'conflict' }),
      replace: async () => ({ kind: 'absent' }),
      describe: () => 'row 1',
    };
    const store = new RecordingStore();
    expect(Object.keys(store.record(bare)).sort()).toEqual(Object.keys(bare).sort());
    expect(await store.record(memoryLock())(REQUESTER)).toEqual(
      expect.objectContaining({
        isInProcess: true,
        watch: expect.any(Function),
        sibling: expect.any(Function),
        leaseBeside: expect.any(Function),
        competitors: expect.any(Function),
      }),
    );
  });

  it('calls the lock as its own method', async () => {
    const lock = {
      closed: false,
      async close() {
        this.closed = true;
      },
      read: async () => ({ kind: 'absent' }) as const,
      create: async () => ({ kind: 'conflict' }) as const,
      replace: async () => ({ kind: 'absent' }) as const,
      describe: () => 'row 1',
    };
    await new RecordingStore().record(lock).close?.();
    expect(lock.closed).toBe(true);
  });
});

describe('when requests are to fail', () => {
  it('does not let them reach the store', async () => {
    const { memory, store, lock, lease } = await recorded();
    store.fail();
    const read = await lock.read(request());
    const write = await lock.replace(RENEWED, lease, request());
    expect(read).toMatchObject({ kind: 'failed', error: { reason: 'unreachable' } });
    expect(write).toMatchObject({ kind: 'not-applied', error: { reason: 'unreachable' } });
    expect(memory.read(KEY)).toBe(lease);
    expect(store.requests.at(-1)).toMatchObject({ outcome: write, stored: undefined });
  });

  it('answers with the error that the test gives', async () => {
    const { store, lock } = await recorded();
    const error = new LockRequestError('the quota is used up', { reason: 'rejected' });
    store.fail({ verbs: ['create'] }, error);
    expect(await lock.create(RECORD, request())).toEqual({ kind: 'not-applied', error });
  });

  it('meets as many as were asked for, of the verbs that were named', async () => {
    const { store, lock, lease } = await recorded();
    store.fail({ verbs: ['replace'], count: 2 });
    expect((await lock.read(request())).kind).toBe('found');
    expect((await lock.replace(RENEWED, lease, request())).kind).toBe('not-applied');
    expect((await lock.replace(RENEWED, lease, request())).kind).toBe('not-applied');
    expect((await lock.replace(RENEWED, lease, request())).kind).toBe('applied');
  });

  it('lets them pass again after restore()', async () => {
    const { store, lock } = await recorded();
    store.fail();
    store.restore();
    expect((await lock.read(request())).kind).toBe('found');
  });
});

describe('when answers are to be lost', () => {
  it('lets the store apply the write, and calls it unknown', async () => {
    const { memory, store, lock, lease } = await recorded();
    store.loseAnswers({ verbs: ['replace'], count: 1 });
    const write = await lock.replace(RENEWED, lease, request());
    expect(write).toMatchObject({ kind: 'unknown', error: { reason: 'unclear' } });
    expect(memory.read(KEY)?.record).toEqual(RENEWED);
    expect(store.requests.at(-1)).toMatchObject({ outcome: write, stored: { kind: 'applied' } });
  });

  it('calls a read failed', async () => {
    const { store, lock } = await recorded();
    store.loseAnswers();
    expect((await lock.read(request())).kind).toBe('failed');
  });
});

describe('when requests are to be late', () => {
  it('lets them reach the store after that time', async () => {
    const { clock, memory, store, lock, lease } = await recorded();
    store.delay(400);
    const answer = lock.replace(RENEWED, lease, request(1_000));
    await clock.advance(399);
    expect(memory.read(KEY)).toBe(lease);
    expect(await soFar(answer)).toBe('on its way');
    await clock.advance(1);
    expect((await answer).kind).toBe('applied');
    const { startedAtMs, endedAtMs } = store.requests.at(-1)!;
    expect(endedAtMs! - startedAtMs).toBe(400);
    expect(clock.pendingTimers).toBe(0);
  });

  it('answers at the time limit, and lets them reach the store all the same', async () => {
    const { clock, memory, store, lock, lease } = await recorded();
    store.delay(5_000);
    const answer = lock.replace(RENEWED, lease, request(1_000));
    await clock.advance(1_000);
    expect((await answer).kind).toBe('unknown');
    expect(memory.read(KEY)).toBe(lease);
    await clock.advance(4_000);
    expect(memory.read(KEY)?.record).toEqual(RENEWED);
    expect(store.requests.at(-1)).toMatchObject({
      outcome: { kind: 'unknown' },
      stored: { kind: 'applied' },
    });
  });
});

describe('when requests are to be held back', () => {
  it('lets them reach the store when they are let go, whatever was written since', async () => {
    const { memory, store, lock, lease } = await recorded();
    store.holdBack({ verbs: ['replace'], count: 1 });
    const late = lock.replace(RENEWED, lease, request());
    const second = held('second', { leaseTransitions: 2 });
    expect((await lock.replace(second, lease, request())).kind).toBe('applied');
    expect(await soFar(late)).toBe('on its way');
    await store.letGo();
    expect((await late).kind).toBe('conflict');
    expect(memory.read(KEY)?.record).toEqual(second);
  });

  it.each([
    ['is aborted on the way', false],
    ['was aborted before it was made', true],
  ])('answers one that %s as unknown', async (_, isAbortedBefore) => {
    const { clock, store, lock, lease } = await recorded();
    const controller = new AbortController();
    if (isAbortedBefore) controller.abort();
    store.holdBack();
    const { signal } = controller;
    const answer = lock.replace(RENEWED, lease, { timeoutMs: 1_000, signal });
    controller.abort();
    expect((await answer).kind).toBe('unknown');
    expect(clock.pendingTimers).toBe(0);
    await store.letGo();
    expect(store.requests.at(-1)).toMatchObject({ stored: { kind: 'applied' } });
  });

  it('has answered when the store has: a test can wait for a store that takes real time', async () => {
    const store = new RecordingStore({ clock: new ManualClock() });
    let answer = (): void => undefined;
    const lock = store.record({
      read: () => new Promise((resolve) => (answer = () => resolve({ kind: 'absent' }))),
      create: async () => ({ kind: 'conflict' }),
      replace: async () => ({ kind: 'absent' }),
      describe: () => 'row 1',
    });
    await store.answered();
    const read = lock.read(request());
    const answered = store.answered().then(() => ({ kind: 'answered' }));
    expect(await soFar(answered)).toBe('on its way');
    answer();
    expect(await soFar(answered)).toBe('answered');
    await read;
  });
});

describe('when the watch is cut', () => {
  const options = { silenceLimitMs: 30_000 };

  it('interrupts it and reports nothing until it is restored, when it is open again', async () => {
    const { store, lock, lease } = await recorded();
    const watch = new RecordedWatch();
    const opened = lock.watch!(watch, options);
    await watch.untilOpen();
    store.cutWatch();
    await lock.replace(RENEWED, lease, request());
    await Promise.resolve();
    expect(watch.changes).toEqual([]);
    expect(watch.errors).toEqual([expect.objectContaining({ reason: 'unreachable' })]);
    store.restore();
    expect(watch.openings).toBe(2);
    opened.close();
  });

  it('interrupts one that is opened later', async () => {
    const { store, lock } = await recorded();
    store.cutWatch();
    const watch = new RecordedWatch();
    const opened = lock.watch!(watch, options);
    await Promise.resolve();
    expect([watch.openings, watch.errors.length]).toEqual([0, 1]);
    store.restore();
    expect(watch.openings).toBe(1);
    opened.close();
  });

  it('does not call one open that the lock itself has lost', async () => {
    let observer: LeaseWatchObserver | undefined;
    const store = new RecordingStore();
    const lock = store.record({
      read: async () => ({ kind: 'absent' }),
      create: async () => ({ kind: 'conflict' }),
      replace: async () => ({ kind: 'absent' }),
      watch: (given) => {
        observer = given;
        return { close: () => undefined };
      },
      describe: () => 'row 1',
    });
    const watch = new RecordedWatch();
    lock.watch!(watch, options);
    observer!.opened();
    store.cutWatch();
    observer!.interrupted();
    store.restore();
    expect(watch.openings).toBe(1);
    observer!.opened();
    expect(watch.openings).toBe(2);
  });

  it('says nothing to one that was closed', async () => {
    const { store, lock } = await recorded();
    const watch = new RecordedWatch();
    lock.watch!(watch, options).close();
    store.cutWatch();
    store.restore();
    await Promise.resolve();
    expect(watch.calls).toBe(0);
  });
});
