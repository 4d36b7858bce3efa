import { Controller, Get, Injectable, Module, type Type } from '@nestjs/common';
import {
  DrainTimeoutError,
  type LeaderElectionModuleOptions,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnRevoked,
  type ResourceLock,
  type ResourceLockFactory,
  type Term,
} from '../../lib/index.js';
import { Elections } from './support/elections.js';

/** The memory lock, telling what is written through it and when it is closed. */
function recording(factory: ResourceLockFactory, events: string[]): ResourceLockFactory {
  return (requester) => {
    const lock = factory(requester) as ResourceLock;
    return {
      read: (options) => lock.read(options),
      create: (record, options) => lock.create(record, options),
      replace: (record, expected, options) => {
        events.push(record.holderIdentity === '' ? 'release' : 'renew');
        return lock.replace(record, expected, options);
      },
      watch: (observer) => {
        const watch = lock.watch!(observer, { silenceLimitMs: 1 });
        return {
          close: () => {
            events.push('unwatch');
            watch.close();
          },
        };
      },
      describe: () => lock.describe(),
      close: async () => void events.push('lock closed'),
    };
  };
}

describe('the end of an application', () => {
  let elections: Elections;
  let events: string[];
  beforeEach(() => {
    elections = new Elections();
    events = [];
  });
  afterEach(() => elections.end());

  const recorded = (options: Partial<LeaderElectionModuleOptions> = {}) =>
    elections.module({ lock: recording(memoryLock(elections.store), events), ...options });

  @Controller()
  class Page {
    @Get()
    page(): string {
      return 'page';
    }
  }

  /** Nest runs the shutdown hooks of a module later the farther it is from the root. */
  function deep(levels: number): Type {
    @Module({ imports: levels > 0 ? [deep(levels - 1)] : [] })
    class Deep {
      onApplicationShutdown(): void {
        if (levels === 0) events.push('deep shutdown');
      }
    }
    return Deep;
  }

  function worker(revokedTakes: Promise<void> = Promise.resolve()) {
    @Injectable()
    class Worker {
      constructor(private readonly leadership: LeadershipService) {}
      @OnGranted()
      granted({ signal }: Term): Promise<void> {
        return new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            events.push(`aborted, leads: ${this.leadership.isLeader()}`);
            resolve();
          }),
        );
      }
      @OnRevoked()
      async revoked(): Promise<void> {
        events.push('revoked begins');
        await revokedTakes;
        events.push('revoked ends');
      }
      onModuleDestroy = () => void events.push('destroy');
      beforeApplicationShutdown = () => void events.push('before shutdown');
      onApplicationShutdown = () => void events.push('shutdown');
    }
    return Worker;
  }

  describe('when the application closes', () => {
    it.each([true, false])(
      'ends leadership, drains while renewing, lets the application end, then releases (isGlobal: %p)',
      async (isGlobal) => {
        let finish!: () => void;
        const Worker = worker(new Promise((resolve) => (finish = resolve)));
        const election = recorded({ isGlobal });
        @Module({ imports: [election], providers: [Worker], controllers: [Page] })
        class Feature {}
        const app = await elections.start({ imports: [Feature, election, deep(5)] });
        await elections.clock.settle();
        await app.listen(0, '127.0.0.1');
        const url = await app.getUrl();
        app.getHttpServer().on('close', () => events.push('http closed'));
        const closed = app.close();
        await elections.clock.advance(5_000);
        expect((await fetch(url)).status).toBe(200);
        finish();
        await closed;
        expect(events.filter((event, index) => event !== events[index - 1])).toEqual([
          'aborted, leads: false',
          'revoked begins',
          'renew',
          'revoked ends',
          'destroy',
          'before shutdown',
          'http closed',
          'shutdown',
          'deep shutdown',
          'release',
          'unwatch',
          'lock closed',
        ]);
        expect(elections.holder()).toBe('');
        expect(elections.clock.pendingTimers).toBe(0);
      },
    );

    it.each(['a gated method', 'runIfLeader', 'guard'])(
      'waits for gated work in flight: %s',
      async (kind) => {
        let finish!: () => void;
        const work = () =>
          new Promise<void>((resolve) => (finish = resolve)).then(() => void events.push('worked'));
        class Jobs {
          @LeaderOnly()
          run(): Promise<void> {
            return work();
          }
        }
        const app = await elections.start({ imports: [recorded()], providers: [Jobs] });
        await elections.clock.settle();
        const leadership = app.leadership();
        if (kind === 'runIfLeader') void leadership.runIfLeader(work);
        else if (kind === 'guard') void leadership.guard(work)();
        else void app.get(Jobs).run();
        const closed = app.close();
        await elections.clock.advance(5_000);
        expect(events).not.toContain('release');
        finish();
        await closed;
        expect(events.filter((event) => event !== 'renew')).toEqual([
          'worked',
          'release',
          'unwatch',
          'lock closed',
        ]);
      },
    );
  });

  describe('when the application closes a pool in onModuleDestroy, as the recipes for Prisma do', () => {
    /** Pool and jobs in one module each, wherever the pool is. */
    function application(place: 'root' | 'feature' | 'global', closes: () => Promise<void>) {
      const uses: string[] = [];
      @Injectable()
      class Pool {
        isOpen = true;
        use(what: string): void {
          uses.push(`${what} on ${this.isOpen ? 'an open' : 'a closed'} pool`);
        }
        async onModuleDestroy(): Promise<void> {
          this.isOpen = false;
          uses.push('pool closes');
          await closes();
          uses.push('pool closed');
        }
      }
      @Injectable()
      class Jobs {
        constructor(private readonly pool: Pool) {}
        @LeaderOnly()
        async run(ended: Promise<void>): Promise<void> {
          this.pool.use('a job begins');
          await ended;
          this.pool.use('a job ends');
        }
        @OnRevoked()
        async revoked(): Promise<void> {
          await elections.clock.settle();
          this.pool.use('a handler');
        }
      }
      @Module({ providers: [Pool], exports: [Pool] })
      class PoolModule {}
      const pool = { module: PoolModule, global: place === 'global' };
      const isRoot = place === 'root';
      @Module({ imports: isRoot ? [] : [pool], providers: isRoot ? [] : [Jobs] })
      class Feature {}
      return {
        uses,
        Jobs,
        metadata: {
          imports: [recorded({ identity: 'pod-a' }), Feature],
          providers: isRoot ? [Pool, Jobs] : [],
        },
      };
    }

    it.each(['root', 'feature', 'global'] as const)(
      'has ended handlers and work before, and starts none after: pool in a %s module',
      async (place) => {
        const closing = Promise.resolve();
        const { uses, Jobs, metadata } = application(place, () => closing);
        const app = await elections.start(metadata);
        await elections.clock.settle();
        let endJob!: () => void;
        const running = app.get(Jobs, { strict: false });
        void running.run(new Promise((resolve) => (endJob = resolve)));
        const closed = app.close();
        await elections.clock.settle();
        void running.run(closing);
        await elections.clock.advance(4_000);
        void running.run(closing);
        expect(uses).toEqual(['a job begins on an open pool', 'a handler on an open pool']);
        endJob();
        await closed;
        expect(uses.slice(2)).toEqual(['a job ends on an open pool', 'pool closes', 'pool closed']);
      },
    );

    it('keeps the lease while a hook takes 4 s, and releases it after the last', async () => {
      const { uses, metadata } = application('root', async () => {
        await new Promise<void>((resolve) => elections.clock.setTimer(resolve, 4_000));
      });
      const app = await elections.start(metadata);
      await elections.clock.settle();
      events.length = 0;
      const closed = app.close();
      for (let turn = 0; turn < 3; turn += 1) await elections.clock.settle();
      await elections.clock.advance(3_900);
      expect(uses).toEqual(['a handler on an open pool', 'pool closes']);
      expect(new Set(events)).toEqual(new Set(['renew']));
      expect(elections.holder()).toBe('pod-a');
      await elections.clock.advance(200);
      await closed;
      expect(events.filter((event) => event !== 'renew')).toEqual([
        'release',
        'unwatch',
        'lock closed',
      ]);
    });
  });

  describe('when work does not end within drainTimeoutMs', () => {
    it('closes all the same and lets the lease lapse', async () => {
      const app = await elections.start({
        imports: [recorded({ identity: 'pod-a', drainTimeoutMs: 5_000 })],
        providers: [worker(new Promise(() => undefined))],
      });
      await elections.clock.settle();
      const errors: unknown[] = [];
      app.leadership().errors$.subscribe((error) => errors.push(error));
      let closed = false;
      void app.close().then(() => (closed = true));
      await elections.clock.advance(4_900);
      expect(closed).toBe(false);
      await elections.clock.advance(200);
      await elections.clock.settle();
      expect(closed).toBe(true);
      expect(events).not.toContain('release');
      expect(elections.holder()).toBe('pod-a');
      expect(errors).toEqual([expect.any(DrainTimeoutError)]);
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });

  describe('when the lock takes its time to close', () => {
    it('has not closed before it', async () => {
      let close!: () => void;
      const closing = new Promise<void>((resolve) => (close = resolve));
      const factory = memoryLock(elections.store);
      const app = await elections.start({
        imports: [
          elections.module({
            lock: (requester) =>
              Object.assign(factory(requester) as ResourceLock, { close: () => closing }),
          }),
        ],
      });
      await elections.clock.settle();
      let closed = false;
      const closed$ = app.close().then(() => (closed = true));
      for (let turns = 0; turns < 5; turns += 1) await elections.clock.settle();
      expect(elections.holder()).toBe('');
      expect(closed).toBe(false);
      close();
      await closed$;
    });
  });

  describe('when the lock hangs', () => {
    it('closes within the bounds of its requests', async () => {
      const hung: Promise<never> = new Promise(() => undefined);
      let isHung = false;
      const lock = memoryLock(elections.store);
      const app = await elections.start({
        imports: [
          elections.module({
            lock: (requester) => {
              const inner = lock(requester) as ResourceLock;
              return {
                read: (options) => (isHung ? hung : inner.read(options)),
                create: (record, options) => inner.create(record, options),
                replace: (...args) => (isHung ? hung : inner.replace(...args)),
                describe: () => 'a lock that hangs',
                close: () => hung,
              };
            },
          }),
        ],
      });
      await elections.clock.settle();
      expect(app.leadership().isLeader()).toBe(true);
      isHung = true;
      let closed = false;
      void app.close().then(() => (closed = true));
      await elections.clock.advance(3 * 3_000 + 200);
      expect(closed).toBe(true);
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });

  describe('when the election was never started', () => {
    it('closes at once, initialised or not, and twice', async () => {
      const idle = await elections.start({ imports: [recorded({ autoStart: false })] });
      const raw = await elections.create({ imports: [recorded()] });
      await idle.close();
      await idle.close();
      await raw.close();
      expect(events).toEqual(['lock closed', 'lock closed']);
      idle.leadership().start();
      await elections.clock.advance(5_000);
      expect(elections.holder()).toBeUndefined();
    });
  });

  describe('when it leads or follows', () => {
    it('installs no signal handlers and leaves no timer behind', async () => {
      const signals = ['SIGTERM', 'SIGINT', 'beforeExit', 'exit'] as const;
      const listeners = () => signals.map((signal) => process.listenerCount(signal));
      const before = listeners();
      const app = await elections.leading();
      const follower = await elections.leading();
      expect(listeners()).toEqual(before);
      expect(elections.clock.pendingTimers).toBeGreaterThan(0);
      await follower.close();
      await app.close();
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });
});
