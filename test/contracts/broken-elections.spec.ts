import { describe, expect, it } from '@jest/globals';
import type { ContractCase } from '../../lib/contracts/contract-case.js';
import { electionContract } from '../../lib/contracts/election.contract.js';
import { lockContract } from '../../lib/contracts/lock.contract.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type {
  LeaseWatchObserver,
  LockRequester,
  ResourceLock,
} from '../../lib/core/resource-lock.js';
import {
  memoryLeaseKey,
  MemoryLeaseStore,
  memoryLock,
} from '../../lib/locks/memory/memory.lock.js';
import { editLease } from '../locks/edit-lease.js';

const REQUESTER = { leaseName: 'plan-scheduler', namespace: 'plans', identity: 'first' };
const KEY = memoryLeaseKey(REQUESTER);
const IMPATIENT = { without: ['lost-answers', 'outages'], patienceMs: 100 } as const;

/** Breaks one lock; `shared` is the same for all locks of one store. */
type Break = (lock: ResourceLock, store: MemoryLeaseStore, shared: Shared) => Partial<ResourceLock>;

interface Shared {
  isClosed: boolean;
}

/** Locks of one store, of which something is broken. */
function brokenStore(breakLock: Break) {
  const store = new MemoryLeaseStore();
  const shared: Shared = { isClosed: false };
  const lock = async (requester: LockRequester) => {
    const made = await memoryLock(store)(requester);
    return Object.assign(made, breakLock(made, store, shared));
  };
  return { store, lock };
}

function casesOfLock(breakLock: Break): readonly ContractCase[] {
  return lockContract(async () => {
    const { store, lock } = brokenStore(breakLock);
    return {
      first: await lock(REQUESTER),
      firstIdentity: 'first',
      second: await lock({ ...REQUESTER, identity: 'second' }),
      secondIdentity: 'second',
      name: KEY,
      deleteByHand: async () => store.delete(KEY),
      editByHand: async (change) => editLease(store, KEY, change),
      dispose: () => Promise.resolve(),
    };
  }, IMPATIENT);
}

function casesOfElection(breakLock: Break): readonly ContractCase[] {
  return electionContract(() => {
    const { lock } = brokenStore(breakLock);
    return {
      lock,
      namespace: REQUESTER.namespace,
      dispose: () => Promise.resolve(),
    };
  }, IMPATIENT);
}

/** Names of the cases that fail, with why. */
async function failuresOf(cases: readonly ContractCase[]): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  for (const { name, run } of cases) {
    await run().catch((error: unknown) => failed.set(name, String(error)));
  }
  return failed;
}

const MUTANTS: readonly [what: string, breakLock: Break, name: string, why: string][] = [
  [
    'a watch that compares revisions as texts, and drops the tenth as older than the ninth',
    (lock) => {
      const watch = lock.watch!.bind(lock);
      return {
        watch: (observer, options) => {
          let newest = '';
          return watch(
            {
              ...bound(observer),
              changed: (lease, revision) => {
                if (String(revision) <= newest) return;
                newest = String(revision);
                observer.changed(lease, revision);
              },
            },
            options,
          );
        },
      };
    },
    'when the leader renews, keeps it leader in one term, and the others write nothing',
    'has not reported revision 10',
  ],
  [
    'a watch that takes the eighth renewal for the death of the holder',
    (lock) => {
      const watch = lock.watch!.bind(lock);
      return {
        watch: (observer, options) => {
          let changes = 0;
          return watch(
            {
              ...bound(observer),
              changed: (lease, revision) => {
                observer.changed(lease, revision);
                changes += 1;
                if (changes === 8 && lease !== null) observer.holderDied(lease.timingKey);
              },
            },
            options,
          );
        },
      };
    },
    'when watches are cut, leaves a leader that renews without its watch in its term',
    'candidate-1 and candidate-2 both lead',
  ],
  [
    'a replacement of the newest version that its watch has shown',
    (lock) => {
      const [watch, replace] = [lock.watch!.bind(lock), lock.replace.bind(lock)];
      let newest = { uid: '', revision: 0n };
      return {
        watch: (observer, options) =>
          watch(
            {
              ...bound(observer),
              changed: (lease, revision) => {
                if (lease !== null) newest = lease;
                observer.changed(lease, revision);
              },
            },
            options,
          ),
        replace: (record, expected, options) => {
          const { uid, revision } = newest.revision > expected.revision ? newest : expected;
          return replace(record, { ...expected, uid, revision }, options);
        },
      };
    },
    'when a renewal arrives late, changes nothing once another leads',
    'the leader',
  ],
  [
    'a refused replacement that is tried again if the lease has been released',
    (lock, store) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: async (record, expected, options) => {
          const outcome = await replace(record, expected, options);
          const stored = store.read(KEY);
          return outcome.kind === 'conflict' && stored?.record.holderIdentity === ''
            ? replace(record, stored, options)
            : outcome;
        },
      };
    },
    'when a renewal arrives late, changes nothing once another has led and released it',
    'deep',
  ],
  [
    'a lock that closes the connection of all when it is closed',
    (lock, _store, shared) => {
      const [read, replace] = [lock.read.bind(lock), lock.replace.bind(lock)];
      const error = new LockRequestError('the pool is closed', { reason: 'unreachable' });
      return {
        read: async (options) => (shared.isClosed ? { kind: 'failed', error } : read(options)),
        replace: async (record, expected, options) =>
          shared.isClosed ? { kind: 'not-applied', error } : replace(record, expected, options),
        close: async () => void (shared.isClosed = true),
      };
    },
    'when the leader releases the lease, takes nothing from the others when it closes its lock',
    'the leader',
  ],
  [
    'a lock that loses a connection of its pool with each write',
    (lock) => {
      const replace = lock.replace.bind(lock);
      const error = new LockRequestError('the pool is empty', { reason: 'unreachable' });
      let left = 20;
      return {
        replace: async (record, expected, options) => {
          left -= 1;
          return left < 0 ? { kind: 'not-applied', error } : replace(record, expected, options);
        },
      };
    },
    'when the leader renews, keeps it leader in one term, and the others write nothing',
    'the leader',
  ],
  [
    'a store that forgets a lease whose time is over',
    (lock, store) => {
      const create = lock.create.bind(lock);
      return {
        create: (record, options) => {
          const lifeMs = 1_000 * record.leaseDurationSeconds!;
          setTimeout(() => store.delete(KEY), lifeMs).unref();
          return create(record, options);
        },
      };
    },
    'when the time of a lease is over, still keeps what its holder has written: the next one continues from it',
    'found',
  ],
];

/** Of an observer, for the spread. */
function bound(observer: LeaseWatchObserver) {
  return {
    opened: () => observer.opened(),
    holderDied: (timingKey: string) => observer.holderDied(timingKey),
    interrupted: (error?: LockRequestError) => observer.interrupted(error),
  };
}

describe('when what is broken shows over many requests and several candidates alone', () => {
  it('finds nothing in a lock that is not broken', async () => {
    expect(await failuresOf(casesOfElection(() => ({})))).toEqual(new Map());
  });

  it.each(MUTANTS)('finds it, and the contract of locks does not: %s', async (...mutant) => {
    const [, breakLock, name, why] = mutant;
    expect(await failuresOf(casesOfLock(breakLock))).toEqual(new Map());
    const named = casesOfElection(breakLock).filter((each) => each.name === name);
    expect((await failuresOf(named)).get(name)).toContain(why);
  });
});
