import {
  Controller,
  Get,
  type INestApplicationContext,
  Injectable,
  Module,
  Scope,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  LeaderElectionModule,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnNewLeader,
  OnRevoked,
} from '../../lib/index.js';
import { Elections, ROLE } from './support/elections.js';

const events: string[] = [];
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const turns = async (count: number) => {
  for (let taken = 0; taken < count; taken += 1) await turn();
};

@Injectable()
class Worker {
  constructor(private readonly leadership: LeadershipService) {}
  onModuleInit(): void {
    events.push('Worker.onModuleInit');
  }
  @OnGranted()
  granted(): void {
    events.push(`granted ${this.leadership.isLeader()}`);
  }
  @OnRevoked()
  revoked(): void {
    events.push('revoked');
  }
  @OnNewLeader()
  newLeader(): void {
    events.push('new leader');
  }
}

/** A module whose hooks take many turns of the event loop, as one that connects somewhere. */
@Module({ providers: [Worker] })
class SlowModule {
  async onModuleInit(): Promise<void> {
    await turns(20);
    events.push('SlowModule.onModuleInit');
  }
  async onApplicationBootstrap(): Promise<void> {
    await turns(20);
    events.push('SlowModule.onApplicationBootstrap');
  }
}

@Controller()
class RootController {
  @Get()
  get(): string {
    return 'ok';
  }
}

const election = (isGlobal = true, autoStart = true) =>
  LeaderElectionModule.forRoot({ role: ROLE, lock: memoryLock(), isGlobal, autoStart });

function rootModule(isGlobal = true) {
  const shared = election(isGlobal);
  @Module({ imports: [shared], providers: [Worker] })
  class WorkerModule {}
  @Module({
    imports: [WorkerModule, isGlobal ? SlowModule : WorkerModule, shared],
    controllers: [RootController],
  })
  class RootModule {
    async onApplicationBootstrap(): Promise<void> {
      await turns(20);
      events.push('RootModule.onApplicationBootstrap');
    }
  }
  return RootModule;
}

