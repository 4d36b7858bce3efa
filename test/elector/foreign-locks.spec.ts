import { describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../lib/core/errors.js';
import type { LeaseWatch, LeaseWatchObserver, ResourceLock } from '../../lib/core/resource-lock.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { RandomStream } from '../../proof/simulation/random-stream.js';
import { CONFIG, heldBy, representation } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';
import { stopElection } from '../support/stop-election.js';

interface Run {
  readonly lock: ResourceLock;
  readonly elector: LeaderElector;
  readonly clock: ManualClock;
  readonly errors: string[];
  readonly unhandled: unknown[];
}

/** Runs an elector on a lock of somebody else's, and notes what nobody handles. */
async function withLock(
  lock: ResourceLock,
  use: (run: Run) => Promise<void>,
  onError: (error: Error) => void = () => {},
): Promise<void> {
  const clock = new ManualClock();
  const errors: string[] = [];
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const elector = new LeaderElector(CONFIG, {
    lock,
    clock,
    random: () => 0,
    observer: {
      onNotice: (notice) => {
        if (notice.kind !== 'failed') return;
        errors.push(notice.error.message);
        onError(notice.error);
      },
    },
  });
  try {
    elector.start();
    await clock.settle();
    await use({ lock, elector, clock, errors, unhandled });
    expect(unhandled).toEqual([]);
  } finally {
    process.removeListener('unhandledRejection', note);
  }
}

/** A store that obeys but for the answers that `change` replaces. */
class ForeignLock extends ScriptedLock {
  constructor(private readonly change: (verb: string, number: number) => (() => unknown) | null) {
    super();
    this.automatic = true;
  }

  override read = this.changed('read', super.read.bind(this));
  override create = this.changed('create', super.create.bind(this));
  override replace = this.changed('replace', super.replace.bind(this));

  private changed<A extends unknown[], R>(
    verb: string,
    obey: (...args: A) => R,
  ): (...args: A) => R {
    let number = 0;
    return (...args) => {
      const change = this.change(verb, number++);
      return change === null ? obey(...args) : (change() as R);
    };
  }
}

const unreadable = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const ANSWERS: [string, () => unknown, RegExp][] = [
  ['undefined', () => Promise.resolve(undefined), /answered undefined/],
  ['null', () => Promise.resolve(null), /answered null/],
  ['undefined, without a promise', () => undefined, /answered undefined/],
  ['a number', () => Promise.resolve(7), /answered 7/],
  ['an object without a kind', () => Promise.resolve({}), /kind undefined/],
  ['an unknown kind', () => Promise.resolve({ kind: 'ok' }), /kind "ok"/],
  [
    'a kind without its lease',
    () => Promise.resolve({ kind: 'found' }),
    /"found" without|kind "found"/,
  ],
  [
    'a lease whose revision is a number',
    () =>
      Promise.resolve({
        kind: 'applied',
        stored: { ...representation(heldBy('x'), 1), revision: 5 },
      }),
    /"applied" without a whole lease|kind "applied"/,
  ],
  [
    'a revoked proxy',
    () => ({
      // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
      then: (resolve: (value: unknown) => void) =>
        resolve({
          get kind() {
            throw new Error('no');
          },
        }),
    }),
    /cannot be read/,
  ],
  [
    'a synchronous throw',
    () => {
      throw new TypeError('boom');
    },
    /boom/,
  ],
  [
    'a synchronous throw of something unreadable',
    () => {
      throw unreadable();
    },
    /cannot be read/,
  ],
  ['a rejection without a reason', () => Promise.reject(undefined), /failed to/],
  [
    'a thenable that throws',
    () => ({
      // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
      then: () => {
        throw new Error('thenable');
      },
    }),
    /thenable/,
  ],
  ['silence', () => new Promise(() => {}), /no outcome within/],
];

describe.each(['read', 'create', 'replace'] as const)(
  'when a lock answers a %s with nonsense once',
  (verb) => {
    it.each(ANSWERS)(
      'names itself and the answer, and is asked again: %s',
      async (_name, answer, text) => {
        const lock = new ForeignLock((asked, number) =>
          asked === verb && number === 0 ? answer : null,
        );
        await withLock(lock, async ({ elector, clock, errors }) => {
          await clock.advance(12_000);
          expect(errors[0]).toMatch(text);
          expect(errors[0]).toContain('scripted lease');
          await clock.advance(20_000);
          expect(elector.isLeader()).toBe(true);
        });
      },
    );
  },
);

describe('when a lock fails with an error', () => {
  const reported = async (verb: string, answer: unknown): Promise<LockRequestError[]> => {
    const lock = new ForeignLock((asked, number) =>
      asked === verb && number === 0 ? () => Promise.resolve(answer) : null,
    );
    const errors: LockRequestError[] = [];
    await withLock(
      lock,
      async ({ clock }) => clock.advance(12_000),
      (error) => errors.push(error as LockRequestError),
    );
    return errors;
  };

  it('passes on a LockRequestError as it is, with its reason', async () => {
    const error = new LockRequestError('over quota', { reason: 'rejected' });
    expect((await reported('read', { kind: 'failed', error }))[0]).toBe(error);
  });

  it.each([
    ['read', 'failed', 'unclear'],
    ['create', 'not-applied', 'rejected'],
    ['create', 'unknown', 'unclear'],
  ])('takes the reason of an error of another kind from the outcome: %s %s', async (...row) => {
    const [verb, kind, reason] = row;
    const error = new TypeError('of its own');
    expect((await reported(verb, { kind, error }))[0]).toMatchObject({
      reason,
      message: 'of its own',
      cause: error,
    });
  });

  it.each([
    ['read', 'failed'],
    ['create', 'not-applied'],
    ['create', 'unknown'],
  ])('reports that it failed, though the lock gives no error: %s %s', async (verb, kind) => {
    expect((await reported(verb, { kind }))[0]).toBeInstanceOf(LockRequestError);
  });
});

describe('when a lock answers more than an outcome has', () => {
  it.each([[null], [undefined]])(
    'goes by the kind, and leads: absent, with a lease of %p',
    async (lease) => {
      const lock = new ForeignLock((verb, number) =>
        verb === 'read' && number === 0
          ? () => Promise.resolve({ kind: 'absent', stored: lease })
          : null,
      );
      await withLock(lock, async ({ elector, clock, errors }) => {
        await clock.advance(0);
        expect(elector.isLeader()).toBe(true);
        expect(errors).toEqual([]);
      });
    },
  );
});

describe('when a lock adds an error field to every answer', () => {
  it.each(['read', 'create', 'replace'] as const)('goes by the kind: %s', async (verb) => {
    const lock = new ForeignLock(() => null);
    const obey = lock[verb] as (...args: unknown[]) => Promise<object>;
    lock[verb] = async (...args: unknown[]) =>
      ({ ...(await obey(...args)), error: undefined }) as never;
    await withLock(lock, async ({ elector, clock, errors }) => {
      await clock.advance(30_000);
      expect(elector.isLeader()).toBe(true);
      expect(errors).toEqual([]);
    });
  });
});

describe('when a lock cannot be described', () => {
  it.each<[string, () => string]>([
    [
      'it throws',
      () => {
        throw new Error('no name');
      },
    ],
    ['it gives no text', () => undefined as unknown as string],
  ])('says so in the error about something else: %s', async (_name, describe) => {
    const lock = new ForeignLock((_verb, number) => (number === 0 ? () => undefined : null));
    lock.describe = describe;
    await withLock(lock, async ({ errors }) => {
      expect(errors[0]).toMatch(/cannot describe itself.*answered undefined/);
      await Promise.resolve();
    });
  });
});

describe('when a lock throws as soon as its watch is looked at', () => {
  it('reports that and elects without', async () => {
    const lock = new ForeignLock(() => null);
    Object.defineProperty(lock, 'watch', {
      get() {
        throw new Error('revoked proxy');
      },
    });
    await withLock(lock, async ({ elector, clock, errors }) => {
      await clock.advance(30_000);
      expect(elector.isLeader()).toBe(true);
      expect(errors).toEqual([expect.stringMatching(/could not be opened: revoked proxy/)]);
    });
  });
});

describe('when the watch of a lock does what no watch should', () => {
  const watching = (watch: (observer: LeaseWatchObserver) => unknown): ScriptedLock => {
    const lock = new ForeignLock(() => null);
    lock.watch = (observer) => watch(observer) as LeaseWatch;
    return lock;
  };
  const closes: LeaseWatch = { close: () => {} };

  it.each<[string, (observer: LeaseWatchObserver) => unknown, RegExp | undefined]>([
    [
      'throws when it is opened',
      () => {
        throw new Error('no watch');
      },
      /could not be opened: no watch/,
    ],
    ['is nothing', () => undefined, undefined],
    [
      'reports undefined',
      (observer) => {
        observer.changed(undefined as never, 1n);
        return closes;
      },
      /not a lease/,
    ],
    [
      'reports a lease without a record',
      (observer) => {
        observer.changed({ uid: 'u' } as never, 1n);
        return closes;
      },
      /not a lease/,
    ],
    [
      'reports a lease whose uid is a number',
      (observer) => {
        observer.changed({ ...representation(heldBy('x'), 1), uid: 5 } as never, 1n);
        return closes;
      },
      /not a lease/,
    ],
    [
      'reports a revision that is no bigint',
      (observer) => {
        observer.changed(null, 5 as never);
        return closes;
      },
      /not a lease/,
    ],
    [
      'reports something unreadable',
      (observer) => {
        observer.changed(unreadable() as never, 1n);
        return closes;
      },
      /not a lease/,
    ],
    [
      'reports the death of nothing',
      (observer) => {
        observer.holderDied(undefined as never);
        return closes;
      },
      undefined,
    ],
    [
      'is interrupted by no error',
      (observer) => {
        observer.opened();
        observer.interrupted('gone' as never);
        return closes;
      },
      /was interrupted: gone/,
    ],
  ])('goes on without it: %s', async (_name, watch, text) => {
    await withLock(watching(watch), async ({ elector, clock, errors }) => {
      await clock.advance(30_000);
      expect(elector.isLeader()).toBe(true);
      expect(errors.join()).toMatch(text ?? /^$/);
    });
  });

  it('is told the error of an interruption as it is', async () => {
    const error = new LockRequestError('gone', { reason: 'rejected' });
    const told: Error[] = [];
    await withLock(
      watching((observer) => {
        observer.interrupted(error);
        return closes;
      }),
      async ({ clock }) => clock.advance(1_000),
      (reported) => told.push(reported),
    );
    expect(told).toEqual([error]);
    expect(told[0]).toBe(error);
  });

  it('does without one where the lock has none, and reports no error', async () => {
    const lock = new ForeignLock(() => null);
    await withLock(
      Object.assign(lock, { watch: undefined }),
      async ({ elector, clock, errors }) => {
        await clock.advance(10_000);
        expect(elector.isLeader()).toBe(true);
        expect(errors).toEqual([]);
      },
    );
  });

  it('hears nothing of a watch that goes on after it was closed', async () => {
    let told: LeaseWatchObserver | undefined;
    await withLock(
      watching((observer) => {
        told = observer;
        return closes;
      }),
      async ({ lock, elector, clock, errors }) => {
        const stopped = stopElection({ lock, elector, clock });
        await clock.advance(10_000);
        await stopped;
        told!.opened();
        told!.changed(representation(heldBy('x'), 900), 900n);
        told!.changed({} as never, 901n);
        expect(errors).toEqual([]);
        expect(clock.pendingTimers).toBe(0);
      },
    );
  });
});

describe('when a lock keeps one object and changes it', () => {
  const live = (renewal: number) =>
    representation(heldBy('other', { renewTimeMicros: renewal }), 10 + renewal);

  it.each<[string, boolean]>([
    ['read', false],
    ['reported by its watch', true],
  ])('does not take the lease of a leader that renews: %s', async (_name, isWatched) => {
    const kept = { ...live(0) };
    let taken = 0;
    let told: LeaseWatchObserver | undefined;
    const lock = new ForeignLock(() => null);
    lock.read = () => Promise.resolve({ kind: 'found', stored: kept });
    lock.replace = () => {
      taken += 1;
      return Promise.resolve({ kind: 'conflict' });
    };
    lock.watch = (observer) => {
      told = observer;
      return { close: () => {} };
    };
    await withLock(lock, async ({ clock }) => {
      if (isWatched) told!.opened();
      for (let renewal = 1; renewal <= 60; renewal++) {
        await clock.advance(1_000);
        Object.assign(kept, live(renewal));
        if (isWatched) told!.changed(kept, kept.revision);
      }
      expect(taken).toBe(0);
    });
  });
});

describe('when a lock does not end as it should', () => {
  it.each<[string, Partial<ResourceLock>, RegExp]>([
    ['close() never settles', { close: () => new Promise(() => {}) }, /it took longer/],
    ['close() rejects', { close: () => Promise.reject(new Error('stuck')) }, /^stuck$/],
    [
      'close() throws',
      {
        close: () => {
          throw new Error('stuck');
        },
      },
      /^stuck$/,
    ],
    [
      'the watch throws when it is closed',
      {
        watch: () => ({
          close: () => {
            throw new Error('stuck');
          },
        }),
      },
      /watch could not be closed: stuck/,
    ],
  ])('stops all the same, and says why: %s', async (_name, change, text) => {
    const lock: ResourceLock = Object.assign(new ForeignLock(() => null), change);
    await withLock(lock, async ({ elector, clock, errors }) => {
      let hasStopped = false;
      const stopped = stopElection({ lock, elector, clock })
        .catch((error: Error) => errors.push(error.message))
        .finally(() => {
          hasStopped = true;
        });
      await clock.advance(2 * CONFIG.requestTimeoutMs + CONFIG.requestTimeoutMs);
      expect(hasStopped).toBe(true);
      await stopped;
      expect(errors.join()).toMatch(text);
      expect(clock.pendingTimers).toBe(0);
    });
  });
});

describe('when a lock answers everything at once, with anything', () => {
  it('is asked a few times per instant, so that the loop is free for others', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new RandomStream(seed, 'foreign lock');
      let asked = 0;
      const lock = new ForeignLock((verb) => {
        asked += 1;
        const own = random.next() < 0.4;
        return own ? null : () => Promise.resolve(anyOutcome(random, verb));
      });
      await withLock(lock, async ({ elector, clock }) => {
        for (let step = 0; step < 150; step++) {
          const event = random.next();
          if (event < 0.1) elector.stepDown(0);
          else if (event < 0.15) elector.suspend();
          else if (event < 0.25) elector.resume();
          asked = 0;
          await clock.advance(Math.floor(random.next() * 400));
          expect({ seed, step, isFew: asked <= 8 }).toEqual({ seed, step, isFew: true });
        }
        const stopped = stopElection({ lock, elector, clock });
        await clock.advance(60_000);
        await stopped;
      });
    }
  }, 60_000);

  it('is not asked in a circle for a release that it refuses and does not find done', async () => {
    const lock = new ForeignLock(() => null);
    await withLock(lock, async ({ elector, clock }) => {
      let refused = 0;
      lock.replace = () => {
        refused += 1;
        // A circle would go on for as long as no time passes.
        if (refused > 100) return new Promise(() => {});
        return Promise.resolve({ kind: 'conflict' });
      };
      elector.stepDown(60_000);
      await clock.advance(1_000);
      expect(refused).toBeGreaterThan(1);
      expect(refused).toBeLessThanOrEqual(5);
    });
  });
});

function anyOutcome(random: RandomStream, verb: string): unknown {
  const holder = random.pick(['', 'me', 'other']);
  const lease = representation(
    heldBy(holder, { leaseTransitions: random.whole(0, 3) }),
    random.whole(1, 200),
  );
  return verb === 'read'
    ? random.pick([
        { kind: 'found', stored: lease },
        { kind: 'absent' },
        { kind: 'failed', error: new Error('x') },
        undefined,
      ])
    : random.pick([
        { kind: 'applied', stored: lease },
        { kind: 'conflict' },
        { kind: 'absent' },
        { kind: 'not-applied', error: new Error('x') },
        { kind: 'unknown', error: new Error('x') },
        undefined,
      ]);
}
