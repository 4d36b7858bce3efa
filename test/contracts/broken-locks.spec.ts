import { describe, expect, it } from '@jest/globals';
import type { ContractCase } from '../../lib/contracts/contract-case.js';
import { documentStoreContract } from '../../lib/contracts/document-store.contract.js';
import { lockContract } from '../../lib/contracts/lock.contract.js';
import { RecordingStore } from '../../lib/contracts/recording.store.js';
import type { JsonDocument } from '../../lib/core/json-document.js';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import type {
  ReadOutcome,
  ResourceLock,
  Store,
  StoredDocument,
} from '../../lib/core/resource-lock.js';
import {
  MemoryLeaseStore,
  memoryLeaseKey,
  memoryLock,
} from '../../lib/locks/memory/memory.lock.js';
import { editLease } from '../locks/edit-lease.js';

const REQUESTER = { leaseName: 'plan', namespace: 'plans', identity: 'first' };
const KEY = memoryLeaseKey(REQUESTER);

type Break = (lock: ResourceLock, store: MemoryLeaseStore) => Partial<ResourceLock>;
type Documents = Store<JsonDocument, StoredDocument>;
type BreakStore = (store: Documents) => Partial<Documents>;

/** Titles of the cases that fail on a lock of which something is broken. */
async function failing(breakLock: Break): Promise<string[]> {
  const cases = lockContract(
    async () => {
      const { store, recording, lock } = distantStore();
      const make = async (identity: string) => {
        const made = await lock(identity);
        return Object.assign(made, breakLock(made, store));
      };
      return {
        first: await make('first'),
        firstIdentity: 'first',
        second: await make('second'),
        secondIdentity: 'second',
        name: 'plans/plan',
        deleteByHand: () => Promise.resolve(store.delete(KEY)),
        editByHand: (change) => Promise.resolve(editLease(store, KEY, change)),
        ...faultsOf(recording),
        dispose: () => Promise.resolve(),
      };
    },
    { patienceMs: 100 },
  );
  return failuresOf(cases);
}

/** As {@link failing}, of a store of documents. */
async function failingDocuments(breakStore: BreakStore): Promise<string[]> {
  const cases = documentStoreContract(async () => {
    const { store, recording, lock } = distantStore();
    const make = async (identity: string): Promise<ResourceLock> => {
      const made = await lock(identity);
      const sibling = (suffix: string) => {
        const documents = made.sibling!(suffix);
        return Object.assign(documents, breakStore(documents));
      };
      return { ...made, sibling };
    };
    return {
      first: await make('first'),
      second: await make('second'),
      deleteByHand: async () => void store.documents.delete(`${KEY}-schedule`),
      spoilByHand: async () => void store.documents.set(`${KEY}-schedule`, { text: '{"n":' }),
      ...faultsOf(recording),
      dispose: () => Promise.resolve(),
    };
  });
  return failuresOf(cases);
}

/** A store in memory that can lose an answer and be away. */
function distantStore() {
  const store = new MemoryLeaseStore();
  const recording = new RecordingStore();
  const makeLock = recording.record(memoryLock(store));
  return {
    store,
    recording,
    lock: async (identity: string) => makeLock({ ...REQUESTER, identity }),
  };
}

function faultsOf(recording: RecordingStore) {
  return {
    loseAnswer: async () => recording.loseAnswers({ verbs: ['create', 'replace'], count: 1 }),
    interrupt: async () => {
      recording.fail();
      return async () => recording.restore();
    },
  };
}

async function failuresOf(cases: readonly ContractCase[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of cases) {
    await run().catch(() => failed.push(name));
  }
  return failed;
}

