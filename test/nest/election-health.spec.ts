import {
  type LeaseWatchObserver,
  LockRequestError,
  memoryLock,
  type ResourceLock,
} from '../../lib/index.js';
import { LeaderElectionOptionsError } from '../../lib/index.js';
import { Elections, ROLE } from './support/elections.js';

const LEASE_MS = 15_000;
const RETRY_MS = 2_000;

describe('the health of an election', () => {
  let elections: Elections;
  let isStoreGone: boolean;
  let watching: LeaseWatchObserver;
  beforeEach(() => {
    elections = new Elections();
    isStoreGone = false;
  });
  afterEach(() => elections.end());

  /** A lock whose store can be taken away. */
  const lock = (requester: Parameters<ReturnType<typeof memoryLock>>[0]): ResourceLock => {
    const real = memoryLock(elections.store)(requester) as ResourceLock;
    const error = new LockRequestError('connection refused', { reason: 'unreachable' });
    const orGone =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A) =>
        isStoreGone ? ({ kind: 'failed', error } as never) : call(...args);
    return {
      describe: () => real.describe(),
      read: orGone((options) => real.read(options)),
      create: orGone((record, options) => real.create(record, options)),
      replace: orGone((record, expected, options) => real.replace(record, expected, options)),
      watch: (observer, options) => {
        watching = observer;
        return real.watch!(observer, options);
      },
    };
  };

  const cutWatch = () =>
    watching.interrupted(new LockRequestError('watch cut', { reason: 'unreachable' }));

  const start = async () => {
    const app = await elections.start({ imports: [elections.module({ identity: 'pod-a', lock })] });
    await elections.clock.settle();
    return app.leadership();
  };

  describe('when this process leads and renews', () => {
    it('is up, and says what it leads and until when that is certain', async () => {
      const leadership = await start();
      await elections.clock.advance(RETRY_MS);
      expect(leadership.health()).toEqual({
        status: 'up',
        role: ROLE,
        lock: `in-memory lease default/${ROLE}`,
        identity: 'pod-a',
        leader: 'pod-a',
        isLeader: true,
        term: 1,
        remainingMs: leadership.remainingMs(),
        lastRenewal: elections.clock.date(),
        isEligible: true,
      });
    });
  });

  describe('when this process follows', () => {
    it('is up', async () => {
      await elections.leadingRival('pod-b');
      const leadership = await start();
      const health = leadership.health();
      expect(health).toMatchObject({ status: 'up', isLeader: false, leader: 'pod-b' });
      expect(health).not.toHaveProperty('term');
      expect(health).not.toHaveProperty('leaderlessMs');
    });
  });

  describe('when renewals fail and the term is still valid', () => {
    it('is degraded, and says what fails', async () => {
      const leadership = await start();
      isStoreGone = true;
      await elections.clock.advance(RETRY_MS + 500);
      const health = leadership.health();
      expect(health).toMatchObject({ status: 'degraded', isLeader: true });
      expect(health.reason).toMatch(
        /^renewals fail \(\d+\); .* LockRequestError: connection refused$/,
      );
    });

    it('is up again after the next renewal', async () => {
      const leadership = await start();
      isStoreGone = true;
      await elections.clock.advance(RETRY_MS + 500);
      isStoreGone = false;
      await elections.clock.advance(RETRY_MS);
      expect(leadership.health()).toMatchObject({ status: 'up', isLeader: true });
      expect(leadership.health()).not.toHaveProperty('failures');
    });
  });

  describe('when only the watch fails', () => {
    const late = 'changes of the lease are heard late: LockRequestError: watch cut';

    it('is up on a leader, whose renewals succeed, and says that changes are heard late', async () => {
      const leadership = await start();
      cutWatch();
      cutWatch();
      await elections.clock.settle();
      const health = leadership.health();
      expect(health).toMatchObject({
        status: 'up',
        isLeader: true,
        watchFailures: { message: late, count: 2, at: elections.clock.date() },
      });
      expect(health).not.toHaveProperty('reason');
      expect(health).not.toHaveProperty('failures');
      await elections.clock.advance(3 * RETRY_MS);
      expect(leadership.health()).toMatchObject({ status: 'up', watchFailures: { count: 2 } });
    });

    it('is up on a follower, which reads the lease instead', async () => {
      await elections.leadingRival('pod-b');
      const leadership = await start();
      cutWatch();
      await elections.clock.advance(2 * LEASE_MS);
      expect(leadership.health()).toMatchObject({
        status: 'up',
        leader: 'pod-b',
        watchFailures: { message: late, count: 1 },
      });
    });

    it('no longer says so once the watch is open again', async () => {
      const leadership = await start();
      cutWatch();
      watching.opened();
      await elections.clock.settle();
      expect(leadership.health()).not.toHaveProperty('watchFailures');
    });
  });

  describe('when renewals and the watch fail', () => {
    it('counts the renewals, and names what failed of them', async () => {
      const leadership = await start();
      isStoreGone = true;
      await elections.clock.advance(RETRY_MS);
      const { failures } = leadership.status();
      cutWatch();
      await elections.clock.settle();
      const health = leadership.health();
      expect(health).toMatchObject({ status: 'degraded', failures, watchFailures: { count: 1 } });
      expect(health.reason).toMatch(
        /^renewals fail \(2\); .* LockRequestError: connection refused$/,
      );
    });
  });

  describe('when no leader is known', () => {
    it('is up for as long as a lease lasts, and then degraded', async () => {
      const leadership = await start();
      isStoreGone = true;
      await elections.clock.advance(10_000);
      expect(leadership.health()).toMatchObject({ status: 'up', isLeader: false });
      await elections.clock.advance(LEASE_MS + RETRY_MS);
      const health = leadership.health();
      expect(health.status).toBe('degraded');
      expect(health.reason).toMatch(/^no leader is known for 1\d\.\d s: LockRequestError: /);
    });
  });

  describe('when the event loop was blocked beyond the lease', () => {
    it.each([
      ['is not down before a tolerance has passed', 0, 'up'],
      ['is down once it has passed', 1, 'down'],
    ])('%s', async (_case, beyondMs, status) => {
      const leadership = await start();
      elections.clock.stall(LEASE_MS + RETRY_MS + beyondMs);
      expect(leadership.health()).toMatchObject({ status, isLeader: false });
    });

    it('takes the tolerance that it is given', async () => {
      const leadership = await start();
      elections.clock.stall(LEASE_MS + 1);
      expect(leadership.health({ toleranceMs: 0 }).status).toBe('down');
      expect(leadership.health({ toleranceMs: 1 }).status).toBe('up');
    });

    it('is no longer down once the end of the term has been announced', async () => {
      const leadership = await start();
      elections.clock.stall(LEASE_MS + RETRY_MS + 1);
      expect(leadership.health().status).toBe('down');
      await elections.clock.advance(0);
      expect(leadership.health().status).toBe('up');
    });
  });

  it.each([-1, Number.NaN, '2s'])('refuses a tolerance of %p', async (toleranceMs) => {
    const leadership = await start();
    const ask = () => leadership.health({ toleranceMs: toleranceMs as number });
    expect(ask).toThrow(LeaderElectionOptionsError);
    expect(ask).toThrow(/health\.toleranceMs = .*must be a number of milliseconds/);
  });
});
