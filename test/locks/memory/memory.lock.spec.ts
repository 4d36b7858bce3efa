import { describe, expect, it } from '@jest/globals';
import {
  memoryLeaseKey,
  MemoryLeaseStore,
  memoryLock,
} from '../../../lib/locks/memory/memory.lock.js';
import { editLease } from '../edit-lease.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const REQUESTER = { leaseName: 'plan-scheduler', namespace: 'plans', identity: 'first' };
const RECORD = held('first');

describeResourceLock(
  'memoryLock()',
  async () => {
    const store = new MemoryLeaseStore();
    const makeLock = memoryLock(store);
    const key = memoryLeaseKey(REQUESTER);
    return {
      first: await makeLock(REQUESTER),
      firstIdentity: 'first',
      second: await makeLock({ ...REQUESTER, identity: 'second' }),
      secondIdentity: 'second',
      name: 'plans/plan-scheduler',
      deleteByHand: () => Promise.resolve(store.delete(key)),
      editByHand: (change) => Promise.resolve(editLease(store, key, change)),
      dispose: () => Promise.resolve(),
    };
  },
  ['lost-answers', 'outages'],
);

describe('memoryLock()', () => {
  it('shares one store among the locks of one call', async () => {
    const makeLock = memoryLock();
    await (await makeLock(REQUESTER)).create(RECORD, request());
    const other = await makeLock({ ...REQUESTER, identity: 'second' });
    expect((await other.read(request())).kind).toBe('found');
  });

  it('shares nothing between two calls', async () => {
    await (await memoryLock()(REQUESTER)).create(RECORD, request());
    expect((await (await memoryLock()(REQUESTER)).read(request())).kind).toBe('absent');
  });

  it('tells leases apart by namespace and name', async () => {
    const makeLock = memoryLock();
    await (await makeLock(REQUESTER)).create(RECORD, request());
    for (const other of [{ namespace: 'else' }, { leaseName: 'else' }, { namespace: undefined }]) {
      const lock = await makeLock({ ...REQUESTER, ...other });
      expect((await lock.read(request())).kind).toBe('absent');
    }
  });

  it('counts revisions over the whole store', async () => {
    const makeLock = memoryLock();
    const first = await (await makeLock(REQUESTER)).create(RECORD, request());
    const other = await makeLock({ ...REQUESTER, leaseName: 'other' });
    const second = await other.create(RECORD, request());
    expect(first).toMatchObject({ stored: { revision: 1n } });
    expect(second).toMatchObject({ stored: { revision: 2n } });
  });

  it('does not write what is stored already, as the API server does not', async () => {
    const lock = await memoryLock()(REQUESTER);
    const created = await lock.create(RECORD, request());
    if (created.kind !== 'applied') throw new Error(created.kind);
    const again = await lock.replace(RECORD, created.stored, request());
    expect(again).toEqual(created);
  });

  it('keeps its own copy of a record', async () => {
    const lock = await memoryLock()(REQUESTER);
    const record = { ...RECORD };
    await lock.create(record, request());
    record.holderIdentity = 'somebody else';
    expect(await lock.read(request())).toMatchObject({ stored: { record: RECORD } });
  });

  it('answers no request and reports no change before the caller has gone on', async () => {
    const lock = await memoryLock()(REQUESTER);
    const order: string[] = [];
    const watch = lock.watch?.(
      {
        opened: () => order.push('opened'),
        changed: () => order.push('changed'),
        holderDied: () => order.push('died'),
        interrupted: () => order.push('interrupted'),
      },
      { silenceLimitMs: 1000 },
    );
    const creation = lock.create(RECORD, request()).then(() => order.push('created'));
    order.push('caller');
    await creation;
    expect(order[0]).toBe('caller');
    expect(order.indexOf('opened')).toBeLessThan(order.indexOf('changed'));
    watch?.close();
  });

  it('reports nothing that was on its way when it was closed', async () => {
    const lock = await memoryLock()(REQUESTER);
    const recorded = new RecordedWatch();
    lock.watch?.(recorded, { silenceLimitMs: 1000 }).close();
    const late = lock.watch?.(recorded, { silenceLimitMs: 1000 });
    await recorded.until(({ openings }) => openings === 1);
    const creation = lock.create(RECORD, request());
    await Promise.resolve();
    late?.close();
    await creation;
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorded).toMatchObject({ openings: 1, changes: [] });
  });

  it('does nothing for a request that is aborted before the caller has gone on', async () => {
    const lock = await memoryLock()(REQUESTER);
    const controller = new AbortController();
    const options = { ...request(), signal: controller.signal };
    const outcomes = [lock.read(options), lock.create(RECORD, options)];
    controller.abort();
    expect(await Promise.all(outcomes)).toMatchObject([{ kind: 'failed' }, { kind: 'unknown' }]);
    expect((await lock.read(request())).kind).toBe('absent');
  });
});