const MUTANTS: readonly [string, Break, string][] = [
  [
    'a compare-and-set that always succeeds',
    (lock, store) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: (record, expected, options) =>
          replace(record, store.read(KEY) ?? expected, options),
      };
    },
    'when there is an object, refuses an expectation that is no longer true',
  ],
  [
    'a create that replaces what there is',
    (lock, store) => {
      const create = lock.create.bind(lock);
      return {
        create: (record, options) => {
          const stored = store.read(KEY);
          return stored === undefined
            ? create(record, options)
            : Promise.resolve(store.replace(KEY, record, stored));
        },
      };
    },
    'when there is an object, refuses to create another',
  ],
  [
    'a release that frees the lease of another',
    (lock, store) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: (record, expected, options) =>
          replace(
            record,
            record.holderIdentity === '' ? (store.read(KEY) ?? expected) : expected,
            options,
          ),
      };
    },
    'when leadership changes hands, refuses the renewal and the release of a former holder',
  ],
  [
    'a read that returns stale data',
    (lock) => {
      const read = lock.read.bind(lock);
      let kept: ReadOutcome | undefined;
      return {
        read: async (options) => {
          const found = await read(options);
          if (kept?.kind === 'found') return kept;
          kept = found;
          return found;
        },
      };
    },
    'when there is an object, shows the other candidate each write as soon as it was acknowledged',
  ],
  [
    'a revision that begins again with each object, so that fencing tokens are lost',
    (lock) => {
      const versions = new Map<string, bigint>();
      const first = new Map<string, bigint>();
      const own = (lease: ObservedLease): ObservedLease => {
        const from = first.get(lease.uid) ?? lease.revision;
        first.set(lease.uid, from);
        versions.set(lease.uid, lease.revision);
        return { ...lease, revision: lease.revision - from + 1n, source: lease };
      };
      const real = (lease: ObservedLease) => (lease.source ?? lease) as ObservedLease;
      const [read, create, replace] = [
        lock.read.bind(lock),
        lock.create.bind(lock),
        lock.replace.bind(lock),
      ];
      const mapped = <O extends { kind: string }>(o: O): O =>
        'stored' in o ? { ...o, stored: own(o.stored as ObservedLease) } : o;
      return {
        read: async (options) => mapped(await read(options)),
        create: async (record, options) => mapped(await create(record, options)),
        replace: async (record, expected, options) =>
          mapped(await replace(record, real(expected), options)),
      };
    },
    'when the object is deleted by hand, makes a new one with another uid and a higher revision',
  ],
  [
    'a record of which unknown fields are dropped',
    (lock) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: (record, expected, options) =>
          replace({ ...record, address: undefined }, expected, options),
      };
    },
    'when records are stored, keeps a record with an address',
  ],
  [
    'a watch that reports nothing',
    () => ({ watch: (observer) => (observer.opened(), { close: () => {} }) }),
    'when it is watched, shows in a change what a read shows',
  ],
  [
    'an aborted write that is called not applied',
    (lock) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: async (record, expected, options) => {
          const outcome = await replace(record, expected, options);
          return outcome.kind === 'unknown' ? { ...outcome, kind: 'not-applied' } : outcome;
        },
      };
    },
    'when a request is aborted, ends as failed or unknown, without waiting',
  ],
  [
    'a write without an answer that is called not applied',
    (lock) => {
      const replace = lock.replace.bind(lock);
      return {
        replace: async (record, expected, options) => {
          const outcome = await replace(record, expected, options);
          return outcome.kind === 'unknown' && !options.signal.aborted
            ? { ...outcome, kind: 'not-applied' }
            : outcome;
        },
      };
    },
    'when the answer to a write is lost, answers unknown, and the next read shows what was written',
  ],
  [
    'a read that takes a store that is away for one without the lease',
    (lock) => {
      const read = lock.read.bind(lock);
      return {
        read: async (options) => {
          const outcome = await read(options);
          return outcome.kind === 'failed' && !options.signal.aborted
            ? { kind: 'absent' }
            : outcome;
        },
      };
    },
    'when the store cannot be reached, says what is not known instead of rejecting, and works once it is back',
  ],
  [
    'a watch that the suite was not told is missing',
    () => ({ watch: undefined }) as unknown as Partial<ResourceLock>,
    'when its capabilities are asked for, has watch unless the suite was told otherwise',
  ],
];

