import { ServiceUnavailableException } from '@nestjs/common';
import { type EligibilityCheck, type LeadershipService } from '../../lib/index.js';
import { drainAndRelease } from '../support/stop-election.js';
import { Elections } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

describe('eligibility', () => {
  let elections: Elections;
  let log: RecordedLog;
  beforeEach(() => {
    elections = new Elections();
    log = new RecordedLog();
  });
  afterEach(() => elections.end());

  async function started(
    options: Parameters<Elections['module']>[0] = {},
  ): Promise<LeadershipService> {
    const app = await elections.create({ imports: [elections.module(options)] });
    app.useLogger(log);
    await app.init();
    await elections.clock.settle();
    return app.leadership();
  }

  describe('when the application says that it is not fit to lead', () => {
    it('leaves a released lease to others for a lease duration, and says why it takes it then', async () => {
      const rival = await elections.leadingRival('rival');
      const leadership = await started({ identity: 'pod-a' });
      leadership.setEligible(false, 'database unreachable');
      expect(leadership.isEligible).toBe(true);
      await elections.clock.advance(5_000);
      expect(leadership.isEligible).toBe(false);
      await drainAndRelease(rival);
      await elections.clock.advance(14_900);
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(2_200);
      expect(leadership.isLeader()).toBe(true);
      expect(log.texts('log', 'warn').join('\n')).toMatch(
        /is ineligible to lead and leaves the lease to the other replicas: database unreachable[^]*acquired the lease although this replica is ineligible, as no eligible one did \(term 2\): database unreachable/,
      );
    });

    it('leads on where no member is known to be fit, and says so', async () => {
      const leadership = await started();
      leadership.setEligible(false, 'database unreachable');
      await elections.clock.advance(60_000);
      expect(leadership.isLeader()).toBe(true);
      expect(log.texts('warn').join('\n')).toMatch(
        /is ineligible to lead and still leads, as no other replica is known to be fit: database unreachable$/,
      );
      leadership.setEligible(true);
      await elections.clock.advance(5_000);
      expect(leadership.isEligible).toBe(true);
      expect(log.texts('log').at(-1)).toMatch(/is eligible to lead$/);
    });

    it('refuses what is neither true nor false', async () => {
      const leadership = await started();
      expect(() => leadership.setEligible('no' as never)).toThrow(
        expect.objectContaining({ code: 'ERR_LEADER_ELECTION_OPTIONS' }),
      );
    });

    it('logs a reason that is no string as well as it can', async () => {
      const leadership = await started();
      leadership.setEligible(false, new Error('pool is empty') as never);
      await elections.clock.advance(5_000);
      expect(log.texts('warn').at(-1)).toMatch(/: pool is empty$/);
    });
  });

  // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
  const hostile = Object.defineProperty({}, 'then', {
    get: () => {
      throw new Error('no then');
    },
  });
  // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
  const thenable = { then: (done: (answer: boolean) => void) => done(true) };

  describe('when a check of the user answers', () => {
    it.each<[string, EligibilityCheck, string | undefined]>([
      ['true', () => true, undefined],
      ['false', () => Promise.resolve(false), 'check answered false'],
      ['an indicator that is up', async () => ({ database: { status: 'up' } }), undefined],
      ['one that is degraded', async () => ({ database: { status: 'degraded' } }), undefined],
      ['one that is down', () => ({ database: { status: 'down' } }), 'database is down'],
      ['a whole health check that is well', () => ({ status: 'ok', details: {} }), undefined],
      [
        'a whole health check that is not',
        () => ({ status: 'error', details: { a: { status: 'up' }, b: { status: 'down' } } }),
        'b is down',
      ],
      ['with a thenable', () => thenable as PromiseLike<boolean>, undefined],
      ['nothing', (() => {}) as never, 'check answered neither a boolean nor'],
      ['an empty object', () => ({}), 'check answered neither a boolean nor'],
      [
        'by throwing',
        () => {
          throw new Error('refused');
        },
        'check failed: refused',
      ],
      ['by rejecting', () => Promise.reject(new Error('refused')), 'check failed: refused'],
      [
        'by rejecting with the result of a whole health check',
        () =>
          Promise.reject(
            new ServiceUnavailableException({
              status: 'error',
              details: { a: { status: 'up' }, b: { status: 'down' } },
            }),
          ),
        'b is down',
      ],
      [
        'by rejecting as an old indicator does',
        () =>
          Promise.reject(
            Object.assign(new Error('no'), { causes: { database: { status: 'down' } } }),
          ),
        'database is down',
      ],
      [
        'by rejecting with a response that is no result',
        () => Promise.reject(new ServiceUnavailableException('come back later')),
        'check failed: come back later',
      ],
      [
        'by rejecting with a response that is a promise which rejects',
        () =>
          Promise.reject(
            Object.assign(new Error('no'), {
              getResponse: () => Promise.reject(new Error('late')),
            }),
          ),
        'check failed: no',
      ],
      ['with what throws when it is looked at', () => hostile as never, 'check failed: no then'],
      ['never', () => new Promise(() => {}), 'check has not answered within 3000 ms'],
    ])('%s, it is understood', async (_what, answer, why) => {
      const check = (): ReturnType<EligibilityCheck> => answer();
      const leadership = await started({ eligibility: [check] });
      await elections.clock.advance(20_000);
      expect(leadership.isEligible).toBe(why === undefined);
      expect(log.texts('warn').join('\n')).toContain(why ?? '');
    });
  });

  describe('when a replica starts and its checks have not answered yet', () => {
    const database = (answers: ((answer: boolean) => void)[]) => () =>
      new Promise<boolean>((resolve) => answers.push(resolve));

    it('acquires nothing before it is known that it is fit, and then at once', async () => {
      const answers: ((answer: boolean) => void)[] = [];
      const leadership = await started({ eligibility: [database(answers), () => true] });
      await elections.clock.advance(2_000);
      expect(leadership.isEligible).toBe(false);
      expect(leadership.isLeader()).toBe(false);
      answers[0]!(true);
      await elections.clock.advance(20);
      expect(leadership.isLeader()).toBe(true);
    });

    it('acquires nothing if it turns out to be unfit, before the others had a lease duration for it', async () => {
      const leadership = await started({ eligibility: [async () => false] });
      await elections.clock.advance(14_900);
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(2_200);
      expect(leadership.isLeader()).toBe(true);
    });

    it('competes as soon as it becomes fit, without the grace', async () => {
      let isFit = false;
      const leadership = await started({ eligibility: [() => isFit] });
      await elections.clock.advance(7_000);
      isFit = true;
      await elections.clock.advance(2_100);
      expect(leadership.isLeader()).toBe(true);
    });
  });

  describe('when a check does not answer', () => {
    it('is not called again before it has, and then counts again', async () => {
      const pending: ((answer: boolean) => void)[] = [];
      const check = () => new Promise<boolean>((resolve) => pending.push(resolve));
      const leadership = await started({ eligibility: [check] });
      await elections.clock.advance(60_000);
      expect(pending).toHaveLength(1);
      expect(leadership.isEligible).toBe(false);
      pending[0]!(true);
      await elections.clock.advance(1_900);
      expect(pending).toHaveLength(1);
      await elections.clock.advance(200);
      expect(pending).toHaveLength(2);
      pending[1]!(true);
      await elections.clock.advance(3_000);
      expect(leadership.isEligible).toBe(true);
    });

    it('leaves no timer behind when the application closes', async () => {
      const app = await elections.start({
        imports: [elections.module({ eligibility: [() => new Promise<boolean>(() => {})] })],
      });
      await elections.clock.settle();
      await app.close();
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });

  describe('when a check is a function whose name cannot be read', () => {
    it('is named by its place in the list', async () => {
      const check = Object.defineProperty(() => false, 'name', {
        get: () => {
          throw new Error('no name');
        },
      });
      await started({ eligibility: [check] });
      expect(log.texts('log').join('\n')).toMatch(
        /is ineligible to lead and leaves the lease to the other replicas: eligibility check 1 answered false$/m,
      );
    });
  });

  describe('when several checks fail', () => {
    it('names each of them, beside what the application says', async () => {
      let isFit = true;
      const database = () => isFit;
      const queue = () => ({ queue: { status: isFit ? 'up' : 'down' } });
      const leadership = await started({ eligibility: [database, queue] });
      isFit = false;
      leadership.setEligible(false, 'maintenance');
      await elections.clock.advance(7_100);
      expect(log.texts('warn').at(-1)).toMatch(
        /: maintenance; database answered false; queue is down$/,
      );
    });
  });

  describe('when the option is no list of functions', () => {
    it.each([['database'], [[true]], [{ check: () => true }]])(
      'stops the start: %j',
      async (eligibility) => {
        const imports = [elections.module({ eligibility: eligibility as never })];
        await expect(elections.start({ imports })).rejects.toThrow(
          /eligibility: .*must be a list of functions|eligibility .*must be a list of functions/,
        );
      },
    );
  });
});
