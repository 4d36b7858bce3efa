import assert from 'node:assert/strict';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type { Member } from '../core/member.js';
import type { LeaseWatch, ResourceLock, WriteOutcome } from '../core/resource-lock.js';
import {
  assertSame,
  casesOf,
  type ContractCase,
  type ContractOptions,
  type LockCapability,
  type Rules,
} from './contract-case.js';
import { held, NOW_MICROS } from './lease-records.js';
import {
  abortedRequest,
  applied,
  capabilityRules,
  endFixture,
  exactlyOneOf,
  facts,
  kinds,
  type LockFixture,
  OUTAGE_MS,
  request,
} from './lock-fixture.js';
import { RecordedWatch } from './recorded-watch.js';
import { RecordedMembers } from './recorded-members.js';

/** The release of the first term, as far as a name on it goes. */
const DIRECTED: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 1 };

const UNMARKED: Partial<LeaseRecord> = {
  application: undefined,
  memberUid: undefined,
  crowd: undefined,
  successor: undefined,
  gaveUp: undefined,
  address: undefined,
  request: undefined,
  answer: undefined,
};

/** Of a person who names the member that is to follow, and what came of it. */
const REQUEST: LeaseRecord['request'] = {
  id: 'r1',
  asks: 'step-down',
  transitions: 1,
  holderIdentity: 'pod "ü"_1',
  by: 'anna@laptop',
  successor: 'pod:b',
};
const ANSWER: LeaseRecord['answer'] = {
  id: 'r1',
  transitions: 1,
  by: 'pod "ü"_1',
  atMicros: 1_700_000_000_000_001,
  refused: 'pod:b is not fit to lead:\nthe pod is terminating',
};

/** Of a holder whose identity is any text. */
const HOLDERS_ADDRESS: LeaseRecord['address'] = {
  url: 'https://[fd00::7]:3443',
  holderIdentity: 'pod "ü"/3/4',
  transitions: 1,
  acquireTimeMicros: NOW_MICROS,
};

const RECORDS: Readonly<Record<string, Partial<LeaseRecord>>> = {
  'with every field': { releasedTransitions: 7, leaseTransitions: 8 },
  'of a lease released on purpose': { holderIdentity: '', releasedTransitions: 1 },
  'without a duration': { leaseDurationSeconds: null },
  'without times': { acquireTimeMicros: null, renewTimeMicros: null },
  'with a time at a full second': { renewTimeMicros: 1_767_225_600_000_000 },
  'with the most transitions': { leaseTransitions: 2_147_483_647 },
  'of a named application': { application: '@acme/plans (term 4)/api ü' },
  'of a named member': { memberUid: '2c0f7d6e-1f6e (term 4)' },
  'of a crowd': { crowd: { candidates: 97.25, stepMs: 12.5 } },
  'of the largest crowd': { crowd: { candidates: 4_000, stepMs: 4 } },
  'of a directed release': { ...DIRECTED, successor: { transitions: 1, uid: 'a:b "ü"\n' } },
  'of a member that has given up': { gaveUp: { transitions: 1, uid: 'a:b "ü"\n', count: 3 } },
  'with an address': { address: HOLDERS_ADDRESS },
  'with a request': { request: REQUEST },
  'with the answer to one': { answer: ANSWER },
  'of an unusual holder': { holderIdentity: 'pod "ü"\n/1_🙂' },
};

/** What the next holder does not write, by its name for people: what the former one wrote, and in which field. */
const MARKS: Readonly<Record<string, readonly [Partial<LeaseRecord>, keyof LeaseRecord]>> = {
  application: [{ application: 'plans' }, 'application'],
  member: [{ memberUid: 'uid-of-a-pod' }, 'memberUid'],
  crowd: [{ crowd: { candidates: 3, stepMs: 4 } }, 'crowd'],
  successor: [{ ...DIRECTED, successor: { transitions: 1, uid: 'uid-of-a-pod' } }, 'successor'],
  address: [{ address: HOLDERS_ADDRESS }, 'address'],
  request: [{ request: REQUEST }, 'request'],
  answer: [{ answer: ANSWER }, 'answer'],
  'gave-up mark': [{ gaveUp: { transitions: 1, uid: 'uid-of-a-pod', count: 1 } }, 'gaveUp'],
};

