import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../lib/core/clock.js';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { SystemClock } from '../../lib/elector/system-clock.js';
import type { Term } from '../../lib/core/term.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import {
  type MemoryLeaseListener,
  MemoryLeaseStore,
  memoryLock,
} from '../../lib/locks/memory/memory.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { CONFIG } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { stopElection } from '../support/stop-election.js';

const CYCLES = 1_000;
const RENEWALS = 10_000;
/** What a thousand leaked electors, promises or listeners of a few hundred bytes each would exceed. */
const HEAP_BOUND_BYTES = 1_000_000;
const OF_THE_TEST_RUNNER = 5;
const LEASE_CYCLES = 50;
const REQUESTER = { leaseName: 'plan', namespace: 'default', identity: 'me' };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function heapUsed(): Promise<number> {
  for (let round = 0; round < 4; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

/** Counts of what keeps a process alive, such as `Timeout` and `TCPSocketWrap`. */
function activeResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** Kinds of which there are now clearly more: the test runner has a few timers of its own that come and go. */
function leaked(before: ReadonlyMap<string, number>): [kind: string, count: number][] {
  return [...activeResources()]
    .map(([kind, count]): [string, number] => [kind, count - (before.get(kind) ?? 0)])
    .filter(([, count]) => count > OF_THE_TEST_RUNNER);
}

/** By how much the heap grows over so many rounds; what is filled once is filled before it measures. */
async function heapGrowth(rounds: number, round: () => Promise<void>): Promise<number> {
  for (let warmUp = 0; warmUp < rounds / 5; warmUp += 1) await round();
  const before = await heapUsed();
  for (let done = 0; done < rounds; done += 1) await round();
  return (await heapUsed()) - before;
}

class CountingStore extends MemoryLeaseStore {
  listenerCount = 0;

  override listen(key: string, listener: MemoryLeaseListener): () => void {
    this.listenerCount += 1;
    const unlisten = super.listen(key, listener);
    return () => {
      this.listenerCount -= 1;
      unlisten();
    };
  }
}

interface Election {
  readonly elector: LeaderElector;
  readonly stop: () => Promise<void>;
  readonly granted: Promise<Term>;
}

function election(
  lock: ResourceLock,
  clock: Clock,
  change: Partial<ElectionConfig> = {},
): Election {
  let tell: (term: Term) => void = () => {};
  const granted = new Promise<Term>((resolve) => {
    tell = resolve;
  });
  const observer = { onGranted: (term: Term) => tell(term) };
  const random = (): number => 0;
  const config = { ...CONFIG, ...change };
  const elector = new LeaderElector(config, { lock, clock, random, observer });
  return { elector, granted, stop: () => stopElection({ elector, lock, clock }) };
}

describe(`when an election starts and stops ${CYCLES} times`, () => {
  it('leaves no timer, no listener and no heap', async () => {
    const store = new CountingStore();
    const clock = new SystemClock();
    const before = activeResources();
    let cycles = 0;
    const growth = await heapGrowth(CYCLES, async () => {
      const { elector, granted, stop } = election(await memoryLock(store)(REQUESTER), clock);
      elector.start();
      const term = await granted;
      await stop();
      expect(term.signal.aborted).toBe(true);
      cycles += 1;
    });
    expect(cycles).toBe(CYCLES * 1.2);
    expect(store.listenerCount).toBe(0);
    expect(leaked(before)).toEqual([]);
    expect(growth).toBeLessThan(HEAP_BOUND_BYTES);
  }, 60_000);

  it('leaves nothing of standbys that never led', async () => {
    const store = new CountingStore();
    const clock = new ManualClock();
    const leader = election(await memoryLock(store)(REQUESTER), clock);
    leader.elector.start();
    await leader.granted;
    const [timers, listeners] = [clock.pendingTimers, store.listenerCount];
    const growth = await heapGrowth(CYCLES, async () => {
      const identity = 'standby';
      const lock = await memoryLock(store)({ ...REQUESTER, identity });
      const { elector, stop } = election(lock, clock, { identity });
      elector.start();
      await clock.settle();
      expect(elector.leader).toBe('me');
      await stop();
    });
    expect([clock.pendingTimers, store.listenerCount]).toEqual([timers, listeners]);
    expect(growth).toBeLessThan(HEAP_BOUND_BYTES);
    await leader.stop();
    expect(clock.pendingTimers).toBe(0);
  }, 60_000);
});

describe(`when a lease is renewed ${RENEWALS} times`, () => {
  it('keeps one election’s worth of timers and heap', async () => {
    const store = new CountingStore();
    const clock = new ManualClock();
    const { elector, granted, stop } = election(await memoryLock(store)(REQUESTER), clock);
    elector.start();
    const term = await granted;
    await clock.advance(CONFIG.retryPeriodMs);
    const { pendingTimers: timers } = clock;
    const before = store.read('default/plan')!.revision;
    const growth = await heapGrowth(RENEWALS / 100, () =>
      clock.advance(100 * CONFIG.retryPeriodMs),
    );
    expect(store.read('default/plan')!.revision - before).toBe(BigInt(RENEWALS * 1.2));
    expect(elector.term).toBe(term);
    expect([clock.pendingTimers, store.listenerCount]).toEqual([timers, 1]);
    expect(growth).toBeLessThan(HEAP_BOUND_BYTES);
    await stop();
    expect([clock.pendingTimers, store.listenerCount]).toEqual([0, 0]);
  }, 120_000);
});

describe(`when elections on the Lease start and stop ${LEASE_CYCLES} times`, () => {
  let emulator: ApiEmulator;

  beforeEach(async () => {
    emulator = await ApiEmulator.start();
  });

  afterEach(() => emulator.stop());

  it('leaves no timer, socket or watch', async () => {
    const clock = new SystemClock();
    const before = activeResources();
    const growth = await heapGrowth(LEASE_CYCLES, async () => {
      const lock = await leaseLock({ kubeConfig: kubeConfigTo(emulator.url) })(REQUESTER);
      const { elector, granted, stop } = election(lock, clock);
      elector.start();
      await granted;
      await stop();
      emulator.requests.length = 0;
    });
    await eventually(() => expect(emulator.openConnections).toBe(0));
    await eventually(() => expect(leaked(before)).toEqual([]));
    expect(growth).toBeLessThan(HEAP_BOUND_BYTES);
  }, 60_000);
});

describe('when something does leak', () => {
  const kept: unknown[] = [];

  afterEach(() => void kept.splice(0));

  it('sees electors that are stopped but not let go', async () => {
    const clock = new SystemClock();
    const growth = await heapGrowth(CYCLES, async () => {
      const { elector, granted, stop } = election(await memoryLock()(REQUESTER), clock);
      kept.push(elector);
      elector.start();
      await granted;
      await stop();
    });
    expect(growth).toBeGreaterThan(HEAP_BOUND_BYTES);
  }, 60_000);

  it('sees elections that were not stopped', async () => {
    const before = activeResources();
    const store = new CountingStore();
    const clock = new SystemClock();
    const elections = await Promise.all(
      Array.from({ length: 2 * OF_THE_TEST_RUNNER }, async (_, number) => {
        const requester = { ...REQUESTER, leaseName: `plan-${number}` };
        return election(await memoryLock(store)(requester), clock);
      }),
    );
    for (const { elector } of elections) elector.start();
    await Promise.all(elections.map(({ granted }) => granted));
    expect(leaked(before)).toEqual([['Timeout', expect.any(Number)]]);
    expect(store.listenerCount).toBe(elections.length);
    await Promise.all(elections.map(({ stop }) => stop()));
    expect(leaked(before)).toEqual([]);
    expect(store.listenerCount).toBe(0);
  });
});
