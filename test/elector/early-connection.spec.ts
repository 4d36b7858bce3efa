import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ElectionNotice } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { CONFIG, heldBy, representation } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';
import { stopElection } from '../support/stop-election.js';

const LEASE_MS = 15_000;
/** Four of the shortest steps of 4 ms. */
const AHEAD_MS = 16;

const RELEASED = heldBy('', { releasedTransitions: 4 });

let clock: ManualClock;
let lock: ConnectingLock;
let elector: LeaderElector;
let notices: ElectionNotice[];
let random: number;
let revision: number;

class ConnectingLock extends ScriptedLock {
  /** When it was told. */
  readonly told: number[] = [];

  connect(): void {
    this.told.push(clock.now());
  }
}

/** What another process has written, as the watch tells of it. */
async function hear(record: LeaseRecord): Promise<void> {
  revision += 1;
  const renewed = { ...record, renewTimeMicros: revision };
  lock.stored = representation(renewed, revision);
  lock.watchObserver!.changed(lock.stored, BigInt(revision));
  await clock.advance(0);
}

/** A standby that has read a lease of another process, and watches it. */
async function standBy(made: ConnectingLock = new ConnectingLock()): Promise<void> {
  clock = new ManualClock();
  notices = [];
  revision = 10;
  lock = made;
  lock.stored = representation(heldBy('other'), revision);
  lock.automatic = true;
  elector = new LeaderElector(CONFIG, {
    lock,
    clock,
    random: () => random,
    observer: { onNotice: (notice) => notices.push(notice) },
  });
  elector.start();
  lock.watchObserver!.opened();
  await clock.advance(0);
  lock.requests.length = 0;
}

beforeEach(async () => {
  random = 0.6;
  await standBy();
});

describe('when a lock can connect before it writes', () => {
  it('is told when the lease is released, while the candidate waits for its turn and sends nothing', async () => {
    await hear(RELEASED);
    expect(lock.told).toEqual([clock.now()]);
    await clock.advance(5.9);
    expect(lock.requests).toEqual([]);
    await clock.advance(0.1);
    expect(lock.requests.map(({ verb }) => verb)).toEqual(['replace']);
    expect(elector.isLeader()).toBe(true);
    expect(lock.told).toHaveLength(1);
  });

  it('is told nothing as long as the holder renews in time, nor sends anything', async () => {
    for (let renewal = 0; renewal < 100; renewal += 1) {
      await hear(heldBy('other'));
      await clock.advance(2_000);
    }
    expect(lock.told).toEqual([]);
    expect(lock.requests).toEqual([]);
  });

  it('is told nothing while the candidate leads, which has a connection for its renewals', async () => {
    await hear(RELEASED);
    await clock.advance(6);
    for (let renewal = 0; renewal < 10; renewal += 1) await clock.advance(2_000);
    expect(elector.isLeader()).toBe(true);
    expect(lock.told).toHaveLength(1);
  });

  it('is told shortly before the lease of a silent holder expires, and no sooner', async () => {
    await hear(heldBy('other'));
    const since = clock.now();
    await clock.advance(LEASE_MS + 6 - AHEAD_MS - 1);
    expect(lock.told).toEqual([]);
    await clock.advance(1);
    expect(lock.told).toEqual([since + LEASE_MS + 6 - AHEAD_MS]);
    expect(lock.requests).toEqual([]);
    await clock.advance(AHEAD_MS);
    expect(elector.isLeader()).toBe(true);
    expect(lock.told).toHaveLength(1);
  });

  it('is told nothing if another one in the crowd comes long before its turn', async () => {
    const crowd = { candidates: 1_000, stepMs: 4 };
    await hear({ ...RELEASED, crowd });
    await clock.advance(100);
    await hear(heldBy('winner', { leaseTransitions: 5, crowd }));
    await clock.advance(2_000);
    expect(lock.told).toEqual([]);
  });

  it('is told shortly before its turn in a crowd', async () => {
    await hear({ ...RELEASED, crowd: { candidates: 1_000, stepMs: 4 } });
    const since = clock.now();
    await clock.advance(1_300);
    expect(lock.told).toEqual([since + 0.6 * 2_000 - AHEAD_MS]);
  });

  it('is told sooner where a request takes longer, as a connection does too', async () => {
    await hear(heldBy('other', { crowd: { candidates: 3, stepMs: 100 } }));
    const since = clock.now();
    await clock.advance(LEASE_MS + 200);
    expect(lock.told).toEqual([since + LEASE_MS + 0.6 * 150 - 400]);
  });

  it('is told later in a crowd whose window is as long as it may be, as eight of it are enough', async () => {
    await hear({ ...RELEASED, crowd: { candidates: 1_000, stepMs: 100 } });
    const since = clock.now();
    await clock.advance(3_100);
    expect(lock.told).toEqual([since + 0.6 * 5_000 - 40]);
  });

  it('is told once more for the next release', async () => {
    await hear(RELEASED);
    await hear(heldBy('winner', { leaseTransitions: 5 }));
    await clock.advance(5_000);
    await hear(heldBy('', { leaseTransitions: 5, releasedTransitions: 5 }));
    expect(lock.told).toHaveLength(2);
  });

  it('is told nothing while the process does not compete', async () => {
    elector.suspend();
    await hear(RELEASED);
    await clock.advance(LEASE_MS);
    expect(lock.told).toEqual([]);
  });

  it('leaves no timer behind when the election ends', async () => {
    await hear(heldBy('other'));
    await stopElection({ elector, lock, clock });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('when connecting fails in a lock of the user’s own', () => {
  const broken: [string, () => void | Promise<void>][] = [
    [
      'throws',
      () => {
        throw new Error('boom');
      },
    ],
    ['rejects', () => Promise.reject(new Error('boom'))],
  ];

  it.each(broken)('reports once that it %s, and acquires all the same', async (_, connect) => {
    await standBy(Object.assign(new ConnectingLock(), { connect }));
    await hear(RELEASED);
    await clock.advance(10);
    const failures = notices.filter(({ kind }) => kind === 'failed');
    expect(failures).toMatchObject([
      { error: { message: 'scripted lease: the lock failed to connect: boom' } },
    ]);
    expect(elector.isLeader()).toBe(true);
  });

  it('does without, where it cannot even be asked whether it can', async () => {
    const unreadable = new ConnectingLock();
    Object.defineProperty(unreadable, 'connect', {
      get() {
        throw new Error('no');
      },
    });
    await standBy(unreadable);
    await hear(RELEASED);
    await clock.advance(10);
    expect(elector.isLeader()).toBe(true);
  });
});
