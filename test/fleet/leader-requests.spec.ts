import { describe, expect, it } from '@jest/globals';
import { askLeader, handOver, untilAnswered } from '../../lib/fleet/leader-requests.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { ResourceLock, WriteOutcome } from '../../lib/core/resource-lock.js';
import { LockRequestError } from '../../lib/core/errors.js';
import { memoryLock, MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';
import { EMPTY_RECORD } from '../locks/lease-records.js';

const NEVER = { timeoutMs: 1_000, signal: new AbortController().signal };
const LEADS: LeaseRecord = {
  ...EMPTY_RECORD,
  holderIdentity: 'pod-a',
  leaseTransitions: 4,
  leaseDurationSeconds: 15,
};

/** A lease that pod-a holds in term 4. */
async function held(record: Partial<LeaseRecord> = {}) {
  const requester = { leaseName: 'plans', namespace: undefined, identity: 'cli', role: 'plans' };
  const lock = memoryLock(new MemoryLeaseStore())(requester as never) as ResourceLock;
  await lock.create({ ...LEADS, ...record }, NEVER);
  const now = async (): Promise<ObservedLease> => {
    const outcome = await lock.read(NEVER);
    if (outcome.kind !== 'found') throw new Error(outcome.kind);
    return outcome.stored;
  };
  const edit = async (change: Partial<LeaseRecord>): Promise<void> => {
    const stored = await now();
    await lock.replace({ ...stored.record, ...change }, stored, NEVER);
  };
  return { lock, now, edit };
}

/** The lease is written between each read and write, until then. */
async function writtenUntil(end: number) {
  const { lock } = await held();
  const waiting = virtualTime();
  const contended: ResourceLock = Object.assign(Object.create(lock) as ResourceLock, {
    replace: async (...args: Parameters<ResourceLock['replace']>): Promise<WriteOutcome> =>
      waiting.now() < end ? { kind: 'conflict' } : lock.replace(...args),
  });
  return { lock: contended, waiting };
}

const soon = (): number => Date.now() + 10_000;

/** Time that passes by waiting alone. */
function virtualTime(onPause: (now: number) => Promise<void> = async () => {}) {
  let now = 0;
  return {
    now: () => now,
    pause: async (ms: number): Promise<void> => {
      now += ms;
      await onPause(now);
    },
  };
}

describe('when a leader is asked to step down', () => {
  it('asks no later leader, though another request was answered first', async () => {
    const standing = {
      id: 'x',
      asks: 'step-down',
      transitions: 4,
      holderIdentity: 'pod-a',
      by: 'b',
    };
    const { lock, now, edit } = await held({ request: standing as never });
    const asking = askLeader(lock, { by: 'anna' }, soon());
    await edit({ holderIdentity: 'pod-b', leaseTransitions: 5, request: undefined });
    const request = await asking;
    expect(request).toMatchObject({ transitions: 4, holderIdentity: 'pod-a' });
    expect((await now()).record.request).toBeUndefined();
    expect(await untilAnswered(lock, request, soon())).toEqual({ kind: 'void' });
  });

  it('writes no second time what was heard although its outcome was unknown', async () => {
    const { lock, now, edit } = await held();
    const replace = lock.replace.bind(lock);
    let writes = 0;
    const unclear: ResourceLock = Object.assign(Object.create(lock) as ResourceLock, {
      replace: async (...args: Parameters<ResourceLock['replace']>): Promise<WriteOutcome> => {
        writes += 1;
        const { request } = args[0];
        await replace(...args);
        const answer = { id: request!.id, transitions: 4, by: 'pod-a', atMicros: 0, refused: '' };
        await edit({ holderIdentity: 'pod-b', leaseTransitions: 5, request: undefined, answer });
        return { kind: 'unknown', error: new LockRequestError('504', { reason: 'unclear' }) };
      },
    });
    const request = await askLeader(unclear, { by: 'anna' }, soon());
    expect(writes).toBe(1);
    expect((await now()).record.request).toBeUndefined();
    expect(await untilAnswered(lock, request, soon())).toEqual({ kind: 'done' });
  });

  it('does not wait for a request that no leader will answer', async () => {
    const old = { id: 'x', asks: 'step-down', transitions: 2, holderIdentity: 'gone', by: 'b' };
    const { lock, now } = await held({ request: old as never });
    const waiting = virtualTime();
    const request = await askLeader(lock, { by: 'anna' }, 30_000, waiting);
    expect((await now()).record.request?.id).toBe(request.id);
    expect(waiting.now()).toBe(0);
  });

  it('waits for another request that the leader is about to answer', async () => {
    const other = { id: 'x', asks: 'step-down', transitions: 4, holderIdentity: 'pod-a', by: 'b' };
    const { lock, now, edit } = await held({ request: other as never });
    const waiting = virtualTime(async (at) => {
      if (at === 2_000) await edit({ request: undefined });
    });
    const request = await askLeader(lock, { by: 'anna' }, 30_000, waiting);
    expect((await now()).record.request?.id).toBe(request.id);
    expect(waiting.now()).toBe(2_000);
  });

  it('writes over no request of another person, though its time is over', async () => {
    const other = { id: 'x', asks: 'step-down', transitions: 4, holderIdentity: 'pod-a', by: 'b' };
    const { lock, now } = await held({ request: other as never });
    const waiting = virtualTime();
    await expect(askLeader(lock, { by: 'anna' }, 30_000, waiting)).rejects.toMatchObject({
      isTemporary: true,
      message: expect.stringContaining('pod-a (term 4) has not answered what b asked of it before'),
    });
    expect((await now()).record.request).toEqual(other);
    expect(waiting.now()).toBe(30_000);
  });

  it('takes back no request but its own', async () => {
    const other = { id: 'x', asks: 'step-down', transitions: 4, holderIdentity: 'pod-a', by: 'b' };
    const { lock, now, edit } = await held();
    const waiting = virtualTime(async (at) => {
      if (at === 5_000) await edit({ request: other as never });
    });
    const asked = { by: 'anna', to: undefined, timeoutMs: 30_000 };
    await expect(handOver(lock, asked, waiting)).rejects.toMatchObject({
      isTemporary: true,
      message: expect.not.stringContaining('taken back'),
    });
    expect((await now()).record.request).toEqual(other);
  });

  it('takes its own request back at its time limit', async () => {
    const { lock, now } = await held();
    const asked = { by: 'anna', to: undefined, timeoutMs: 30_000 };
    await expect(handOver(lock, asked, virtualTime())).rejects.toMatchObject({
      isTemporary: true,
      message: expect.stringContaining('The request was taken back.'),
    });
    expect((await now()).record.request).toBeUndefined();
  });

  it('takes it back although the lease is written at the same time', async () => {
    const { lock, now, edit } = await held();
    const replace = lock.replace.bind(lock);
    let renewals = 0;
    const contended: ResourceLock = Object.assign(Object.create(lock) as ResourceLock, {
      replace: async (...args: Parameters<ResourceLock['replace']>): Promise<WriteOutcome> => {
        if (args[0].request === undefined && renewals++ < 2)
          await edit({ renewTimeMicros: renewals });
        return replace(...args);
      },
    });
    const asked = { by: 'anna', to: undefined, timeoutMs: 30_000 };
    await expect(handOver(contended, asked, virtualTime())).rejects.toMatchObject({
      message: expect.stringContaining('The request was taken back.'),
    });
    expect((await now()).record.request).toBeUndefined();
  });

  it('tries again for as long as it may, however often the lease is written in between', async () => {
    const { lock, waiting } = await writtenUntil(20_000);
    const request = await askLeader(lock, { by: 'anna' }, 60_000, waiting);
    expect(request).toMatchObject({ transitions: 4, holderIdentity: 'pod-a' });
    expect(waiting.now()).toBe(20_000);
  });

  it('gives up at its time limit if the lease is written all the time', async () => {
    const { lock, waiting } = await writtenUntil(20_000);
    await expect(askLeader(lock, { by: 'anna' }, 1_000, waiting)).rejects.toMatchObject({
      isTemporary: true,
      message: expect.stringContaining('something else writes it all the time'),
    });
    expect(waiting.now()).toBe(1_000);
  });
});
