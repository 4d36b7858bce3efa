import { describe, expect, it } from '@jest/globals';
import { askLeader, untilAnswered } from '../../lib/cli/step-down.command.js';
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

const soon = (): number => Date.now() + 10_000;

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
    const request = await askLeader(lock, { by: 'anna' }, soon());
    expect((await now()).record.request?.id).toBe(request.id);
  });
});
