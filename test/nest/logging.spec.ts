import { jest } from '@jest/globals';
import type { LoggerService } from '@nestjs/common';
import { LockRequestError, memoryLock, OnGranted, type ResourceLock } from '../../lib/index.js';
import { EMPTY_RECORD } from '../locks/lease-records.js';
import { Elections, ROLE } from './support/elections.js';

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
      if (rest.at(-1) === 'LeaderElection') lines.push([level, String(text)]);
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

  describe('when leadership comes and goes', () => {
    it('has one line per transition, with role, lease, identity and term', async () => {
      const app = await logged({ imports: [elections.module({ identity: 'pod-a' })] });
      await elections.clock.advance(10_000);
      await elections.supersede('pod-b');
      await elections.supersede('');
      await elections.clock.advance(100);
      await app.close();
      app.leadership().start();
      const told = texts('log', 'warn');
      const prefix = `Role "${ROLE}", in-memory lease default/${ROLE}, as pod-a: `;
      expect(told.filter((line) => !line.startsWith(prefix))).toEqual([]);
      expect(told.map((line) => line.slice(prefix.length).replace(/[;:(].*/, ''))).toEqual([
        'competes for the lease',
        'created the lease with term 1',
        'became leader ',
        'lost leadership ',
        'follows pod-b',
        'sees no leader',
        'acquired the lease with term 2 although its holder was cleared without a release',
        'became leader ',
        'lost leadership ',
        'released the lease of term 2',
      ]);
      expect(lines).toContainEqual(['warn', `${prefix}lost leadership (term 1): superseded`]);
      expect(lines).toContainEqual(['log', `${prefix}lost leadership (term 2): shutdown`]);
      expect(texts('error')).toEqual([]);
    });

    it('has no line for a renewal, at any level', async () => {
      await logged({ imports: [elections.module()] });
      lines.length = 0;
      await elections.clock.advance(60_000);
      expect(lines).toEqual([]);
    });

    it('says of a lease made by hand that nobody has held it, and not that it lost its holder', async () => {
      const memory = memoryLock(elections.store)({
        leaseName: ROLE,
        namespace: undefined,
        identity: 'kubectl',
      }) as ResourceLock;
      const { signal } = new AbortController();
      await memory.create(EMPTY_RECORD, { timeoutMs: 1_000, signal });
      await logged({ imports: [elections.module()] });
      expect(texts('warn')).toEqual([]);
      expect(texts('log')).toContainEqual(
        expect.stringMatching(/which shows no earlier holder, with term 1/),
      );
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
    it('tells each message once a minute with its count, and all of them on errors$', async () => {
      let isDown = true;
      const memory = memoryLock(elections.store);
      const error = new LockRequestError('the API server is away', { reason: 'unreachable' });
      const app = await elections.create({
        imports: [
          elections.module({
            lock: (requester) => {
              const lock = memory(requester) as ResourceLock;
              return {
                read: async (options) => (isDown ? { kind: 'failed', error } : lock.read(options)),
                create: (record, options) => lock.create(record, options),
                replace: async (...args) =>
                  isDown ? { kind: 'not-applied', error } : lock.replace(...args),
                describe: () => lock.describe(),
              };
            },
          }),
        ],
      });
      app.useLogger(logger);
      let failures = 0;
      app.leadership().errors$.subscribe(() => (failures += 1));
      await app.init();
      await elections.clock.advance(59_000);
      expect(texts('error')).toEqual([expect.stringMatching(/: the API server is away$/)]);
      expect(failures).toBeGreaterThan(20);
      await elections.clock.advance(5_000);
      expect(texts('error')).toHaveLength(2);
      const count = Number(/and (\d+) times before this/.exec(texts('error')[1]!)![1]);
      expect(count).toBeGreaterThan(20);
      isDown = false;
      await elections.clock.advance(5_000);
      expect(app.leadership().isLeader()).toBe(true);
      expect(texts('log').filter((line) => line.includes('recovered'))).toEqual([
        expect.stringMatching(
          /: recovered; this error had occurred (once|\d+) more( times)?: the API server is away$/,
        ),
      ]);
      isDown = true;
      await elections.clock.advance(3_000);
      expect(texts('error')).toHaveLength(3);
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
