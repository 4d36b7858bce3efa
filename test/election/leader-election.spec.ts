import { setImmediate } from 'node:timers/promises';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  currentTerm,
  DrainTimeoutError,
  ElectionStoppedError,
  LeaderElectionOptionsError,
  LeadershipHandlerError,
  LockRequestError,
  memoryLock,
  type LeaderElection,
  type LeaderElectionOptions,
  type RevocationReason,
  type Term,
} from '../../lib/election/index.js';
import type { LogEntry } from '../../lib/election/log-entry.js';
import { leaderElectionWith } from '../../lib/election/leader-election.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { memoryLeaseKey, MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';
import { editLease } from '../locks/edit-lease.js';
import { withoutSubject } from '../nest/support/recorded-log.js';
import { ManualClock } from '../support/manual-clock.js';

const ROLE = 'billing';
const KEY = memoryLeaseKey({ leaseName: ROLE, namespace: undefined });
const RETRY_MS = 2_000;
const DRAIN_MS = 20_000;
const LEASE_MS = 15_000;

describe('createLeaderElection', () => {
  let clock: ManualClock;
  let store: MemoryLeaseStore;
  let made: LeaderElection[];
  let lines: string[];
  beforeEach(() => {
    clock = new ManualClock();
    store = new MemoryLeaseStore();
    made = [];
    lines = [];
  });
  afterEach(async () => {
    const stopped = Promise.all(made.map((election) => election.stop()));
    await clock.advance(60_000);
    await stopped;
  });

  const logger = {
    debug: () => {},
    log: (entry: LogEntry) => void lines.push(withoutSubject(`log ${entry.toString()}`)),
    warn: (entry: LogEntry) => void lines.push(withoutSubject(`warn ${entry.toString()}`)),
    error: (entry: LogEntry) => void lines.push(withoutSubject(`error ${entry.toString()}`)),
  };

  const create = async (options: Partial<LeaderElectionOptions> = {}): Promise<LeaderElection> => {
    const election = await leaderElectionWith(
      { role: ROLE, identity: 'pod-a', lock: memoryLock(store), logger, ...options },
      {
        clock,
        random: () => 0,
        makeElector: (config, dependencies) => new LeaderElector(config, dependencies),
      },
    );
    made.push(election);
    return election;
  };

  const leading = async (options: Partial<LeaderElectionOptions> = {}): Promise<LeaderElection> => {
    const election = await create(options);
    election.start();
    await clock.settle();
    expect(election.isLeader()).toBe(true);
    return election;
  };

  const holder = (): string | undefined => store.read(KEY)?.record.holderIdentity;

  describe('when options cannot be used', () => {
    it('names each with its value, rule and fix, and itself as what they were given to', async () => {
      const options = { role: '', lock: 'redis', logger: () => {}, leasName: 'x' };
      const error = await create(options as never).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(LeaderElectionOptionsError);
      const { faults, message } = error as LeaderElectionOptionsError;
      expect(message).toMatch(/^createLeaderElection\(\): 4 configuration errors\n/);
      expect(faults.map(({ field }) => field)).toEqual(['leasName', 'role', 'lock', 'logger']);
      expect(faults.every(({ rule, fix }) => rule !== '' && fix !== '')).toBe(true);
    });

    it.each([undefined, null, 7, []])('rejects %p in place of them', async (options) => {
      await expect(leaderElectionWith(options as never, {} as never)).rejects.toThrow(
        /must be an object/,
      );
    });

    it('refuses a listener of an event that there is not, and what is not a function', async () => {
      const election = await create();
      expect(() => election.on('gained' as never, 7 as never)).toThrow(
        /^LeaderElection: 2 configuration errors\n.*on\.event = "gained".*\n.*on\.listener = 7/,
      );
    });

    it.each([NaN, -1, '5'])('refuses %p as a duration of stepDown() and health()', async (ms) => {
      const election = await create();
      expect(() => election.stepDown({ cooldownMs: ms as number })).toThrow(/stepDown.cooldownMs/);
      expect(() => election.health({ toleranceMs: ms as number })).toThrow(/health.toleranceMs/);
    });
  });

  describe('when it is not started', () => {
    it('asks the store nothing, and sets no timer', async () => {
      const election = await create();
      await clock.advance(60_000);
      expect({ holder: holder(), timers: clock.pendingTimers }).toEqual({
        holder: undefined,
        timers: 0,
      });
      expect(election.isLeader()).toBe(false);
    });
  });

  describe('when it becomes leader', () => {
    it('has the term before the listeners of granted are called, which get it', async () => {
      const election = await create();
      const seen: unknown[] = [];
      election.on('granted', (term) => {
        seen.push(term, election.isLeader(), election.term, currentTerm());
      });
      election.start();
      const term = await Promise.all([election.waitForLeadership(), clock.settle()]);
      expect(seen).toEqual([term[0], true, term[0], term[0]]);
      expect(term[0]).toMatchObject({ role: ROLE, number: 1, holderIdentity: 'pod-a' });
      expect(typeof term[0].fencingToken).toBe('bigint');
    });

    it('says so in its status and health, and whom everyone follows', async () => {
      const election = await leading();
      const status = {
        role: ROLE,
        lock: `in-memory lease default/${ROLE}`,
        identity: 'pod-a',
        leader: 'pod-a',
        isLeader: true,
        term: 1,
        remainingMs: election.remainingMs(),
        lastRenewal: clock.date(),
        isEligible: true,
      };
      expect(election.status()).toEqual(status);
      expect(election.health()).toEqual({ status: 'up', ...status });
      const { leader, role, identity } = election;
      expect({ leader, role, identity }).toEqual({
        leader: 'pod-a',
        role: ROLE,
        identity: 'pod-a',
      });
    });
  });

  describe('when another process leads', () => {
    it('follows it, runs nothing that is for the leader, and says who leads', async () => {
      await leading();
      const follower = await create({ identity: 'pod-b' });
      const leaders: string[] = [];
      follower.on('leader', (identity) => leaders.push(identity));
      follower.start();
      await clock.settle();
      let runs = 0;
      expect(follower.runIfLeader(() => (runs += 1))).toBeUndefined();
      expect({ runs, leaders, isLeader: follower.isLeader(), leader: follower.leader }).toEqual({
        runs: 0,
        leaders: ['pod-a'],
        isLeader: false,
        leader: 'pod-a',
      });
      expect(follower.health().status).toBe('up');
    });

    it('takes over as soon as that one is stopped', async () => {
      const leader = await leading();
      const follower = await create({ identity: 'pod-b' });
      follower.start();
      await clock.settle();
      await leader.stop();
      await clock.settle();
      expect(follower.isLeader()).toBe(true);
    });
  });

  describe('when it is stopped', () => {
    it('ends leadership, tells the listeners, waits for them and for work while it renews, and releases last', async () => {
      const election = await create();
      const order: string[] = [];
      let endListener: () => void = () => {};
      let endWork: () => void = () => {};
      election.on('revoked', async (term, reason) => {
        order.push(`revoked ${reason}, ${election.isLeader()}, ${term.signal.aborted}`);
        await new Promise<void>((resolve) => (endListener = resolve));
        order.push('listener ended');
      });
      election.start();
      await clock.settle();
      void election.runIfLeader(async () => {
        await new Promise<void>((resolve) => (endWork = resolve));
        order.push('work ended');
      });
      const stopped = election.stop().then(() => order.push('stopped'));
      await clock.advance(LEASE_MS);
      expect({ order, holder: holder() }).toEqual({
        order: ['revoked shutdown, false, true'],
        holder: 'pod-a',
      });
      endWork();
      await clock.settle();
      expect(holder()).toBe('pod-a');
      endListener();
      await clock.settle();
      await stopped;
      expect(order).toEqual([
        'revoked shutdown, false, true',
        'work ended',
        'listener ended',
        'stopped',
      ]);
      expect(holder()).toBe('');
    });

    it('leaves the lease to expire if its work does not end in time, and reports that', async () => {
      const election = await leading();
      const errors: unknown[] = [];
      election.on('error', (error) => errors.push(error));
      void election.runIfLeader(() => new Promise(() => {}));
      const stopped = election.stop();
      await clock.advance(DRAIN_MS + 2 * LEASE_MS);
      await stopped;
      expect(holder()).toBe('pod-a');
      expect(errors).toEqual([expect.any(DrainTimeoutError)]);
    });

    it('leaves no timer behind', async () => {
      const election = await leading();
      const stopped = election.stop();
      await clock.settle();
      await stopped;
      expect(clock.pendingTimers).toBe(0);
    });

    it('ends what waits for leadership, and cannot be started again', async () => {
      await leading();
      const follower = await create({ identity: 'pod-b' });
      follower.start();
      const waiting = follower.waitForLeadership().catch((error: unknown) => error);
      const stopped = follower.stop();
      await clock.settle();
      await stopped;
      expect(await waiting).toBeInstanceOf(ElectionStoppedError);
      await expect(follower.waitForLeadership()).rejects.toThrow(ElectionStoppedError);
      expect(() => follower.start()).toThrow(ElectionStoppedError);
    });

    it('does not reject if the lock cannot be closed, and logs why', async () => {
      const real = memoryLock(store);
      const lock: typeof real = async (requester) => {
        const inner = await real(requester);
        return Object.assign(Object.create(inner) as typeof inner, {
          close: () => Promise.reject(new Error('file system gone')),
        });
      };
      const election = await leading({ lock });
      const stopped = election.stop();
      await clock.settle();
      await stopped;
      expect(lines.at(-1)).toMatch(/^warn .*the lock did not close: file system gone$/);
    });

    it('does so before it was ever started', async () => {
      const election = await create();
      await expect(election.stop()).resolves.toBeUndefined();
    });
  });

  describe('when a wait for leadership is aborted', () => {
    it('rejects with the reason, and keeps nothing of it', async () => {
      await leading();
      const follower = await create({ identity: 'pod-b' });
      follower.start();
      const abort = new AbortController();
      const waiting = follower.waitForLeadership({ signal: abort.signal });
      const reason = new Error('enough');
      abort.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(follower.waitForLeadership({ signal: abort.signal })).rejects.toBe(reason);
    });
  });

  describe('when a listener throws', () => {
    it('steps down if it is one of granted, as nothing else would do its work, and competes again later', async () => {
      const election = await create();
      const revoked: RevocationReason[] = [];
      const errors: unknown[] = [];
      let calls = 0;
      election.on('granted', function startWorker() {
        calls += 1;
        if (calls === 1) return Promise.reject(new Error('no database'));
      });
      election.on('revoked', (_, reason) => revoked.push(reason));
      election.on('error', (error) => errors.push(error));
      election.start();
      await clock.settle();
      expect(revoked).toEqual(['handler-failed']);
      expect(errors).toEqual([expect.any(LeadershipHandlerError)]);
      expect((errors[0] as Error).message).toBe(
        `on('granted') startWorker of role "billing" failed: no database`,
      );
      await clock.advance(3 * RETRY_MS);
      expect({ calls, isLeader: election.isLeader() }).toEqual({ calls: 2, isLeader: true });
      expect(lines.join('\n')).toContain("handler-failed): a listener of 'granted' failed");
    });

    it.each(['revoked', 'leader'] as const)('only reports it if it is one of %s', async (event) => {
      const election = await create();
      const errors: unknown[] = [];
      election.on(event, () => {
        throw new Error('broken');
      });
      election.on('error', (error) => errors.push(error));
      election.start();
      await clock.settle();
      election.stepDown();
      await clock.advance(3 * RETRY_MS);
      expect(election.isLeader()).toBe(true);
      expect(new Set(errors.map((error) => (error as LeadershipHandlerError).message))).toEqual(
        new Set([`on('${event}') a function without a name of role "billing" failed: broken`]),
      );
    });

    it.each([
      [
        'throws',
        () => {
          throw new Error('broken');
        },
      ],
      ['rejects', () => Promise.reject(new Error('broken'))],
    ])(
      'logs it if it is one of error that %s, and does not call it for that',
      async (_, listener) => {
        let isDown = true;
        const real = memoryLock(store);
        const lock: typeof real = async (requester) => {
          const inner = await real(requester);
          const error = new LockRequestError('connection refused', { reason: 'unreachable' });
          return Object.assign(Object.create(inner) as typeof inner, {
            read: (options: never) =>
              isDown ? Promise.resolve({ kind: 'failed', error }) : inner.read(options),
          });
        };
        const election = await create({ lock });
        const heard: string[] = [];
        election.on('error', (error) => {
          heard.push(error.message);
          return listener();
        });
        election.start();
        await clock.settle();
        isDown = false;
        await clock.advance(5 * RETRY_MS);
        expect(new Set(heard)).toEqual(new Set(['connection refused']));
        expect(lines.filter((line) => line.includes("on('error')"))).toHaveLength(1);
        expect(election.isLeader()).toBe(true);
      },
    );
  });

  describe('when a listener is taken away', () => {
    it('is not called, and the others are', async () => {
      const election = await create();
      const called: string[] = [];
      const one = (): void => void called.push('one');
      election.on('granted', one).on('granted', () => void called.push('two'));
      election.on('granted', one).off('granted', one);
      election.start();
      await clock.settle();
      expect(called).toEqual(['one', 'two']);
      election.off('granted', one);
      election.stepDown();
      await clock.advance(3 * RETRY_MS);
      expect(called).toEqual(['one', 'two', 'two']);
    });
  });

  describe('when work of the leader is called', () => {
    it('returns what it returned, and is in its term', async () => {
      const election = await leading();
      expect(election.runIfLeader((term) => [term, currentTerm()])).toEqual([
        election.term,
        election.term,
      ]);
      await expect(election.runIfLeader(async () => 'done')).resolves.toBe('done');
      expect(() =>
        election.runIfLeader(() => {
          throw new Error('failed');
        }),
      ).toThrow('failed');
    });

    it('ends an async generator with the term, before the lease is released', async () => {
      const election = await leading();
      const ends: unknown[] = [];
      async function* rows() {
        try {
          for (;;) {
            await setImmediate();
            yield holder();
          }
        } finally {
          ends.push(holder());
        }
      }
      const stream = election.runIfLeader(rows)!;
      expect(await stream.next()).toEqual({ done: false, value: 'pod-a' });
      const stopped = election.stop();
      await clock.settle();
      await stopped;
      expect({ ends, next: await stream.next() }).toEqual({
        ends: ['pod-a'],
        next: { done: true, value: undefined },
      });
    });

    it('publishes that it was skipped, with whom leads', async () => {
      await leading();
      const follower = await create({ identity: 'pod-b' });
      follower.start();
      await clock.settle();
      const heard: unknown[] = [];
      const listen = (message: unknown): void => void heard.push(message);
      subscribe('nestjs-leader-election:skipped', listen);
      follower.runIfLeader(() => {});
      unsubscribe('nestjs-leader-election:skipped', listen);
      expect(heard).toEqual([
        expect.objectContaining({ role: ROLE, method: 'runIfLeader()', leader: 'pod-a' }),
      ]);
    });
  });

  describe('when it is told to give leadership up', () => {
    it('has ended it when stepDown() returns, and leads again after the cooldown', async () => {
      const election = await leading();
      expect(election.stepDown({ cooldownMs: 10_000 })).toBe(true);
      expect({ isLeader: election.isLeader(), second: election.stepDown() }).toEqual({
        isLeader: false,
        second: false,
      });
      await clock.advance(9_000);
      expect(election.isLeader()).toBe(false);
      await clock.advance(3_000);
      expect(election.isLeader()).toBe(true);
    });

    it('competes again only after resume() if it was suspended', async () => {
      const election = await leading();
      election.suspend();
      await clock.advance(60_000);
      expect(election.isLeader()).toBe(false);
      election.resume();
      await clock.advance(RETRY_MS);
      expect(election.isLeader()).toBe(true);
    });
  });

  describe('when it is not fit to lead', () => {
    it('leaves the lease to others once that has lasted for the grace, and says so once', async () => {
      const leader = await leading();
      const unfit = await create({ identity: 'pod-b' });
      unfit.start();
      unfit.setEligible(false, 'no database');
      await clock.advance(6_000);
      expect(unfit.isEligible).toBe(false);
      expect(lines.filter((line) => line.includes('ineligible'))).toEqual([
        expect.stringMatching(/is ineligible to lead and leaves the lease .*: no database$/),
      ]);
      expect(leader.isLeader()).toBe(true);
    });
  });

  describe('when someone gives the lease to another process', () => {
    it('is not leader, and says why', async () => {
      const election = await create();
      const ended: [Term, RevocationReason][] = [];
      election.on('revoked', (...revocation) => ended.push(revocation));
      election.start();
      await clock.settle();
      editLease(store, KEY, { holderIdentity: 'pod-b' });
      await clock.settle();
      expect(ended).toEqual([[expect.objectContaining({ number: 1 }), 'superseded']]);
      expect(election.isLeader()).toBe(false);
    });
  });

  describe('when work outlives its term', () => {
    it('gives the logger one entry, which reads as a text and has its fields', async () => {
      const given: unknown[][] = [];
      const error = (...args: unknown[]): void => void given.push(args);
      const election = await leading({ logger: { ...logger, error } });
      void election.runIfLeader(() => new Promise(() => {}));
      const stopped = election.stop();
      await clock.advance(DRAIN_MS + LEASE_MS);
      await stopped;
      expect(given).toHaveLength(1);
      const [entry, ...rest] = given[0]!;
      expect(String(entry)).toMatch(/ is still running .* \[billing\]$/);
      expect(entry).toMatchObject({ event: 'work.failed', role: ROLE, identity: 'pod-a' });
      expect(rest).toEqual([]);
    });
  });

  describe('when no logger is given', () => {
    const written: string[] = [];
    const { log, warn, error } = console;
    beforeEach(() => {
      written.length = 0;
      console.log = (text: string) => void written.push(`log ${text}`);
      console.warn = (text: string) => void written.push(`warn ${text}`);
      console.error = (text: string) => void written.push(`error ${text}`);
    });
    afterEach(() => Object.assign(console, { log, warn, error }));

    it('writes warnings and errors to the console, with the stack of a listener, and nothing else', async () => {
      const election = await create({ logger: undefined });
      election.on('granted', function broken() {
        throw new Error('no database');
      });
      election.start();
      await clock.settle();
      const levels = written.map((line) => line.split(' ')[0]);
      expect(new Set(levels)).toEqual(new Set(['warn', 'error']));
      expect(written.find((line) => line.startsWith('error'))).toMatch(/broken.*\n[^]*at broken/);
    });
  });
});
