import { getMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import { type ElectionObserver, LeaderElector } from '../../lib/elector/leader-elector.js';
import { CONFIG, heldBy, representation } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';
import { stopElection } from '../support/stop-election.js';

interface Fixture {
  readonly elector: LeaderElector;
  readonly lock: ScriptedLock;
  readonly clock: ManualClock;
  readonly log: string[];
}

function fixture(observer: ElectionObserver = {}, change: Partial<ElectionConfig> = {}): Fixture {
  const lock = new ScriptedLock();
  const clock = new ManualClock();
  const log: string[] = [];
  const elector: LeaderElector = new LeaderElector(
    { ...CONFIG, ...change },
    {
      lock,
      clock,
      random: () => 0,
      observer: {
        onGranted: (term) => {
          log.push(`granted ${term.number} leads=${elector.isLeader()}`);
          return observer.onGranted?.(term);
        },
        onRevoked: (term, reason) => {
          log.push(
            `revoked ${term.number} ${reason} leads=${elector.isLeader()} aborted=${term.signal.aborted}`,
          );
          return observer.onRevoked?.(term, reason);
        },
        onNotice: (notice) => {
          if (notice.kind === 'released') log.push(`released ${notice.term}`);
          if (notice.kind === 'failed') log.push(`error ${notice.error.code}`);
          observer.onNotice?.(notice);
        },
      },
    },
  );
  return { elector, lock, clock, log };
}

async function leading(
  observer: ElectionObserver = {},
  change: Partial<ElectionConfig> = {},
): Promise<Fixture> {
  const made = fixture(observer, change);
  made.lock.automatic = true;
  made.elector.start();
  await made.clock.advance(0);
  expect(made.elector.isLeader()).toBe(true);
  return made;
}

interface Latch {
  readonly promise: Promise<void>;
  open(): void;
}

function latch(): Latch {
  let open: () => void = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open: () => open() };
}

async function promiseState(promise: Promise<unknown>): Promise<'settled' | 'pending'> {
  const turns = setImmediate('pending' as const);
  return Promise.race([promise.then(() => 'settled' as const), turns]);
}

describe('when an elector leads', () => {
  it('says so only until the end of validity, though no timer has fired', async () => {
    const { elector, clock, log } = await leading();
    clock.stall(9_999);
    expect(elector.isLeader()).toBe(true);
    expect(elector.remainingMs()).toBeCloseTo(1);
    clock.stall(1);
    expect(elector.isLeader()).toBe(false);
    expect(elector.term).toBeUndefined();
    expect(elector.remainingMs()).toBe(0);
    await clock.advance(0);
    expect(log[1]).toBe('revoked 1 renew-deadline leads=false aborted=true');
  });

  it('renews once per retry period, with one request in flight at most', async () => {
    const { lock, clock } = await leading();
    const before = lock.requests.length;
    await clock.advance(20_000);
    expect(lock.requests.slice(before).map(({ verb }) => verb)).toEqual(
      Array<string>(10).fill('replace'),
    );
    expect(lock.mostInFlight).toBe(1);
  });

  it('gives the term its number, token, identity and an open signal', async () => {
    const { elector, clock } = await leading();
    expect(elector.term).toMatchObject({
      grantedAt: new Date(clock.wallMicros() / 1_000),
      role: 'role',
      number: 1,
      fencingToken: 101n,
      holderIdentity: 'me',
    });
    expect(elector.term!.signal.aborted).toBe(false);
  });

  it('lets any number of jobs and handlers listen to the end of the term', async () => {
    const { elector } = await leading();
    expect(getMaxListeners(elector.term!.signal)).toBe(Infinity);
  });

  it('holds the lease for as long as it is certain of leadership, and while its work drains', async () => {
    const work = latch();
    const { elector, lock, clock } = await leading({ onRevoked: () => work.promise });
    expect(elector.heldForMs()).toBe(10_000);
    clock.stall(400);
    expect(elector.heldForMs()).toBe(9_600);
    elector.stepDown(0);
    expect(elector.remainingMs()).toBe(0);
    expect(elector.heldForMs()).toBe(9_600);
    await clock.advance(4_000);
    // Renewed at 2,000 and 4,000.
    expect(elector.heldForMs()).toBe(9_600);
    lock.automatic = false;
    await clock.advance(9_599);
    expect(elector.heldForMs()).toBe(1);
    clock.stall(1);
    expect(elector.heldForMs()).toBe(0);
    work.open();
  });

  it('does not hold the lease from the first byte of a release on', async () => {
    const { elector, lock, clock } = await leading();
    lock.automatic = false;
    elector.stepDown(0);
    await clock.advance(0);
    expect(lock.last.record!.holderIdentity).toBe('');
    expect(elector.heldForMs()).toBe(0);
  });

  it('tells in a probe the very reading of the clock that decided', async () => {
    const { elector, clock } = await leading();
    clock.stall(400);
    expect(elector.probe()).toMatchObject({ isLeader: true, now: clock.now() });
    expect(elector.probe().validUntil).toBe(clock.now() + 9_600);
    expect(elector.probe().term).toBe(elector.term);
    clock.stall(9_600);
    expect(elector.probe()).toMatchObject({ isLeader: false, term: undefined });
  });
});

