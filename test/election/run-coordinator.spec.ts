import { memoryLock, type LeaderElection } from '../../lib/election/index.js';
import { leaderElectionWith } from '../../lib/election/leader-election.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { memoryLeaseKey, MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';
import { ManualClock } from '../support/manual-clock.js';

const KEY = memoryLeaseKey({ leaseName: 'reports', namespace: undefined });
const RUN = 'nightly:2026-01-01T03:00:00.000Z';
const TTL_MS = 30_000;
const DRAIN_MS = 20_000;
const LEASE_MS = 15_000;
const RETRY_MS = 2_000;

describe('runCoordinator', () => {
  let clock: ManualClock;
  let store: MemoryLeaseStore;
  let made: LeaderElection[];
  beforeEach(() => {
    clock = new ManualClock();
    store = new MemoryLeaseStore();
    made = [];
  });
  afterEach(async () => {
    const stopped = Promise.all(made.map((election) => election.stop()));
    await clock.advance(200_000);
    await stopped;
  });

  const started = async (identity: string): Promise<LeaderElection> => {
    const logger = { debug: () => {}, log: () => {}, warn: () => {}, error: () => {} };
    const election = await leaderElectionWith(
      { role: 'reports', identity, lock: memoryLock(store), logger },
      { clock, random: () => 0, makeElector: (config, its) => new LeaderElector(config, its) },
    );
    made.push(election);
    election.start();
    await clock.settle();
    return election;
  };

  const holder = (): string | undefined => store.read(KEY)?.record.holderIdentity;

  describe('when node-cron asks whether a run takes place', () => {
    it('says yes on the leader, and no on a follower', async () => {
      const [leader, follower] = [await started('a'), await started('b')];
      expect(
        [leader, follower].map((each) => each.runCoordinator().shouldRun(RUN, TTL_MS)),
      ).toEqual([true, false]);
      leader.runCoordinator().onComplete(RUN);
    });

    it('says no for a run that is under way, as two tasks of one name ask for it', async () => {
      const coordinator = (await started('a')).runCoordinator();
      expect(coordinator.shouldRun(RUN, TTL_MS)).toBe(true);
      expect(coordinator.shouldRun(RUN, TTL_MS)).toBe(false);
      coordinator.onComplete(RUN);
    });

    it('says no once leadership has ended', async () => {
      const election = await started('a');
      election.stepDown();
      expect(election.runCoordinator().shouldRun(RUN, TTL_MS)).toBe(false);
    });
  });

  describe('when leadership ends during a run', () => {
    it('keeps the lease until the run is complete', async () => {
      const election = await started('a');
      election.runCoordinator().shouldRun(RUN, TTL_MS);
      const stopped = election.stop();
      await clock.advance(DRAIN_MS - 1_000);
      expect(holder()).toBe('a');
      election.runCoordinator().onComplete(RUN);
      await clock.settle();
      await stopped;
      expect({ holder: holder(), timers: clock.pendingTimers }).toEqual({ holder: '', timers: 0 });
    });
  });

  describe('when a run takes longer than the distributedLease of its task', () => {
    it('keeps the lease all the same', async () => {
      const election = await started('a');
      election.runCoordinator().shouldRun(RUN, 1_000);
      const stopped = election.stop();
      await clock.advance(DRAIN_MS - 1_000);
      expect(holder()).toBe('a');
      election.runCoordinator().onComplete(RUN);
      await clock.settle();
      await stopped;
    });
  });

  describe('when node-cron never says that a run is complete', () => {
    it('does not release the lease, and competes again once the lease and the distributedLease of the task have passed', async () => {
      const election = await started('a');
      const ttlMs = 90_000;
      election.runCoordinator().shouldRun(RUN, ttlMs);
      election.stepDown({ cooldownMs: 0 });
      await clock.advance(DRAIN_MS + LEASE_MS);
      expect({ holder: holder(), isLeader: election.isLeader() }).toEqual({
        holder: 'a',
        isLeader: false,
      });
      await clock.advance(ttlMs - DRAIN_MS - LEASE_MS - 1_000);
      expect(election.isLeader()).toBe(false);
      await clock.advance(1_000 + LEASE_MS + RETRY_MS);
      expect({ isLeader: election.isLeader(), term: election.term?.number }).toEqual({
        isLeader: true,
        term: 2,
      });
    });

    it('leaves no timer behind when it is stopped', async () => {
      const election = await started('a');
      election.runCoordinator().shouldRun(RUN, TTL_MS);
      const stopped = election.stop();
      await clock.advance(DRAIN_MS + 1_000);
      await stopped;
      expect(clock.pendingTimers).toBe(0);
    });

    it('does nothing for the end of a run that it does not know', async () => {
      const election = await started('a');
      election.runCoordinator().onComplete(RUN);
      const stopped = election.stop();
      await clock.settle();
      await stopped;
      expect(holder()).toBe('');
    });
  });
});