/**
 * What every lock must do, as cases for any test runner: reads that see every acknowledged write, writes that are
 * compare-and-set, revisions that grow, records kept whole, watches, and requests that end. Each case makes a fixture of
 * its own.
 *
 * There is no capability for a store that cannot compare and replace in one step: it cannot hold a lease.
 *
 * @example
 * describe('the lock of this application', () => {
 *   it.each(lockContract(createFixture, { without: ['sibling'] }))('$name', ({ run }) => run());
 * });
 */
export function lockContract(
  createFixture: () => LockFixture | Promise<LockFixture>,
  options: ContractOptions = {},
): readonly ContractCase[] {
  const begin = async (patienceMs: number, lacks: ReadonlySet<LockCapability>) =>
    new LockUnderTest(await createFixture(), patienceMs, lacks);
  return casesOf({ capabilities: CAPABILITIES, rules: RULES, needs: NEEDS }, begin, options);
}

/** Two candidates for a lease, of whom neither has written anything. */
class LockUnderTest {
  readonly first: ResourceLock;
  readonly second: ResourceLock;
  private readonly watches: LeaseWatch[] = [];
  private readonly sources: RecordedMembers[] = [];

  constructor(
    readonly fixture: LockFixture,
    private readonly patienceMs: number,
    readonly lacks: ReadonlySet<LockCapability>,
  ) {
    this.first = fixture.first;
    this.second = fixture.second;
  }

  async locks(): Promise<readonly ResourceLock[]> {
    return [this.first, this.second];
  }

  async end(): Promise<void> {
    for (const watch of this.watches) watch.close();
    for (const source of this.sources) await source.close();
    await endFixture(this.fixture);
  }

  heldByFirst(change?: Partial<LeaseRecord>): LeaseRecord {
    return held(this.fixture.firstIdentity, change);
  }

  heldBySecond(change?: Partial<LeaseRecord>): LeaseRecord {
    return held(this.fixture.secondIdentity, change);
  }

  async created(record = this.heldByFirst()): Promise<ObservedLease> {
    return applied(await this.first.create(record, request()));
  }

  async read(lock: ResourceLock): Promise<ObservedLease> {
    const outcome = await lock.read(request());
    if (outcome.kind !== 'found') throw new Error(`read: ${outcome.kind}`);
    return outcome.stored;
  }

  async readKind(lock: ResourceLock): Promise<string> {
    return (await lock.read(request())).kind;
  }

  replace(lock: ResourceLock, record: LeaseRecord, expected: ObservedLease): Promise<WriteOutcome> {
    return lock.replace(record, expected, request());
  }

  watching(lock: ResourceLock): { readonly recorded: RecordedWatch; readonly watch: LeaseWatch } {
    if (lock.watch === undefined) throw new Error(`${lock.describe()} has no watch`);
    const recorded = new RecordedWatch(this.patienceMs);
    const watch = lock.watch(recorded, { silenceLimitMs: 30_000 });
    this.watches.push(watch);
    return { recorded, watch };
  }

  beside(lock: ResourceLock, identity: string): ResourceLock {
    const made = lock.leaseBeside?.('once-schema', identity);
    if (made === undefined) throw new Error(`${lock.describe()} has no leaseBeside`);
    return made;
  }

  competing(lock: ResourceLock): RecordedMembers {
    const source = lock.competitors?.();
    if (source === undefined) throw new Error(`${lock.describe()} has no competitors`);
    const recorded = new RecordedMembers(source, this.patienceMs);
    this.sources.push(recorded);
    return recorded;
  }
}

