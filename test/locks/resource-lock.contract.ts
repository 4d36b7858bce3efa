import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { LeaseWatch, ResourceLock, WriteOutcome } from '../../lib/core/resource-lock.js';
import { held, NOW_MICROS } from './lease-records.js';
import { request } from './lock-request.js';
import { RecordedWatch } from './recorded-watch.js';

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

/** What a lock gives to its contract. No object exists at the start. */
export interface ResourceLockFixture {
  /** Two candidates of one election, as far apart as the lock allows: nothing shared but the store. */
  readonly first: ResourceLock;
  readonly firstIdentity: string;
  readonly second: ResourceLock;
  readonly secondIdentity: string;
  /** How the object is called in logs. */
  readonly name: string;
  /** As an operator would, without the lock. */
  deleteByHand(): Promise<void>;
  /** As an operator would: what is not in `change` stays. */
  editByHand(change: Partial<LeaseRecord>): Promise<void>;
  /** Called after the locks were closed. */
  dispose(): Promise<void>;
}

/** What every {@link ResourceLock} must do, stated once for all of them. */
export function describeResourceLock(
  name: string,
  createFixture: () => Promise<ResourceLockFixture>,
): void {
  describe(`${name} (contract of every lock)`, () => {
    let fixture: ResourceLockFixture;
    let watches: LeaseWatch[];

    beforeEach(async () => {
      fixture = await createFixture();
      watches = [];
    });

    afterEach(async () => {
      for (const watch of watches) watch.close();
      await fixture.first.close?.();
      await fixture.second.close?.();
      await fixture.dispose();
    });

    const heldByFirst = (change?: Partial<LeaseRecord>) => held(fixture.firstIdentity, change);
    const heldBySecond = (change?: Partial<LeaseRecord>) => held(fixture.secondIdentity, change);
    const created = async (record = heldByFirst()) =>
      applied(await fixture.first.create(record, request()));
    const read = async (lock: ResourceLock) => {
      const outcome = await lock.read(request());
      if (outcome.kind !== 'found') throw new Error(`read: ${outcome.kind}`);
      return outcome.stored;
    };
    const readKind = async (lock: ResourceLock) => (await lock.read(request())).kind;
    const replace = (lock: ResourceLock, record: LeaseRecord, expected: ObservedLease) =>
      lock.replace(record, expected, request());
    const watching = (lock: ResourceLock) => {
      if (lock.watch === undefined) throw new Error(`${lock.describe()} has no watch`);
      const recorded = new RecordedWatch();
      const watch = lock.watch(recorded, { silenceLimitMs: 30_000 });
      watches.push(watch);
      return { recorded, watch };
    };

    it('names the object when it describes itself', () => {
      expect(fixture.first.describe()).toContain(fixture.name);
    });

    describe('when there is no object', () => {
      it('reads absent', async () => {
        expect(await readKind(fixture.first)).toBe('absent');
      });

      it('creates it, and every candidate reads what was created', async () => {
        const lease = await created();
        expect(lease.record).toEqual(heldByFirst());
        expect(facts(await read(fixture.first))).toEqual(facts(lease));
        expect((await read(fixture.second)).record).toEqual(heldByFirst());
      });

      it('lets exactly one of many concurrent creations through', async () => {
        const outcomes = await Promise.all(
          [fixture.first, fixture.second, fixture.first, fixture.second].map((lock) =>
            lock.create(heldByFirst(), request()),
          ),
        );
        expect(kinds(outcomes)).toEqual(['applied', 'conflict', 'conflict', 'conflict']);
      });
    });

    describe('when there is an object', () => {
      it('refuses to create another', async () => {
        const lease = await created();
        const outcome = await fixture.second.create(heldBySecond(), request());
        expect(outcome.kind).toBe('conflict');
        expect(facts(await read(fixture.first))).toEqual(facts(lease));
      });

      it('replaces the record that was read, and the revision grows', async () => {
        await created();
        const before = await read(fixture.second);
        const record = heldBySecond({ leaseTransitions: 2 });
        const after = applied(await replace(fixture.second, record, before));
        expect(after.record).toEqual(record);
        expect(after.uid).toBe(before.uid);
        expect(after.revision > before.revision).toBe(true);
        expect(facts(await read(fixture.second))).toEqual(facts(after));
      });

      it('takes the outcome of one write as the expectation of the next', async () => {
        let lease = await created();
        for (let renewal = 1; renewal <= 12; renewal++) {
          const record = heldByFirst({ renewTimeMicros: NOW_MICROS + renewal });
          lease = applied(await replace(fixture.first, record, lease));
        }
        expect(await read(fixture.second)).toMatchObject({ record: lease.record });
      });

      it('refuses an expectation that is no longer true', async () => {
        const old = await created();
        const record = heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
        const current = applied(await replace(fixture.first, record, old));
        expect((await replace(fixture.first, heldByFirst(), old)).kind).toBe('conflict');
        expect(facts(await read(fixture.first))).toEqual(facts(current));
      });

      it('refuses an expectation that a hand edit made untrue', async () => {
        const old = await created();
        await fixture.editByHand({ holderIdentity: 'operator' });
        expect((await replace(fixture.first, heldByFirst(), old)).kind).toBe('conflict');
        expect((await read(fixture.first)).record.holderIdentity).toBe('operator');
      });

      it('lets exactly one of many concurrent writes with one expectation through', async () => {
        await created();
        const attempts = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => {
            const lock = index % 2 === 0 ? fixture.first : fixture.second;
            const record = held(`candidate-${index}`, { leaseTransitions: 2 });
            return { lock, record, expected: await read(lock) };
          }),
        );
        const outcomes = await Promise.all(
          attempts.map(({ lock, record, expected }) => replace(lock, record, expected)),
        );
        expect(kinds(outcomes)).toEqual(['applied', ...Array<string>(7).fill('conflict')]);
        const winner = outcomes.findIndex(({ kind }) => kind === 'applied');
        expect((await read(fixture.first)).record).toEqual(attempts[winner]?.record);
      });

      it('survives a write that changes nothing, whether or not it counts as one', async () => {
        const before = await created();
        const again = applied(await replace(fixture.first, heldByFirst(), before));
        expect(again.revision >= before.revision).toBe(true);
        const record = heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
        expect(applied(await replace(fixture.first, record, again)).record).toEqual(record);
      });
    });

    describe('when records are stored', () => {
      const records: [string, Partial<LeaseRecord>][] = [
        ['with every field', { releasedTransitions: 7, leaseTransitions: 8 }],
        ['of a lease released on purpose', { holderIdentity: '', releasedTransitions: 1 }],
        ['without a duration', { leaseDurationSeconds: null }],
        ['without times', { acquireTimeMicros: null, renewTimeMicros: null }],
        ['with a time at a full second', { renewTimeMicros: Date.UTC(2026, 0, 1) * 1000 }],
        ['with the most transitions', { leaseTransitions: 2_147_483_647 }],
        ['of a named application', { application: '@acme/plans (term 4)/api ü' }],
        ['of a named member', { memberUid: '2c0f7d6e-1f6e (term 4)' }],
        ['of a crowd', { crowd: { candidates: 97.25, stepMs: 12.5 } }],
        ['of the largest crowd', { crowd: { candidates: 4_000, stepMs: 4 } }],
        ['of a directed release', { ...DIRECTED, successor: { transitions: 1, uid: 'a:b "ü"\n' } }],
        [
          'of a member that has given up',
          { gaveUp: { transitions: 1, uid: 'a:b "ü"\n', count: 3 } },
        ],
        ['with an address', { address: HOLDERS_ADDRESS }],
        ['with a request', { request: REQUEST }],
        ['with the answer to one', { answer: ANSWER }],
        ['of an unusual holder', { holderIdentity: 'pod "ü"\n/1_🙂' }],
      ];

      it.each(records)('keeps a record %s', async (_, change) => {
        const before = await created();
        const record = heldByFirst(change);
        expect(applied(await replace(fixture.first, record, before)).record).toEqual(record);
        expect((await read(fixture.second)).record).toEqual(record);
      });
    });

    describe('when the next holder writes no such mark', () => {
      const marks: [string, Partial<LeaseRecord>, keyof LeaseRecord][] = [
        ['application', { application: 'plans' }, 'application'],
        ['member', { memberUid: 'uid-of-a-pod' }, 'memberUid'],
        ['crowd', { crowd: { candidates: 3, stepMs: 4 } }, 'crowd'],
        [
          'successor',
          { ...DIRECTED, successor: { transitions: 1, uid: 'uid-of-a-pod' } },
          'successor',
        ],
        ['address', { address: HOLDERS_ADDRESS }, 'address'],
        ['request', { request: REQUEST }, 'request'],
        ['answer', { answer: ANSWER }, 'answer'],
        ['gave-up mark', { gaveUp: { transitions: 1, uid: 'uid-of-a-pod', count: 1 } }, 'gaveUp'],
      ];

      it.each(marks)("forgets the former one's %s", async (_, change, field) => {
        const before = await created(heldByFirst(change));
        expect(before.record[field]).toBeDefined();
        const record = heldBySecond({ leaseTransitions: 2 });
        await replace(fixture.second, record, before);
        expect((await read(fixture.first)).record[field]).toBeUndefined();
      });

      it.each(marks)(
        'stores the %s also where nothing else has changed',
        async (_, { ...change }) => {
          const before = await created(heldByFirst({ ...change, ...UNMARKED }));
          await replace(fixture.first, heldByFirst(change), before);
          expect((await read(fixture.second)).record).toEqual(heldByFirst(change));
        },
      );
    });

    describe('when leadership changes hands', () => {
      it('gives one timing key to one term at rest', async () => {
        const lease = await created();
        expect((await read(fixture.first)).timingKey).toBe(lease.timingKey);
        expect((await read(fixture.first)).timingKey).toBe(lease.timingKey);
      });

      it('gives another timing key to every renewal, release and acquisition', async () => {
        const released = { holderIdentity: '', releasedTransitions: 1 };
        const steps: Partial<LeaseRecord>[] = [
          { renewTimeMicros: NOW_MICROS + 1 },
          { renewTimeMicros: NOW_MICROS + 1, ...released },
          { renewTimeMicros: NOW_MICROS + 1 },
          { renewTimeMicros: NOW_MICROS + 1, leaseTransitions: 2 },
          { renewTimeMicros: NOW_MICROS + 1, leaseTransitions: 2, leaseDurationSeconds: 16 },
        ];
        let lease = await created();
        for (const step of steps) {
          const next = applied(await replace(fixture.first, heldByFirst(step), lease));
          expect(next.timingKey).not.toBe(lease.timingKey);
          expect((await read(fixture.first)).timingKey).toBe(next.timingKey);
          lease = next;
        }
      });

      it('refuses the renewal and the release of a former holder', async () => {
        const former = await created();
        const takeover = heldBySecond({ leaseTransitions: 2 });
        applied(await replace(fixture.second, takeover, await read(fixture.second)));
        const renewal = heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
        const release = heldByFirst({ holderIdentity: '', releasedTransitions: 1 });
        expect((await replace(fixture.first, renewal, former)).kind).toBe('conflict');
        expect((await replace(fixture.first, release, former)).kind).toBe('conflict');
        expect((await read(fixture.second)).record).toEqual(takeover);
      });
    });

    describe('when it makes the lock of a lease beside it', () => {
      const beside = (lock: ResourceLock, identity: string): ResourceLock => {
        const made = lock.leaseBeside?.('once-schema', identity);
        if (made === undefined) throw new Error(`${lock.describe()} has no leaseBeside`);
        return made;
      };
      const besideFirst = () => beside(fixture.first, 'first_once');
      const besideSecond = () => beside(fixture.second, 'second_once');

      it('keeps it in an object of its own, whose name begins with that of the lease', async () => {
        const [one, other] = [besideFirst(), besideSecond()];
        expect(one.describe()).toContain('-once-schema');
        const made = applied(await one.create(held('first_once'), request()));
        expect(await fixture.first.read(request())).toEqual({ kind: 'absent' });
        expect(await other.read(request())).toMatchObject({
          kind: 'found',
          stored: { uid: made.uid, record: { holderIdentity: 'first_once' } },
        });
        const own = await created();
        expect(own.uid).not.toBe(made.uid);
        await one.replace(held('first_once', { leaseTransitions: 2 }), made, request());
        expect(await fixture.second.read(request())).toMatchObject({
          stored: { revision: own.revision },
        });
        await Promise.all([one.close?.(), other.close?.()]);
      });

      it('can be used after it was closed', async () => {
        await besideFirst().close?.();
        expect(await fixture.first.read(request())).toEqual({ kind: 'absent' });
      });
    });

    describe('when the object is deleted by hand', () => {
      it('reads absent', async () => {
        await created();
        await fixture.deleteByHand();
        expect(await readKind(fixture.first)).toBe('absent');
        expect(await readKind(fixture.second)).toBe('absent');
      });

      it('does not bring it back by a replacement', async () => {
        const lease = await created();
        await fixture.deleteByHand();
        const outcome = await replace(fixture.first, heldByFirst(), lease);
        expect(['absent', 'conflict']).toContain(outcome.kind);
        expect(await readKind(fixture.second)).toBe('absent');
      });

      it('makes a new one with another uid and a higher revision', async () => {
        const old = await created();
        const renewed = applied(await replace(fixture.first, heldByFirst(), old));
        await fixture.deleteByHand();
        const made = applied(await fixture.second.create(heldBySecond(), request()));
        expect(made.uid).not.toBe(old.uid);
        expect(made.revision > renewed.revision).toBe(true);
        expect(made.timingKey).not.toBe(old.timingKey);
      });

      it('refuses an expectation from before the deletion', async () => {
        const old = await created();
        await fixture.deleteByHand();
        const made = applied(await fixture.second.create(heldBySecond(), request()));
        expect((await replace(fixture.first, heldByFirst(), old)).kind).toBe('conflict');
        expect(facts(await read(fixture.second))).toEqual(facts(made));
      });
    });

    describe('when it is watched', () => {
      it('says once that it is open, and nothing of what was before', async () => {
        const { recorded } = watching(fixture.second);
        await recorded.until((watch) => watch.openings === 1);
        expect(recorded.changes).toEqual([]);
      });

      it('reports creation, renewal and deletion in order with growing revisions', async () => {
        const { recorded } = watching(fixture.second);
        await recorded.until((watch) => watch.openings === 1);

        const lease = await created();
        await recorded.untilShows(lease.record);
        const record = heldByFirst({ renewTimeMicros: NOW_MICROS + 1 });
        const renewed = applied(await replace(fixture.first, record, lease));
        await recorded.untilShows(record);
        await fixture.deleteByHand();
        await recorded.until((watch) => watch.last?.lease === null);
        const made = applied(await fixture.first.create(heldByFirst(), request()));
        await recorded.until((watch) => watch.last?.lease?.uid === made.uid);

        const seen = recorded.distinctChanges();
        expect(seen.map((change) => change.revision)).toEqual(
          seen.map((change) => change.revision).sort((a, b) => (a < b ? -1 : 1)),
        );
        const leases = seen.flatMap((change) => change.lease ?? []);
        expect(leases.map((each) => each.timingKey)).toEqual([
          lease.timingKey,
          renewed.timingKey,
          made.timingKey,
        ]);
        expect(recorded.openings).toBe(1);
        expect(recorded.deaths).toEqual([]);
      });

      it('shows in a change what a read shows', async () => {
        const { recorded } = watching(fixture.second);
        await recorded.until((watch) => watch.openings === 1);
        await created();
        await recorded.untilShows(heldByFirst());
        const { lease, revision } = recorded.last ?? {};
        expect(facts(lease!)).toEqual(facts(await read(fixture.second)));
        expect(revision).toBe(lease?.revision);
      });

      it('is silent once it is closed', async () => {
        const { recorded, watch } = watching(fixture.second);
        const barrier = watching(fixture.first).recorded;
        await recorded.until(({ openings }) => openings === 1);
        await barrier.until(({ openings }) => openings === 1);
        watch.close();
        const calls = recorded.calls;
        const lease = await created();
        await barrier.untilShows(lease.record);
        expect(recorded.calls).toBe(calls);
      });

      it('may be closed before it is open, and again', async () => {
        const { recorded, watch } = watching(fixture.second);
        watch.close();
        watch.close();
        await created();
        expect(recorded.changes).toEqual([]);
      });
    });

    describe('when a request is aborted', () => {
      it('ends as failed or unknown, without waiting', async () => {
        const lease = await created();
        const aborted = { timeoutMs: 60_000, signal: AbortSignal.abort() };
        expect((await fixture.first.read(aborted)).kind).toBe('failed');
        expect((await fixture.first.create(heldByFirst(), aborted)).kind).toBe('unknown');
        expect((await fixture.first.replace(heldByFirst(), lease, aborted)).kind).toBe('unknown');
      });

      it('settles when it is aborted on the way', async () => {
        const lease = await created();
        const controller = new AbortController();
        const request = { timeoutMs: 60_000, signal: controller.signal };
        const outcome = fixture.first.replace(heldByFirst({ leaseTransitions: 2 }), lease, request);
        controller.abort();
        expect(['unknown', 'not-applied', 'applied']).toContain((await outcome).kind);
      });
    });
  });
}

function applied(outcome: WriteOutcome): ObservedLease {
  if (outcome.kind === 'applied') return outcome.stored;
  throw new Error(`not applied but ${outcome.kind}`, {
    cause: 'error' in outcome ? outcome.error : undefined,
  });
}

/** Without `source`, which is the lock's own affair. */
function facts({ record, uid, revision, timingKey }: ObservedLease): ObservedLease {
  return { record, uid, revision, timingKey };
}

function kinds(outcomes: readonly WriteOutcome[]): string[] {
  return outcomes.map(({ kind }) => kind).sort();
}