describe('when the event loop was blocked past the end of validity', () => {
  it('revokes before it looks at a success that arrives first', async () => {
    const { elector, lock, clock, log } = await leading();
    lock.automatic = false;
    await clock.advance(2_000);
    clock.stall(9_000);
    lock.applyLast();
    await clock.settle();
    expect(log.at(-1)).toContain('revoked 1 renew-deadline');
    expect(elector.isLeader()).toBe(false);
  });
});

describe('when a term ends', () => {
  it('closes the gate, aborts the signal, tells the observer, drains, and then releases', async () => {
    const handler = latch();
    const { elector, clock, log } = await leading({ onRevoked: () => handler.promise });
    expect(elector.stepDown(60_000)).toBe(true);
    await clock.advance(5_000);
    expect(log.slice(1)).toEqual(['revoked 1 stepped-down leads=false aborted=true']);
    handler.open();
    await clock.settle();
    expect(log.slice(2)).toEqual(['released 1']);
  });

  it('waits for work in flight and for a granted handler that still runs', async () => {
    const work = latch();
    const granted = latch();
    const { elector, clock, log } = await leading({ onGranted: () => granted.promise });
    elector.track(work.promise);
    elector.stepDown(60_000);
    work.open();
    await clock.settle();
    expect(log).not.toContain('released 1');
    granted.open();
    await clock.settle();
    expect(log).toContain('released 1');
  });

  it('counts work that failed as ended', async () => {
    const { elector, clock, log } = await leading();
    elector.track(Promise.reject(new Error('work failed')));
    elector.stepDown(60_000);
    await clock.settle();
    expect(log).toContain('released 1');
  });

  it('begins no other term before the work of the last one has ended', async () => {
    const handler = latch();
    const { elector, lock, clock, log } = await leading({ onRevoked: () => handler.promise });
    lock.deleteByHand();
    await clock.advance(60_000);
    expect(elector.isLeader()).toBe(false);
    handler.open();
    await clock.advance(2_000);
    expect(log.filter((line) => line.startsWith('granted'))).toEqual([
      'granted 1 leads=true',
      'granted 2 leads=true',
    ]);
  });

  it('has ended when stepDown returns, also inside a granted handler, which does not deadlock', async () => {
    const led: boolean[] = [];
    const made = fixture({
      onGranted: () => {
        led.push(made.elector.stepDown(60_000), made.elector.isLeader());
      },
    });
    made.lock.automatic = true;
    made.elector.start();
    await made.clock.advance(0);
    expect(led).toEqual([true, false]);
    expect(made.log).toEqual([
      'granted 1 leads=true',
      'revoked 1 stepped-down leads=false aborted=true',
      'released 1',
    ]);
  });
});

describe('when an observer gives leadership up while it is being told', () => {
  it('is told of the end only after it has returned', async () => {
    const order: string[] = [];
    const { elector, lock, clock } = fixture({
      onGranted: () => {
        elector.stepDown(60_000);
        order.push('granted returns');
      },
      onRevoked: () => void order.push('revoked begins'),
    });
    lock.automatic = true;
    elector.start();
    await clock.advance(0);
    expect(order).toEqual(['granted returns', 'revoked begins']);
  });
});

describe('when there is no term to give up', () => {
  it('says that this process did not lead', async () => {
    const { elector } = fixture();
    expect(elector.stepDown(60_000)).toBe(false);
    const leader = await leading();
    expect([leader.elector.stepDown(60_000), leader.elector.stepDown(60_000)]).toEqual([
      true,
      false,
    ]);
  });
});

describe('when it is started twice', () => {
  it('stands once, with one watch', () => {
    const { elector, lock } = fixture();
    let watches = 0;
    const watch = lock.watch.bind(lock);
    lock.watch = (...args) => {
      watches += 1;
      return watch(...args);
    };
    elector.start();
    elector.start();
    expect([lock.requests.length, watches]).toEqual([1, 1]);
  });
});