function names(members: readonly Member[]): string[] {
  return members.map(({ name }) => name).sort();
}

const CAPABILITIES: readonly LockCapability[] = [
  'watch',
  'sibling',
  'leaseBeside',
  'competitors',
  'lost-answers',
  'outages',
];

const NEEDS: Readonly<Record<string, LockCapability>> = {
  'when it makes the lock of a lease beside it': 'leaseBeside',
  'when it is watched': 'watch',
  'when it is asked who competes': 'competitors',
  'when the answer to a write is lost': 'lost-answers',
  'when the store cannot be reached': 'outages',
};

const RULES: Rules<LockUnderTest> = {
  '': {
    'names the object when it describes itself': async ({ first, fixture }) => {
      const description = first.describe();
      assert.ok(description.includes(fixture.name), `${description} without ${fixture.name}`);
    },
  },

  'when its capabilities are asked for': capabilityRules(CAPABILITIES),

  'when there is no object': {
    'reads absent': async (on) => {
      assert.equal(await on.readKind(on.first), 'absent');
    },

    'creates it, and every candidate reads what was created': async (on) => {
      const lease = await on.created();
      assertSame(lease.record, on.heldByFirst());
      assertSame(facts(await on.read(on.first)), facts(lease));
      assertSame((await on.read(on.second)).record, on.heldByFirst());
    },

    'lets exactly one of many concurrent creations through': async (on) => {
      const outcomes = await Promise.all(
        [on.first, on.second, on.first, on.second].map((lock) =>
          lock.create(on.heldByFirst(), request()),
        ),
      );
      assertSame(kinds(outcomes), exactlyOneOf(4));
    },
  },

  'when there is an object': {
    'refuses to create another': async (on) => {
      const lease = await on.created();
      const outcome = await on.second.create(on.heldBySecond(), request());
      assert.equal(outcome.kind, 'conflict');
      assertSame(facts(await on.read(on.first)), facts(lease));
    },

    'replaces the record that was read, and the revision grows': async (on) => {
      await on.created();
      const before = await on.read(on.second);
      const record = on.heldBySecond({ leaseTransitions: 2 });
      const after = applied(await on.replace(on.second, record, before));
      assertSame(after.record, record);
      assert.equal(after.uid, before.uid);
      assert.ok(after.revision > before.revision, `${after.revision} after ${before.revision}`);
      assertSame(facts(await on.read(on.second)), facts(after));
    },

    'takes the outcome of one write as the expectation of the next': async (on) => {
      let lease = await on.created();
      for (let renewal = 1; renewal <= 12; renewal++) {
        const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + renewal });
        lease = applied(await on.replace(on.first, record, lease));
      }
      assertSame((await on.read(on.second)).record, lease.record);
    },

    'shows the other candidate each write as soon as it was acknowledged': async (on) => {
      let lease = await on.created();
      for (let renewal = 1; renewal <= 12; renewal++) {
        const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + renewal });
        lease = applied(await on.replace(on.first, record, lease));
        assertSame(facts(await on.read(on.second)), facts(lease));
      }
    },

    'refuses an expectation that is no longer true': async (on) => {
      const old = await on.created();
      const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      const current = applied(await on.replace(on.first, record, old));
      assert.equal((await on.replace(on.first, on.heldByFirst(), old)).kind, 'conflict');
      assertSame(facts(await on.read(on.first)), facts(current));
    },

    'refuses an expectation that a hand edit made untrue': async (on) => {
      const old = await on.created();
      await on.fixture.editByHand({ holderIdentity: 'operator' });
      assert.equal((await on.replace(on.first, on.heldByFirst(), old)).kind, 'conflict');
      assert.equal((await on.read(on.first)).record.holderIdentity, 'operator');
    },

    'lets exactly one of many concurrent writes with one expectation through': async (on) => {
      await on.created();
      const attempts = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => {
          const lock = index % 2 === 0 ? on.first : on.second;
          const record = held(`candidate-${index}`, { leaseTransitions: 2 });
          return { lock, record, expected: await on.read(lock) };
        }),
      );
      const outcomes = await Promise.all(
        attempts.map(({ lock, record, expected }) => on.replace(lock, record, expected)),
      );
      assertSame(kinds(outcomes), exactlyOneOf(8));
      const winner = outcomes.findIndex(({ kind }) => kind === 'applied');
      assertSame((await on.read(on.first)).record, attempts[winner]?.record);
    },

    'survives a write that changes nothing, whether or not it counts as one': async (on) => {
      const before = await on.created();
      const again = applied(await on.replace(on.first, on.heldByFirst(), before));
      assert.ok(again.revision >= before.revision, `${again.revision} after ${before.revision}`);
      const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      assertSame(applied(await on.replace(on.first, record, again)).record, record);
    },
  },

  'when records are stored': Object.fromEntries(
    Object.entries(RECORDS).map(([what, change]) => [
      `keeps a record ${what}`,
      async (on) => {
        const before = await on.created();
        const record = on.heldByFirst(change);
        assertSame(applied(await on.replace(on.first, record, before)).record, record);
        assertSame((await on.read(on.second)).record, record);
      },
    ]),
  ),

  'when the next holder writes no such mark': {
    ...Object.fromEntries(
      Object.entries(MARKS).map(([mark, [change, field]]) => [
        `forgets the former one's ${mark}`,
        async (on: LockUnderTest) => {
          const before = await on.created(on.heldByFirst(change));
          assert.notEqual(before.record[field], undefined);
          const record = on.heldBySecond({ leaseTransitions: 2 });
          await on.replace(on.second, record, before);
          assert.equal((await on.read(on.first)).record[field], undefined);
        },
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(MARKS).map(([mark, [change]]) => [
        `stores the ${mark} also where nothing else has changed`,
        async (on: LockUnderTest) => {
          const before = await on.created(on.heldByFirst({ ...change, ...UNMARKED }));
          await on.replace(on.first, on.heldByFirst(change), before);
          assertSame((await on.read(on.second)).record, on.heldByFirst(change));
        },
      ]),
    ),
  },

  'when leadership changes hands': {
    'gives one timing key to one term at rest': async (on) => {
      const lease = await on.created();
      assert.equal((await on.read(on.first)).timingKey, lease.timingKey);
      assert.equal((await on.read(on.first)).timingKey, lease.timingKey);
    },

    'gives another timing key to every renewal, release and acquisition': async (on) => {
      const released = { holderIdentity: '', releasedTransitions: 1 };
      const steps: Partial<LeaseRecord>[] = [
        { renewTimeMicros: NOW_MICROS + 1 },
        { renewTimeMicros: NOW_MICROS + 1, ...released },
        { renewTimeMicros: NOW_MICROS + 1 },
        { renewTimeMicros: NOW_MICROS + 1, leaseTransitions: 2 },
        { renewTimeMicros: NOW_MICROS + 1, leaseTransitions: 2, leaseDurationSeconds: 16 },
      ];
      let lease = await on.created();
      for (const step of steps) {
        const next = applied(await on.replace(on.first, on.heldByFirst(step), lease));
        assert.notEqual(next.timingKey, lease.timingKey);
        assert.equal((await on.read(on.first)).timingKey, next.timingKey);
        lease = next;
      }
    },

    'refuses the renewal and the release of a former holder': async (on) => {
      const former = await on.created();
      const takeover = on.heldBySecond({ leaseTransitions: 2 });
      applied(await on.replace(on.second, takeover, await on.read(on.second)));
      const renewal = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      const release = on.heldByFirst({ holderIdentity: '', releasedTransitions: 1 });
      assert.equal((await on.replace(on.first, renewal, former)).kind, 'conflict');
      assert.equal((await on.replace(on.first, release, former)).kind, 'conflict');
      assertSame((await on.read(on.second)).record, takeover);
    },
  },

  'when it makes the lock of a lease beside it': {
    'keeps it in an object of its own, whose name begins with that of the lease': async (on) => {
      const one = on.beside(on.first, 'first_once');
      const other = on.beside(on.second, 'second_once');
      const description = one.describe();
      assert.ok(description.includes('-once-schema'), description);
      const made = applied(await one.create(held('first_once'), request()));
      assert.equal(await on.readKind(on.first), 'absent');
      const seen = await on.read(other);
      assert.equal(seen.uid, made.uid);
      assert.equal(seen.record.holderIdentity, 'first_once');
      const own = await on.created();
      assert.notEqual(own.uid, made.uid);
      await one.replace(held('first_once', { leaseTransitions: 2 }), made, request());
      assert.equal((await on.read(on.second)).revision, own.revision);
      await Promise.all([one.close?.(), other.close?.()]);
    },

    'can be used after it was closed': async (on) => {
      await on.beside(on.first, 'first_once').close?.();
      assert.equal(await on.readKind(on.first), 'absent');
    },
  },

  'when the object is deleted by hand': {
    'reads absent': async (on) => {
      await on.created();
      await on.fixture.deleteByHand();
      assert.equal(await on.readKind(on.first), 'absent');
      assert.equal(await on.readKind(on.second), 'absent');
    },

    'does not bring it back by a replacement': async (on) => {
      const lease = await on.created();
      await on.fixture.deleteByHand();
      const { kind } = await on.replace(on.first, on.heldByFirst(), lease);
      assert.ok(['absent', 'conflict'].includes(kind), `the replacement: ${kind}`);
      assert.equal(await on.readKind(on.second), 'absent');
    },

    'makes a new one with another uid and a higher revision': async (on) => {
      const old = await on.created();
      const renewed = applied(await on.replace(on.first, on.heldByFirst(), old));
      await on.fixture.deleteByHand();
      const made = applied(await on.second.create(on.heldBySecond(), request()));
      assert.notEqual(made.uid, old.uid);
      assert.ok(made.revision > renewed.revision, `${made.revision} after ${renewed.revision}`);
      assert.notEqual(made.timingKey, old.timingKey);
    },

    'refuses an expectation from before the deletion': async (on) => {
      const old = await on.created();
      await on.fixture.deleteByHand();
      const made = applied(await on.second.create(on.heldBySecond(), request()));
      assert.equal((await on.replace(on.first, on.heldByFirst(), old)).kind, 'conflict');
      assertSame(facts(await on.read(on.second)), facts(made));
    },
  },

  'when it is watched': {
    'says once that it is open, and nothing of what was before': async (on) => {
      const { recorded } = on.watching(on.second);
      await recorded.untilOpen();
      assertSame(recorded.changes, []);
    },

    'reports creation, renewal and deletion in order with growing revisions': async (on) => {
      const { recorded } = on.watching(on.second);
      await recorded.untilOpen();

      const lease = await on.created();
      await recorded.untilShows(lease.record);
      const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      const renewed = applied(await on.replace(on.first, record, lease));
      await recorded.untilShows(record);
      await on.fixture.deleteByHand();
      await recorded.until(({ last }) => last?.lease === null, 'the deletion');
      const made = applied(await on.first.create(on.heldByFirst(), request()));
      await recorded.until(({ last }) => last?.lease?.uid === made.uid, 'the second creation');

      const seen = recorded.distinctChanges();
      const revisions = seen.map(({ revision }) => revision);
      assertSame(
        revisions,
        revisions.toSorted((a, b) => (a < b ? -1 : 1)),
      );
      const leases = seen.flatMap((change) => change.lease ?? []);
      assertSame(
        leases.map((each) => each.timingKey),
        [lease.timingKey, renewed.timingKey, made.timingKey],
      );
      assert.equal(recorded.openings, 1);
      assertSame(recorded.deaths, []);
    },

    'shows in a change what a read shows': async (on) => {
      const { recorded } = on.watching(on.second);
      await recorded.untilOpen();
      await on.created();
      await recorded.untilShows(on.heldByFirst());
      const { lease, revision } = recorded.last ?? {};
      assertSame(facts(lease!), facts(await on.read(on.second)));
      assert.equal(revision, lease?.revision);
    },

    'is silent once it is closed': async (on) => {
      const { recorded, watch } = on.watching(on.second);
      const barrier = on.watching(on.first).recorded;
      await recorded.untilOpen();
      await barrier.untilOpen();
      watch.close();
      const { calls } = recorded;
      const lease = await on.created();
      await barrier.untilShows(lease.record);
      assert.equal(recorded.calls, calls);
    },

    'may be closed before it is open, and again': async (on) => {
      const { recorded, watch } = on.watching(on.second);
      watch.close();
      watch.close();
      await on.created();
      assertSame(recorded.changes, []);
    },
  },

  'when it is asked who competes': {
    'tells each competitor of both, and which of them it is': async (on) => {
      const { firstIdentity, secondIdentity } = on.fixture;
      const sources = [on.competing(on.first), on.competing(on.second)];
      for (const source of sources) await source.untilCount(2);
      for (const [index, own] of [firstIdentity, secondIdentity].entries()) {
        const { members } = sources[index]!;
        assertSame(names(members), [firstIdentity, secondIdentity].sort());
        assertSame(names(members.filter(({ isSelf }) => isSelf)), [own]);
      }
    },

    'no longer names one that has ended': async (on) => {
      const [first, second] = [on.competing(on.first), on.competing(on.second)];
      await first.untilCount(2);
      await second.close();
      await first.untilCount(1);
      assertSame(names(first.members), [on.fixture.firstIdentity]);
    },
  },

  'when a request is aborted': {
    'ends as failed or unknown, without waiting': async (on) => {
      const lease = await on.created();
      const read = await on.first.read(abortedRequest());
      assert.equal(read.kind, 'failed');
      const create = await on.first.create(on.heldByFirst(), abortedRequest());
      assert.equal(create.kind, 'unknown');
      const replace = await on.first.replace(on.heldByFirst(), lease, abortedRequest());
      assert.equal(replace.kind, 'unknown');
    },

    'settles when it is aborted on the way': async (on) => {
      const lease = await on.created();
      const controller = new AbortController();
      const { signal } = controller;
      const record = on.heldByFirst({ leaseTransitions: 2 });
      const outcome = on.first.replace(record, lease, { timeoutMs: 60_000, signal });
      controller.abort();
      const { kind } = await outcome;
      assert.ok(['unknown', 'not-applied', 'applied'].includes(kind), kind);
    },
  },

  'when the answer to a write is lost': {
    'answers unknown, and the next read shows what was written': async (on) => {
      const lease = await on.created();
      await on.fixture.loseAnswer!();
      const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      const { kind } = await on.replace(on.first, record, lease);
      assert.equal(kind, 'unknown');
      assertSame((await on.read(on.second)).record, record);
    },
  },

  'when the store cannot be reached': {
    'says what is not known instead of rejecting, and works once it is back': async (on) => {
      const lease = await on.created();
      const restore = await on.fixture.interrupt!();
      assert.equal((await on.first.read(request(OUTAGE_MS))).kind, 'failed');
      const record = on.heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
      const { kind } = await on.first.replace(record, lease, request(OUTAGE_MS));
      assert.ok(['unknown', 'not-applied'].includes(kind), `the write: ${kind}`);
      await restore();
      const found = await on.read(on.first);
      assertSame(applied(await on.replace(on.first, record, found)).record, record);
    },
  },
};