const DOCUMENT_MUTANTS: readonly [string, BreakStore, string][] = [
  [
    'a compare-and-set that always succeeds',
    (store) => {
      const [read, replace] = [store.read.bind(store), store.replace.bind(store)];
      return {
        replace: async (document, expected, options) => {
          const found = await read(options);
          return replace(document, found.kind === 'found' ? found.stored : expected, options);
        },
      };
    },
    'when there is a document, refuses a version that is not the newest',
  ],
  [
    'a read that takes what is not a document for an empty one',
    (store) => {
      const read = store.read.bind(store);
      return {
        read: async (options) => {
          const outcome = await read(options);
          return outcome.kind === 'failed' && !options.signal.aborted
            ? { kind: 'found', stored: { document: {}, version: undefined } }
            : outcome;
        },
      };
    },
    'when it was spoilt by hand, fails to read it instead of taking it for empty',
  ],
  [
    'a write without an answer that is called a conflict',
    (store) => {
      const replace = store.replace.bind(store);
      return {
        replace: async (document, expected, options) => {
          const outcome = await replace(document, expected, options);
          return outcome.kind === 'unknown' ? { kind: 'conflict' } : outcome;
        },
      };
    },
    'when the answer to a write is lost, answers unknown, and the next read shows what was written',
  ],
  [
    'a write that rejects while the store is away',
    (store) => {
      const replace = store.replace.bind(store);
      return {
        replace: async (document, expected, options) => {
          const outcome = await replace(document, expected, options);
          if (outcome.kind === 'not-applied') throw outcome.error;
          return outcome;
        },
      };
    },
    'when the store cannot be reached, says what is not known instead of rejecting, and works once it is back',
  ],
];

describe('when a lock is broken', () => {
  it('finds nothing in one that is not', async () => {
    expect(await failing(() => ({}))).toEqual([]);
  });

  it.each(MUTANTS)('names a case that fails: %s', async (_what, breakLock, name) => {
    expect(await failing(breakLock)).toContain(name);
  });
});

describe('when a store of documents is broken', () => {
  it('finds nothing in one that is not', async () => {
    expect(await failingDocuments(() => ({}))).toEqual([]);
  });

  it.each(DOCUMENT_MUTANTS)('names a case that fails: %s', async (_what, breakStore, name) => {
    expect(await failingDocuments(breakStore)).toContain(name);
  });
});

describe('when a suite is given options', () => {
  const noFixture = () => Promise.reject(new Error('not to be made'));

  it.each([
    ['a capability that it does not know', { without: ['wacth'] }, 'without = "wacth"'],
    ['what is not a list', { without: 'watch' }, 'without = "watch": must be an array'],
    ['an option that it does not know', { withuot: [] }, 'withuot = an array: is not an option'],
    ['no time to wait', { patienceMs: 0 }, 'patienceMs = 0'],
  ])('refuses %s', (_what, options, message) => {
    expect(() => lockContract(noFixture, options as object)).toThrow(message);
    expect(() => documentStoreContract(noFixture, options as object)).toThrow(message);
  });

  it('leaves out the rules of what the lock lacks, and no other', () => {
    const all = lockContract(noFixture).map(({ name }) => name);
    const without = lockContract(noFixture, { without: ['watch'] }).map(({ name }) => name);
    const left = all.filter((name) => !without.includes(name));
    expect(left.length).toBeGreaterThan(3);
    expect(left.filter((name) => !name.startsWith('when it is watched, '))).toEqual([]);
  });

  it('gives no two cases one name', () => {
    for (const cases of [lockContract(noFixture), documentStoreContract(noFixture)]) {
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    }
  });
});

describe('when a case ends', () => {
  it('closes both locks and frees the store, also after a rule was broken', async () => {
    const calls: string[] = [];
    const lock = (name: string): ResourceLock => ({
      read: () => Promise.reject(new Error('broken')),
      create: () => Promise.reject(new Error('broken')),
      replace: () => Promise.reject(new Error('broken')),
      describe: () => name,
      close: async () => void calls.push(`close ${name}`),
    });
    const [{ run } = { run: () => Promise.resolve() }] = documentStoreContract(
      () => ({
        first: lock('first'),
        second: lock('second'),
        deleteByHand: () => Promise.resolve(),
        dispose: async () => void calls.push('dispose'),
      }),
      { without: ['lost-answers', 'outages', 'spoiling'] },
    ).filter(({ name }) => name === 'when there is no document, reads absent');
    await expect(run()).rejects.toThrow('first has no sibling');
    expect(calls).toEqual(['close first', 'close second', 'dispose']);
  });
});