describe('the start of an application', () => {
  const opened: INestApplicationContext[] = [];
  const keep = async <A extends INestApplicationContext>(starting: Promise<A>): Promise<A> => {
    const app = await starting;
    opened.push(app);
    return app;
  };
  beforeEach(() => (events.length = 0));
  // Real timers: an application that a failed test left open would keep the run alive.
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())));

  const quiet = { logger: false as const, abortOnError: false };
  const kinds: Record<string, (root: object) => Promise<INestApplicationContext>> = {
    'an HTTP application that never listens': async (root: object) => {
      const app = await NestFactory.create(root, quiet);
      await app.init();
      return app;
    },
    'an HTTP application that listens': async (root: object) => {
      const app = await NestFactory.create(root, quiet);
      await app.listen(0, '127.0.0.1');
      return app;
    },
    'an application context': (root: object) =>
      NestFactory.createApplicationContext(root as never, quiet),
  };

  describe.each(Object.entries(kinds))('when it is %s', (_kind, make) => {
    it.each([true, false])(
      'runs handlers after all hooks and the end of init (isGlobal: %p)',
      async (isGlobal) => {
        const app = await keep(make(rootModule(isGlobal)));
        events.push('init has ended');
        await app.get(LeadershipService).waitForLeadership();
        await turns(5);
        const ended = events.indexOf('init has ended');
        expect(events.slice(0, ended)).toContain('RootModule.onApplicationBootstrap');
        expect(events.slice(0, ended)).not.toContain('granted true');
        expect(events.slice(ended)).toContain('granted true');
        expect(events.slice(ended)).toContain('new leader');
        await app.close();
        expect(events.at(-1)).toBe('revoked');
      },
    );
  });

  describe('when leadership comes while a bootstrap hook still runs', () => {
    const early = (during: (leadership: LeadershipService) => Promise<void>) => {
      @Module({ imports: [election(true, false)], providers: [Worker] })
      class RootModule {
        constructor(private readonly leadership: LeadershipService) {}
        async onApplicationBootstrap(): Promise<void> {
          this.leadership.start();
          await this.leadership.waitForLeadership();
          events.push(`leads ${this.leadership.isLeader()}`);
          await during(this.leadership);
          events.push('bootstrapped');
        }
      }
      const starting = NestFactory.createApplicationContext(RootModule, quiet);
      return keep(
        starting.then((app) => {
          events.push('init has ended');
          return app;
        }),
      );
    };

    it('is leader, and its handlers wait for the end', async () => {
      await early(() => turns(20));
      await turns(5);
      expect(events.slice(0, 4)).toEqual([
        'Worker.onModuleInit',
        'leads true',
        'bootstrapped',
        'init has ended',
      ]);
      expect(events.slice(4).sort()).toEqual(['granted true', 'new leader']);
    });

    it('calls no handler of a term that is over by then', async () => {
      const app = await early(async (leadership) => {
        leadership.suspend();
        await turns(20);
      });
      await turns(5);
      expect(events.at(-1)).toBe('init has ended');
      expect(events).not.toContain('granted true');
      await app.close();
      expect(events).not.toContain('revoked');
    });

    it('does not hold up closing', async () => {
      const elections = new Elections();
      const app = await elections.create({
        imports: [elections.module()],
        providers: [Worker],
      });
      app.leadership().start();
      await elections.clock.settle();
      expect(app.leadership().isLeader()).toBe(true);
      await app.close();
      expect(elections.holder()).toBe('');
      expect(events).toEqual([]);
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });

  describe('when the start fails', () => {
    it.each(['onModuleInit', 'onApplicationBootstrap'] as const)(
      'has started nothing before: %s',
      async (hook) => {
        const elections = new Elections();
        class Failing {}
        Object.assign(Failing.prototype, {
          [hook]: async () => {
            await turns(5);
            throw new Error('cannot start');
          },
        });
        const app = await elections.create({
          imports: [elections.module()],
          providers: [Failing, Worker],
        });
        await expect(app.init()).rejects.toThrow('cannot start');
        await elections.clock.advance(30_000);
        expect(elections.holder()).toBeUndefined();
        expect(elections.clock.pendingTimers).toBe(0);
        expect(events.filter((event) => event.startsWith('granted'))).toEqual([]);
      },
    );
  });

  describe('when Nest cannot call the root class', () => {
    it('runs handlers all the same if it is frozen', async () => {
      @Module({ imports: [election()], providers: [Worker] })
      class Frozen {
        constructor() {
          Object.freeze(this);
        }
      }
      const app = await keep(NestFactory.createApplicationContext(Frozen, quiet));
      await app.get(LeadershipService).waitForLeadership();
      await turns(5);
      expect(events).toContain('granted true');
    });

    it('runs handlers after all hooks all the same if it is request-scoped', async () => {
      @Injectable({ scope: Scope.REQUEST })
      class PerRequest {}
      @Module({ imports: [election(), SlowModule], providers: [PerRequest] })
      class RequestScoped {
        constructor(readonly perRequest: PerRequest) {}
      }
      const starting = NestFactory.createApplicationContext(RequestScoped, quiet);
      const app = await keep(starting);
      await app.get(LeadershipService).waitForLeadership();
      await turns(5);
      const granted = events.indexOf('granted true');
      expect(granted).toBeGreaterThan(events.indexOf('SlowModule.onApplicationBootstrap'));
      expect(events).toContain('SlowModule.onApplicationBootstrap');
    });

    it('leaves the instance of the root class as it was', async () => {
      const RootModule = rootModule();
      const app = await keep(NestFactory.createApplicationContext(RootModule, quiet));
      expect(Reflect.ownKeys(app.get(RootModule))).toEqual([]);
      expect(events.filter((event) => event.startsWith('RootModule'))).toHaveLength(1);
    });
  });
});
