import { jest } from '@jest/globals';
import type { LoggerService, Provider } from '@nestjs/common';
import {
  type LeadershipService,
  type LockChoice,
  LockRequestError,
  memoryLock,
  OnGranted,
  type ResourceLock,
} from '../../lib/index.js';
import { memoryLeaseKey } from '../../lib/locks/memory/memory.lock.js';
import { editLease } from '../locks/edit-lease.js';
import { ElectionLogger } from '../../lib/election/election-logger.js';
import type { LogEntry } from '../../lib/election/log-entry.js';
import { ManualClock } from '../support/manual-clock.js';
import { EMPTY_RECORD } from '../locks/lease-records.js';
import { Elections, ROLE } from './support/elections.js';
import { withoutSubject } from './support/recorded-log.js';

type Line = [level: string, text: string];

describe('the log', () => {
  let elections: Elections;
  let lines: Line[];
  beforeEach(() => {
    elections = new Elections();
    lines = [];
  });
  afterEach(() => elections.end());

  const write =
    (level: string) =>
    (text: unknown, ...rest: unknown[]) => {
      if (rest.at(-1) === 'LeaderElection') lines.push([level, withoutSubject(String(text))]);
    };
  const logger: LoggerService = {
    log: write('log'),
    warn: write('warn'),
    error: write('error'),
    debug: write('debug'),
  };

  async function logged(metadata: Parameters<Elections['create']>[0]) {
    const app = await elections.create(metadata);
    app.useLogger(logger);
    await app.init();
    await elections.clock.settle();
    return app;
  }
  const texts = (...levels: string[]) =>
    lines.filter(([level]) => levels.includes(level)).map(([, text]) => text);

  describe('when a standby follows the same leader for an hour', () => {
    it('has two lines of its start and no other', async () => {
      await elections.start({ imports: [elections.module({ identity: 'pod-b' })] });
      await logged({ imports: [elections.module({ identity: 'pod-a' })] });
      await elections.clock.advance(3_600_000);
      expect(texts('debug', 'log', 'warn', 'error')).toEqual([
        `competes for in-memory lease default/${ROLE} as pod-a`,
        'follows pod-b',
      ]);
    });
  });

  describe('when leadership comes and goes', () => {
    it('has one line per transition', async () => {
      const app = await logged({ imports: [elections.module({ identity: 'pod-a' })] });
      await elections.clock.advance(10_000);
      await elections.supersede('pod-b');
      await elections.supersede('');
      await elections.clock.advance(100);
      await app.close();
      app.leadership().start();
      const told = texts('log', 'warn');
      expect(told.map((line) => line.replace(/[;:(].*/, ''))).toEqual([
        `competes for in-memory lease default/${ROLE} as pod-a`,
        'became leader ',
        'lost leadership ',
        'follows pod-b',
        'sees no leader',
        'acquired the lease although its holder was cleared without a release ',
        'became leader ',
        'lost leadership ',
        'released the lease ',
      ]);
      expect(lines).toContainEqual([
        'warn',
        'lost leadership (term 1, superseded): another process holds the lease, or someone has edited it',
      ]);
      expect(lines).toContainEqual([
        'log',
        'lost leadership (term 2, shutdown): the application is shutting down',
      ]);
      expect(texts('error')).toEqual([]);
    });

    it('has no line for a renewal, at any level', async () => {
      await logged({ imports: [elections.module()] });
      lines.length = 0;
      await elections.clock.advance(60_000);
      expect(lines).toEqual([]);
    });

    it('says of a lease that nobody coordinates which fields hold every handover up', async () => {
      await logged({ imports: [elections.module({ identity: 'pod-a' })] });
      editLease(elections.store, memoryLeaseKey({ leaseName: ROLE, namespace: undefined }), {
        holderIdentity: '',
        leaseTransitions: 7,
        releasedTransitions: 7,
        coordination: { strategy: 'OldestEmulationVersion', preferredHolder: 'pod-z' },
      });
      await elections.clock.advance(40_000);
      expect(texts('warn')).toContainEqual(
        expect.stringMatching(
          /acquired the lease although spec\.strategy is "OldestEmulationVersion" and spec\.preferredHolder is "pod-z" \(term 8\): .* Remove spec\.strategy and spec\.preferredHolder from the lease/,
        ),
      );
      expect(texts('warn').filter((line) => line.includes('spec.strategy'))).toHaveLength(1);
    });

    it('says of a lease made by hand that nobody has held it, and not that it lost its holder', async () => {
      const memory = memoryLock(elections.store)({
        leaseName: ROLE,
        namespace: undefined,
        identity: 'kubectl',
      }) as ResourceLock;
      const { signal } = new AbortController();
      await memory.create(EMPTY_RECORD, { timeoutMs: 1_000, signal });
      await logged({ imports: [elections.module({ lock: lasting() })] });
      expect(texts('warn')).toEqual([]);
      expect(texts('log')).toContainEqual(
        expect.stringMatching(/which shows no earlier holder \(term 1\)/),
      );
    });
  });

  /** The lock of the test as one of the user's own, whose leases outlast the process; `isDown` makes its requests fail. */
  const lasting =
    (isDown = () => false): LockChoice =>
    (requester) => {
      const lock = memoryLock(elections.store)(requester) as ResourceLock;
      const error = new LockRequestError('the API server is away', { reason: 'unreachable' });
      return {
        read: async (options) => (isDown() ? { kind: 'failed', error } : lock.read(options)),
        create: (record, options) => lock.create(record, options),
        replace: async (...args) =>
          isDown() ? { kind: 'not-applied', error } : lock.replace(...args),
        describe: () => lock.describe(),
      };
    };
  const created = () => texts('log', 'warn').filter((line) => line.includes('created the lease'));

  describe('when the lease was not there', () => {
    it('says without alarm that it was created', async () => {
      await logged({ imports: [elections.module({ lock: lasting() })] });
      expect(created()).toEqual([expect.stringMatching(/created the lease \(term 1\)$/)]);
      expect(texts('warn')).toEqual([]);
    });

    it('says nothing of it in memory, where every lease begins so', async () => {
      await logged({ imports: [elections.module()] });
      expect(created()).toEqual([]);
    });

    it('warns where another was seen to hold it before', async () => {
      await elections.leadingRival('pod-b');
      await logged({ imports: [elections.module({ lock: lasting() })] });
      elections.store.delete(memoryLeaseKey({ leaseName: ROLE, namespace: undefined }));
      await elections.clock.advance(3_000);
      expect(created()).toEqual([
        expect.stringMatching(
          /as it had been deleted \(term \d+\); the previous leader may still .* strict: true/,
        ),
      ]);
      expect(texts('warn')).toContainEqual(created()[0]);
    });
  });

  describe('when the lock cannot be closed', () => {
    it.each<[string, () => Promise<void>, RegExp]>([
      ['never settles', () => new Promise(() => {}), /the lock did not close: it took longer than/],
      ['rejects', () => Promise.reject(new Error('stuck')), /the lock did not close: stuck$/],
      [
        'throws',
        () => {
          throw new Error('stuck');
        },
        /the lock did not close: stuck$/,
      ],
    ])(
      'closes the application all the same, and says why: close() %s',
      async (_name, close, why) => {
        const factory = memoryLock(elections.store);
        const app = await logged({
          imports: [
            elections.module({
              lock: (requester) => Object.assign(factory(requester) as ResourceLock, { close }),
            }),
          ],
        });
        const closed = app.close();
        await elections.clock.advance(10_000);
        await closed;
        expect(texts('warn')).toContainEqual(expect.stringMatching(why));
      },
    );
  });

  describe('when no renewal succeeds', () => {
    const lost = () => texts('warn').filter((line) => line.includes('lost leadership'));

    it('names what failed last', async () => {
      let isDown = false;
      await logged({ imports: [elections.module({ lock: lasting(() => isDown) })] });
      isDown = true;
      await elections.clock.advance(12_000);
      expect(lost()).toEqual([
        expect.stringMatching(
          /\(term 1, renew-deadline\): no renewal succeeded for 10000 ms \(renewDeadlineMs\); the last request failed: the API server is away$/,
        ),
      ]);
    });

    it('says what may have been where no request failed', async () => {
      await logged({ imports: [elections.module()] });
      elections.clock.stall(11_000);
      await elections.clock.advance(1);
      expect(lost()).toEqual([
        expect.stringMatching(
          /renew-deadline\): .* no request failed: .*event loop was blocked.*worker thread/,
        ),
      ]);
    });

    it('does not blame a watch that is cut, which renews nothing', async () => {
      let cut = (): void => {};
      const factory = memoryLock(elections.store);
      const lock: LockChoice = (requester) => {
        const real = factory(requester) as ResourceLock;
        const watch = real.watch!.bind(real);
        return Object.assign(real, {
          watch: ((observer, options) => {
            const error = new LockRequestError('the watch is cut', { reason: 'unreachable' });
            cut = () => observer.interrupted(error);
            return watch(observer, options);
          }) satisfies ResourceLock['watch'],
        });
      };
      const app = await logged({ imports: [elections.module({ lock })] });
      expect(app.leadership().isLeader()).toBe(true);
      cut();
      await elections.clock.settle();
      expect(texts('error')).toContainEqual(expect.stringContaining('the watch is cut'));
      elections.clock.stall(11_000);
      await elections.clock.advance(1);
      expect(lost()).toEqual([expect.stringMatching(/no request failed/)]);
    });

    it('forgets what failed before the last renewal', async () => {
      let isDown = false;
      await logged({ imports: [elections.module({ lock: lasting(() => isDown) })] });
      isDown = true;
      await elections.clock.advance(4_000);
      isDown = false;
      await elections.clock.advance(4_000);
      elections.clock.stall(11_000);
      await elections.clock.advance(1);
      expect(lost()).toEqual([expect.stringMatching(/no request failed/)]);
    });
  });

  describe('when the application gives leadership up', () => {
    it.each<[string, (service: LeadershipService) => unknown, RegExp]>([
      ['stepDown()', (service) => service.stepDown(), /stepped-down\): stepDown\(\) was called$/],
      ['suspend()', (service) => service.suspend(), /suspended\): .* after resume\(\)$/],
    ])('says by %s', async (_what, giveUp, text) => {
      const app = await logged({ imports: [elections.module()] });
      giveUp(app.leadership());
      expect(texts('log').filter((line) => line.includes('lost leadership'))).toEqual([
        expect.stringMatching(text),
      ]);
      expect(texts('warn')).toEqual([]);
    });
  });

  describe('when a request on the lease has line breaks', () => {
    it('writes one line of it, and no line that the request has made up', () => {
      const clock = new ManualClock();
      const election = { role: ROLE, identity: 'pod-a', application: undefined };
      const times = { renewDeadlineMs: 10_000, ineligibleGraceMs: 5_000 };
      const said: string[] = [];
      const log = (entry: LogEntry): void => void said.push(entry.msg);
      const lines = { debug: log, log, warn: log, error: log };
      const logged = new ElectionLogger({ ...election, ...times }, 'a lease', clock, true, lines);
      const by = 'anna\nbecame leader (term 9)\u001b[2K\u2028';
      const request = { asks: 'step-down', id: 'x', by } as never;
      logged.tell({ kind: 'request-answered', request, refused: '' });
      logged.tell({ kind: 'request-answered', request, refused: `no member ${by}` });
      expect(said).toHaveLength(2);
      for (const line of said) expect(line).not.toMatch(/[\p{Cc}\p{Zl}]/u);
    });
  });

  describe('when strict mode makes a grant wait', () => {
    it('says so once', async () => {
      await logged({ imports: [elections.module({ strict: true })] });
      expect(texts('log').filter((line) => line.includes('in 15000 ms'))).toHaveLength(1);
      await elections.clock.advance(16_000);
      expect(texts('log').at(-1)).toMatch(/became leader \(term 1/);
    });
  });

  describe('when requests fail again and again', () => {
    /** An application whose lock fails while `isDown`. */
    async function unreliable(message: string, providers: Provider[] = []) {
      const memory = memoryLock(elections.store);
      const error = new LockRequestError(message, { reason: 'unreachable' });
      const store = { isDown: true };
      const app = await elections.create({
        providers,
        imports: [
          elections.module({
            lock: (requester) => {
              const lock = memory(requester) as ResourceLock;
              return {
                read: async (options) =>
                  store.isDown ? { kind: 'failed', error } : lock.read(options),
                create: (record, options) => lock.create(record, options),
                replace: async (...args) =>
                  store.isDown ? { kind: 'not-applied', error } : lock.replace(...args),
                describe: () => lock.describe(),
              };
            },
          }),
        ],
      });
      app.useLogger(logger);
      return { app, store };
    }
    const recoveries = () => texts('log').filter((line) => line.includes('answers again'));

    it('tells each message once a minute with its count, and all of them on errors$', async () => {
      const { app, store } = await unreliable('the API server is away');
      let failures = 0;
      app.leadership().errors$.subscribe(() => (failures += 1));
      await app.init();
      await elections.clock.advance(59_000);
      expect(texts('error')).toEqual(['the API server is away']);
      expect(failures).toBeGreaterThan(20);
      await elections.clock.advance(5_000);
      expect(texts('error')).toHaveLength(2);
      const count = Number(/and (\d+) times before this/.exec(texts('error')[1]!)![1]);
      expect(count).toBeGreaterThan(20);
      store.isDown = false;
      await elections.clock.advance(5_000);
      expect(app.leadership().isLeader()).toBe(true);
      expect(recoveries()).toEqual([
        expect.stringMatching(
          /had occurred (once|\d+ times) since it was logged: the API server is away$/,
        ),
      ]);
      store.isDown = true;
      await elections.clock.advance(3_000);
      expect(texts('error')).toHaveLength(3);
    });

    it('tells a follower that the lock answers again when it sees a leader', async () => {
      await elections.leadingRival('pod-b');
      const { app, store } = await unreliable('the API server is away');
      await app.init();
      await elections.clock.advance(20_000);
      store.isDown = false;
      await elections.clock.advance(5_000);
      expect(texts('log').slice(-2)).toEqual([
        expect.stringMatching(
          /^the lock answers again; this error had occurred \d+ times since it was logged/,
        ),
        'follows pod-b',
      ]);
    });

    it('repeats no remedy when the lock answers again', async () => {
      const { app, store } = await unreliable('403. Add this rule to a Role:\nrules:\n  - verbs');
      await app.init();
      await elections.clock.advance(20_000);
      store.isDown = false;
      await elections.clock.advance(5_000);
      expect(recoveries()).toEqual([expect.stringMatching(/403\. Add this rule to a Role:$/)]);
    });

    it('takes no grant for the recovery of a handler that fails in each term', async () => {
      class Broken {
        @OnGranted()
        start(): void {
          throw new Error('no database');
        }
      }
      const { app, store } = await unreliable('the API server is away', [Broken]);
      store.isDown = false;
      await app.init();
      await elections.clock.advance(50_000);
      expect(texts('log').filter((line) => line.includes('became leader')).length).toBeGreaterThan(
        2,
      );
      expect(texts('error')).toHaveLength(1);
      expect(recoveries()).toEqual([]);
    });
  });

  describe('when a handler throws', () => {
    it('names the method', async () => {
      class Broken {
        @OnGranted()
        start(): void {
          throw new Error('no database');
        }
      }
      await logged({ imports: [elections.module()], providers: [Broken] });
      expect(texts('error')).toEqual([
        expect.stringMatching(/@OnGranted\(\) Broken\.start .*no database/),
      ]);
    });
  });

  describe('when the lock is chosen automatically', () => {
    it('says which one it is', async () => {
      const app = await elections.create({
        imports: [elections.module({ lock: 'auto', autoStart: false })],
      });
      app.useLogger(logger);
      await app.init();
      expect(texts('log')).toEqual([expect.stringMatching(/memory lock under Jest/)]);
    });
  });

  describe('when the logger itself throws', () => {
    it('goes on leading', async () => {
      const app = await elections.create({ imports: [elections.module()] });
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      app.useLogger({
        ...logger,
        log: (_text: unknown, context: unknown) => {
          if (context === 'LeaderElection') throw new Error('disk full');
        },
      });
      await app.init();
      await elections.clock.settle();
      expect(app.leadership().isLeader()).toBe(true);
      expect(warned).toHaveBeenCalledWith(expect.stringContaining('disk full'), 'LeaderElection');
      await app.close();
      warned.mockRestore();
    });
  });
});