describe('when a renewal hangs while the elector stops', () => {
  it('gives it up after one request timeout: aborted, with no timer left of it', async () => {
    const { elector, lock, clock } = await leading();
    lock.automatic = false;
    await clock.advance(2_000);
    const renewal = lock.last;
    await elector.drain();
    const released = elector.release();
    await clock.advance(CONFIG.requestTimeoutMs - 1);
    expect(renewal.options.signal.aborted).toBe(false);
    lock.automatic = true;
    await clock.advance(1);
    await released;
    expect(renewal.options.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('when a lock misbehaves', () => {
  it('takes a rejected promise for an unknown outcome, and continues', async () => {
    const { elector, lock, clock, log } = fixture();
    elector.start();
    lock.last.fail(new Error('boom'));
    await clock.settle();
    expect(log).toEqual(['error ERR_LOCK_REQUEST']);
    lock.automatic = true;
    await clock.advance(2_000);
    expect(elector.isLeader()).toBe(true);
  });

  it('aborts and gives up a request that the lock never answers', async () => {
    const { elector, lock, clock, log } = fixture();
    elector.start();
    const hanging = lock.last;
    await clock.advance(3_200);
    expect(hanging.options.signal.aborted).toBe(true);
    expect(log).toEqual(['error ERR_LOCK_REQUEST']);
    expect(lock.requests.length).toBeGreaterThan(1);
  });

  it('lets a lock that keeps to its timeout tell what has failed', async () => {
    const errors: string[] = [];
    const lock = new ScriptedLock();
    const clock = new ManualClock();
    const elector = new LeaderElector(CONFIG, {
      lock,
      clock,
      random: () => 0,
      observer: {
        onNotice: (notice) => {
          if (notice.kind === 'failed') errors.push(notice.error.message);
        },
      },
    });
    elector.start();
    await clock.advance(CONFIG.requestTimeoutMs);
    expect(errors).toEqual([]);
    lock.last.fail(new Error('no answer from 127.0.0.1'));
    await clock.settle();
    expect(errors).toEqual([expect.stringContaining('no answer from 127.0.0.1')]);
  });

  it('still bounds the next request when the last one is answered too late', async () => {
    const { elector, lock, clock } = fixture();
    elector.start();
    const first = lock.last;
    await clock.advance(6_000);
    const second = lock.last;
    expect(second).not.toBe(first);
    first.answer({ kind: 'absent' });
    await clock.advance(3_200);
    expect(second.options.signal.aborted).toBe(true);
    expect(lock.last).not.toBe(second);
  });

  it('ignores an answer that comes after it gave the request up', async () => {
    const { elector, lock, clock } = fixture();
    elector.start();
    lock.last.answer({ kind: 'absent' });
    await clock.settle();
    const create = lock.last;
    await clock.advance(3_101);
    create.answer({ kind: 'applied', stored: representation(create.record!, 101) });
    await clock.settle();
    expect(elector.isLeader()).toBe(false);
  });
});

describe('when the watch tells of changes', () => {
  it('revokes at once when another takes the lease', async () => {
    const { elector, lock, log } = await leading();
    lock.watchObserver!.changed(representation(heldBy('other'), 500), 500n);
    expect(elector.isLeader()).toBe(false);
    expect(log.at(-1)).toContain('superseded');
  });

  it('takes the lease at once of a holder that is reported dead', async () => {
    const { elector, lock, clock } = fixture();
    const held = representation(heldBy('other'), 50);
    lock.stored = held;
    lock.automatic = true;
    elector.start();
    lock.watchObserver!.opened();
    await clock.advance(1_000);
    lock.watchObserver!.holderDied(held.timingKey);
    await clock.advance(100);
    expect(lock.stored.record.holderIdentity).toBe('me');
  });

  it('takes a deleted lease for no error', async () => {
    const { lock, clock, log } = await leading();
    lock.deleteByHand();
    await clock.settle();
    expect(log.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('reports no error where it is interrupted without one', async () => {
    const { lock, clock, log } = await leading();
    lock.watchObserver!.interrupted();
    await clock.advance(0);
    expect(log.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('is called silent only after the lease and the takeover by another candidate', () => {
    const { elector, lock } = fixture();
    elector.start();
    expect(lock.silenceLimitMs).toBe(CONFIG.leaseDurationMs + 2 * CONFIG.retryPeriodMs);
  });
});

describe('when candidacy is suspended', () => {
  it('stands only after resume, even if suspended before the start', async () => {
    const { elector, lock, clock } = fixture();
    lock.automatic = true;
    elector.suspend();
    elector.start();
    await clock.advance(10_000);
    expect(lock.requests.every(({ verb }) => verb === 'read')).toBe(true);
    elector.resume();
    await clock.advance(2_000);
    expect(elector.isLeader()).toBe(true);
  });
});

describe('when candidacy is suspended and resumed before the start', () => {
  it('stands from the start', async () => {
    const { elector, lock, clock } = fixture();
    lock.automatic = true;
    elector.suspend();
    elector.resume();
    elector.start();
    await clock.advance(0);
    expect(elector.isLeader()).toBe(true);
  });
});

describe('when an observer stops the elector', () => {
  it.each(['granted', 'leader-changed'])(
    'waits for the work of the term, and then releases: when told %s',
    async (told) => {
      const work = latch();
      let stopped: Promise<void> | undefined;
      const stopWhen = (kind: string): void => {
        if (kind === told && made.elector.isLeader()) stopped ??= stopElection(made);
      };
      const made = fixture({
        onGranted: () => {
          stopWhen('granted');
          return work.promise;
        },
        onNotice: ({ kind }) => stopWhen(kind),
      });
      made.lock.automatic = true;
      made.elector.start();
      await made.clock.advance(100);
      expect(made.lock.stored?.record.holderIdentity).not.toBe('');
      work.open();
      await made.clock.advance(100);
      await stopped;
      expect(made.log.map((line) => line.split(' ')[0])).toEqual([
        'granted',
        'revoked',
        'released',
      ]);
    },
  );
});

describe('when stopped', () => {
  const states: [string, (made: Fixture) => Promise<void>][] = [
    ['before it was started', () => Promise.resolve()],
    [
      'while the first read is under way',
      ({ elector }) => {
        elector.start();
        return Promise.resolve();
      },
    ],
    [
      'while it stands by',
      async ({ elector, lock, clock }) => {
        lock.stored = representation(heldBy('other'), 50);
        lock.automatic = true;
        elector.start();
        await clock.advance(3_000);
      },
    ],
    [
      'while it acquires',
      async ({ elector, lock, clock }) => {
        elector.start();
        lock.last.answer({ kind: 'absent' });
        await clock.settle();
        lock.automatic = true;
      },
    ],
    [
      'while it leads',
      async ({ elector, lock, clock }) => {
        lock.automatic = true;
        elector.start();
        await clock.advance(3_000);
      },
    ],
    [
      'while it drains after a step-down',
      async ({ elector, lock, clock }) => {
        lock.automatic = true;
        elector.start();
        await clock.advance(3_000);
        elector.track(new Promise(() => {}));
        elector.stepDown(0);
      },
    ],
    [
      'while its server does not answer',
      async ({ elector, lock, clock }) => {
        lock.automatic = true;
        elector.start();
        await clock.advance(1_000);
        lock.automatic = false;
        await clock.advance(2_000);
      },
    ],
  ];

  it.each(states)('returns and leaves no timer and no watch behind: %s', async (_name, reach) => {
    const made = fixture();
    await reach(made);
    const stopped = stopElection(made);
    await made.clock.advance(CONFIG.drainTimeoutMs + 2 * CONFIG.requestTimeoutMs);
    await stopped;
    expect(made.clock.pendingTimers).toBe(0);
    expect(made.lock.watchObserver).toBeUndefined();
    expect(made.lock.closed).toBe(true);
    expect(made.elector.isLeader()).toBe(false);
  });

  it('releases as the very last write', async () => {
    const { elector, lock, clock, log } = await leading();
    const stopped = stopElection({ elector, lock, clock });
    await clock.advance(0);
    await stopped;
    expect(log.slice(1)).toEqual(['revoked 1 shutdown leads=false aborted=true', 'released 1']);
    expect(lock.last.record?.holderIdentity).toBe('');
  });

  it('tells whether everything drained in time', async () => {
    const { elector, clock } = await leading();
    elector.track(new Promise(() => {}));
    const drained = elector.drain();
    await clock.advance(CONFIG.drainTimeoutMs);
    expect(await drained).toBe(false);
  });

  it('says that everything drained where nothing was left to wait for', async () => {
    const { elector } = await leading();
    expect(await elector.drain()).toBe(true);
  });

  it('releases only once: whoever asks later waits for nothing', async () => {
    const { elector, lock, clock } = await leading();
    const stopped = stopElection({ elector, lock, clock });
    await clock.advance(0);
    await stopped;
    const sent = lock.requests.length;
    expect(await promiseState(elector.release())).toBe('settled');
    expect(lock.requests.length).toBe(sent);
  });

  it('has not ended before the lease is released', async () => {
    const { elector, lock, clock } = await leading();
    lock.automatic = false;
    const stopped = stopElection({ elector, lock, clock });
    const released = elector.drain().then(() => elector.release());
    await clock.settle();
    expect(await promiseState(released)).toBe('pending');
    expect(lock.closed).toBe(false);
    lock.applyLast();
    await Promise.all([released, stopped]);
    expect(lock.stored?.record.holderIdentity).toBe('');
  });

  it('has not ended before the lock is closed', async () => {
    const { elector, lock, clock } = await leading();
    const closing = latch();
    lock.close = () => closing.promise;
    const stopped = stopElection({ elector, lock, clock });
    await clock.advance(0);
    expect(await promiseState(stopped)).toBe('pending');
    closing.open();
    await clock.settle();
    expect(await promiseState(stopped)).toBe('settled');
  });
});
