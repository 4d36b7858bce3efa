import { beforeEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/manual-clock.js';
import { LOOK_MS, OnceProcess, WAIT_MS } from '../support/once-process.js';
import { type Fate, ScriptedDocumentStore } from '../support/scripted-document-store.js';

let clock: ManualClock;
let store: ScriptedDocumentStore;
let a: OnceProcess;
let b: OnceProcess;

beforeEach(() => {
  clock = new ManualClock();
  store = new ScriptedDocumentStore();
  a = new OnceProcess('a', clock, store);
  b = new OnceProcess('b', clock, store);
});

/** Both want it, both compete, and the first one leads. */
async function bothWant(change: Parameters<OnceProcess['want']>[0] = {}) {
  const works = [a.want(change), b.want(change)] as const;
  const waits = [a.waitFor(works[0]), b.waitFor(works[1])] as const;
  await clock.settle();
  return waits;
}

describe('when several processes want the same version', () => {
  it('runs it in the one that leads, and the others see that it is over', async () => {
    const [atA, atB] = await bothWant();
    await a.lead();
    await clock.advance(LOOK_MS);
    expect([a.runs, b.runs].map(({ length }) => length)).toEqual([1, 0]);
    expect([atA.result, atB.result]).toEqual(['ran', 'succeeded']);
    expect(await a.record()).toMatchObject({
      version: '4',
      state: 'succeeded',
      holderIdentity: 'a',
    });
  });

  it('does not compete where it is over already, and ends competing when it is', async () => {
    await bothWant();
    await a.lead();
    await clock.advance(LOOK_MS);
    expect([a.elections, b.elections]).toEqual([
      { begun: 1, ended: 1 },
      { begun: 1, ended: 1 },
    ]);
    const later = new OnceProcess('c', clock, store);
    expect(later.waitFor(later.want())).toEqual({ result: 'waiting' });
    await clock.settle();
    expect(later.elections.begun).toBe(0);
    const { reads } = store;
    await clock.advance(10 * LOOK_MS);
    expect(store.reads).toBe(reads);
  });

  it('runs it once though both believe that they lead', async () => {
    const [atA, atB] = await bothWant();
    await Promise.all([a.lead(1), b.lead(1)]);
    await clock.advance(LOOK_MS);
    expect(a.runs.length + b.runs.length).toBe(1);
    expect(new Set([atA.result, atB.result])).toEqual(new Set(['ran', 'succeeded']));
  });

  it('calls it with key, version, attempt, term and signal', async () => {
    a.want({ version: '4.1' });
    await clock.settle();
    await a.lead(7);
    expect(a.runs).toMatchObject([
      { key: 'schema', version: '4.1', attempt: 1, term: { number: 7 } },
    ]);
    expect(a.runs[0]!.signal).toBe(a.runs[0]!.term.signal);
  });
});

describe('when a process wants many keys', () => {
  it('runs each once', async () => {
    const waits = Array.from({ length: 20 }, (_, index) =>
      a.waitFor(a.want({ key: `key-${index}` })),
    );
    await clock.settle();
    await a.lead();
    await clock.advance(30_000);
    expect(waits.map(({ result }) => result)).toEqual(waits.map(() => 'ran'));
    expect(a.runs).toHaveLength(20);
  });
});

describe('when it fails', () => {
  it('fails for all, and a process that leads later does not run it again', async () => {
    a.handler = () => Promise.reject(new Error('no ink'));
    const [atA, atB] = await bothWant();
    await a.lead();
    await clock.advance(LOOK_MS);
    for (const { result } of [atA, atB]) {
      expect(result).toMatchObject({
        code: 'ERR_ONCE_FAILED',
        key: 'schema',
        version: '4',
        state: 'failed',
        holderIdentity: 'a',
        message: expect.stringContaining('no ink'),
      });
    }
    const c = new OnceProcess('c', clock, store);
    const atC = c.waitFor(c.want());
    await c.lead(2);
    await clock.settle();
    expect(atC.result).toMatchObject({ code: 'ERR_ONCE_FAILED' });
    expect(c.runs).toEqual([]);
  });

  it('runs a newer version all the same', async () => {
    a.handler = () => Promise.reject(new Error('no ink'));
    await bothWant();
    await a.lead();
    await clock.advance(LOOK_MS);
    const c = new OnceProcess('c', clock, store);
    const atC = c.waitFor(c.want({ version: '5' }));
    await clock.settle();
    await c.lead(2);
    expect(atC.result).toBe('ran');
  });
});

describe('when an older version comes back', () => {
  it('is not run, and the process goes on', async () => {
    a.want({ version: '4' });
    await clock.settle();
    await a.lead();
    const atB = b.waitFor(b.want({ version: '3' }));
    await clock.settle();
    expect(atB.result).toBe('superseded');
    expect(b.runs).toEqual([]);
    expect(await a.record()).toMatchObject({ version: '4' });
  });

  it('does not wait for the newer one, which may take long or have failed', async () => {
    a.handler = () => new Promise(() => {});
    a.want({ version: '4' });
    await clock.settle();
    await a.lead();
    const atB = b.waitFor(b.want({ version: '3' }));
    await clock.settle();
    expect(atB.result).toBe('superseded');
  });
});

describe('when the process that runs it dies', () => {
  const dies = async (onInterrupted: 'fail' | 'rerun') => {
    a.handler = () => new Promise(() => {});
    const [, atB] = await bothWant({ onInterrupted });
    await a.lead(1);
    await b.lead(2);
    await clock.advance(LOOK_MS);
    return atB;
  };

  it("is over for all with 'fail', and nobody runs it again", async () => {
    const atB = await dies('fail');
    expect(b.runs).toEqual([]);
    expect(atB.result).toMatchObject({
      code: 'ERR_ONCE_FAILED',
      state: 'interrupted',
      holderIdentity: 'a',
      message: expect.stringContaining('in full, in part or not at all'),
    });
    expect(await b.record()).toMatchObject({ state: 'interrupted', claim: 'a-1', attempt: 1 });
  });

  it("runs again in the next leader with 'rerun'", async () => {
    const atB = await dies('rerun');
    expect(b.runs).toMatchObject([{ attempt: 2 }]);
    expect(atB.result).toBe('ran');
  });

  it('waits for a lease duration where the record contradicts the order of terms', async () => {
    a.handler = () => new Promise(() => {});
    const [, atB] = await bothWant();
    await a.lead(5);
    await b.lead(2);
    await clock.advance(14_000);
    expect(atB.result).toBe('waiting');
    await clock.advance(4_000);
    expect(atB.result).toMatchObject({ state: 'interrupted' });
  });
});

describe('when leadership ends while it runs', () => {
  const endsOnAbort = () => {
    a.handler = ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
  };

  it('is interrupted, and with rerun the next leader runs it', async () => {
    endsOnAbort();
    const [, atB] = await bothWant({ onInterrupted: 'rerun' });
    await a.lead(1);
    a.lose();
    await clock.settle();
    expect(await a.record()).toMatchObject({ state: 'interrupted', reason: 'Error: revoked' });
    await b.lead(2);
    expect(b.runs).toMatchObject([{ attempt: 2 }]);
    await clock.advance(LOOK_MS);
    expect(atB.result).toBe('ran');
  });

  it('is interrupted though it returns, as only the work knows whether it had done all', async () => {
    a.handler = ({ signal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    const [atA, atB] = await bothWant();
    await a.lead(1);
    a.lose();
    await clock.settle();
    expect(await a.record()).toMatchObject({
      state: 'interrupted',
      reason: expect.stringContaining('returned after its signal had been aborted'),
    });
    await clock.advance(LOOK_MS);
    for (const { result } of [atA, atB]) expect(result).toMatchObject({ state: 'interrupted' });
  });

  it('has succeeded if it ends before its own signal is aborted, also after another has given it up', async () => {
    let finish!: () => void;
    a.handler = () => new Promise<void>((resolve) => (finish = resolve));
    const [atA, atB] = await bothWant();
    await a.lead(1);
    a.freeze();
    await b.lead(2);
    await clock.advance(LOOK_MS);
    expect(atB.result).toMatchObject({ state: 'interrupted' });
    finish();
    await clock.settle();
    expect(await a.record()).toMatchObject({ state: 'succeeded', claim: 'a-1' });
    expect(atA.result).toBe('ran');
  });

  it('runs it again itself if the one that gave it up has died', async () => {
    let finish!: () => void;
    a.handler = () => new Promise<void>((resolve) => (finish = resolve));
    b.handler = () => new Promise(() => {});
    const [atA] = await bothWant({ onInterrupted: 'rerun' });
    await a.lead(1);
    await b.lead(2);
    finish();
    await clock.settle();
    expect(a.log).toEqual(['started 1', 'succeeded', 'unrecorded']);
    a.handler = () => undefined;
    await clock.advance(30_000);
    expect(a.runs).toMatchObject([{ attempt: 1 }, { attempt: 3 }]);
    expect(atA.result).toBe('ran');
  });

  it('leaves the record alone once another runs it again', async () => {
    let finish!: () => void;
    a.handler = () => new Promise<void>((resolve) => (finish = resolve));
    b.handler = () => new Promise(() => {});
    await bothWant({ onInterrupted: 'rerun' });
    await a.lead(1);
    a.lose();
    await b.lead(2);
    finish();
    await clock.settle();
    expect(a.log).toEqual(['started 1', 'interrupted', 'unrecorded']);
    expect(await a.record()).toMatchObject({ state: 'started', holderIdentity: 'b', attempt: 2 });
  });

  it('hands back what it has claimed and not started, so that the next leader runs it', async () => {
    const [, atB] = await bothWant();
    store.fatesOfWrites.push('held');
    await a.lead(1);
    a.freeze();
    store.release();
    await clock.settle();
    expect(a.runs).toEqual([]);
    expect(await a.record()).toMatchObject({ state: 'returned' });
    a.lose();
    await b.lead(2);
    await clock.advance(LOOK_MS);
    expect(b.runs).toMatchObject([{ attempt: 1 }]);
    expect(atB.result).toBe('ran');
  });
});

describe('when the store has faults', () => {
  it.each<[Fate]>([
    ['lost'],
    ['unanswered'],
    ['late'],
    ['rejected'],
    ['throws'],
    ['conflict'],
    ['nonsense'],
    ['hangs'],
  ])('runs it once though the first write of the claim is %s', async (fate) => {
    const [atA, atB] = await bothWant();
    store.fatesOfWrites.push(fate);
    await a.lead();
    await clock.advance(30_000);
    await store.deliverLate();
    await clock.advance(LOOK_MS);
    expect(a.runs).toHaveLength(1);
    expect([atA.result, atB.result]).toEqual(['ran', 'succeeded']);
  });

  it('does not run on a claim of unknown outcome', async () => {
    await bothWant();
    store.fatesOfWrites.push('lost', 'lost', 'lost');
    await a.lead();
    expect(a.runs).toEqual([]);
    a.lose();
    await clock.advance(60_000);
    expect(a.runs).toEqual([]);
  });

  it('claims again in its next term what an earlier term has left stored and not started', async () => {
    const [atA] = await bothWant();
    store.fatesOfWrites.push('late', 'lost', 'lost', 'lost');
    await a.lead(1);
    a.lose();
    await clock.advance(20_000);
    await store.deliverLate();
    expect(await a.record()).toMatchObject({ state: 'started', claim: 'a-1' });
    store.fatesOfWrites.length = 0;
    await a.lead(3);
    await clock.advance(LOOK_MS);
    expect(a.runs).toMatchObject([{ attempt: 1 }]);
    expect(atA.result).toBe('ran');
  });

  it.each<[Fate]>([['lost'], ['unanswered'], ['rejected'], ['conflict']])(
    'records how it ended though the first write of that is %s',
    async (fate) => {
      store.fatesOfWrites.push('ok', fate);
      const [atA, atB] = await bothWant();
      await a.lead();
      await clock.advance(30_000);
      expect([atA.result, atB.result]).toEqual(['ran', 'succeeded']);
    },
  );

  it.each([
    ['a newer format', { format: 9, once: {} }],
    ['a state of a later version', { once: { schema: { version: '4', state: 'paused' } } }],
  ])('decides nothing by %s, and writes nothing over it', async (_what, document) => {
    await store.put(document);
    const [atA] = await bothWant();
    await a.lead();
    await clock.advance(30_000);
    expect(a.runs).toEqual([]);
    expect(await store.document()).toEqual(document);
    expect(a.errors[0]).toContain('nothing that is to run once can be decided');
    await clock.advance(WAIT_MS);
    expect(atA.result).toMatchObject({ code: 'ERR_ONCE_TIMEOUT' });
  });

  it('goes on when it can be read again', async () => {
    store.fatesOfReads.push('lost', 'throws', 'hangs', 'nonsense');
    const [atA] = await bothWant();
    await clock.advance(30_000);
    await a.lead();
    await clock.advance(LOOK_MS);
    expect(atA.result).toBe('ran');
  });
});

describe('when the wait is bounded', () => {
  it('says who is at it, since when', async () => {
    a.handler = () => new Promise(() => {});
    const [, atB] = await bothWant();
    await a.lead();
    await clock.advance(WAIT_MS - 1_000);
    expect(atB.result).toBe('waiting');
    await clock.advance(1_000);
    expect(atB.result).toMatchObject({
      code: 'ERR_ONCE_TIMEOUT',
      holderIdentity: 'a',
      message: expect.stringContaining('Replica a has been at it since 2026-01-01T00:00:00.000Z'),
    });
  });

  it('says that no replica runs it', async () => {
    const [atA] = await bothWant();
    await clock.advance(WAIT_MS);
    expect(atA.result).toMatchObject({
      code: 'ERR_ONCE_TIMEOUT',
      holderIdentity: undefined,
      message: expect.stringContaining('no replica has recorded that it runs it'),
    });
  });

  it('does not cut short the run of this very process', async () => {
    let finish!: () => void;
    a.handler = () => new Promise<void>((resolve) => (finish = resolve));
    const [atA] = await bothWant();
    await a.lead();
    await clock.advance(2 * WAIT_MS);
    expect(atA.result).toBe('waiting');
    finish();
    await clock.settle();
    expect(atA.result).toBe('ran');
  });
});

describe('when the application shuts down', () => {
  it('ends the run by its signal, records it, releases the lease, and tells who waits', async () => {
    a.handler = ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    const [atA] = await bothWant({ onInterrupted: 'rerun' });
    await a.lead();
    await a.role.stop();
    await clock.settle();
    expect(atA.result).toMatchObject({ message: 'stopped' });
    expect(await a.record()).toMatchObject({ state: 'interrupted' });
    expect(a.elections).toEqual({ begun: 1, ended: 1 });
    const { reads } = store;
    await b.role.stop();
    await clock.advance(60_000);
    expect(store.reads).toBe(reads);
  });
});
