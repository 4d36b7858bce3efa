import { Injectable, Module, Scope, type MiddlewareConsumer, type Provider } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef, NestFactory } from '@nestjs/core';
import { LeaderElectionOptionsError, LeaderOnly, OnGranted } from '../../lib/index.js';
import { LeaderCron, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections } from './support/elections.js';

let elections: Elections;
beforeEach(() => (elections = new Elections()));
afterEach(() => elections.end());

class Gated {
  @LeaderOnly()
  work(): string {
    return 'ran';
  }
}

class OtherRole {
  @LeaderOnly('unknown')
  work(): void {}
}

class Handler {
  granted = 0;

  @OnGranted()
  grant(): void {
    this.granted += 1;
  }
}

class Job {
  @LeaderCron('* * * * *')
  run(): void {}
}

describe('when a factory of another scope makes instances', () => {
  it.each([
    ['for each request', Scope.REQUEST],
    ['for each place of injection', Scope.TRANSIENT],
  ])('gates them, though Nest does not inject into them: %s', async (_what, scope) => {
    const make = { provide: Gated, scope, useFactory: () => Promise.resolve(new Gated()) };
    const app = await elections.leading([make]);
    const gated = await app.resolve(Gated);
    expect(gated.work()).toBe('ran');
    app.leadership().stepDown();
    expect(gated.work()).toBeUndefined();
  });

  it('gates one that was made before the application had started', async () => {
    @Injectable()
    class Owner {
      constructor(readonly gated: Gated) {}
    }
    const make = { provide: Gated, scope: Scope.TRANSIENT, useFactory: () => new Gated() };
    const app = await elections.leading([make, Owner]);
    expect(app.get(Owner).gated.work()).toBe('ran');
  });

  it.each([
    ['handlers', () => new Handler(), /handlers of Handler: are found when the application starts/],
    ['jobs', () => new Job(), /handlers of Job: are found when the application starts/],
    ['gates of an unknown role', () => new OtherRole(), /made\.work = "unknown": must name a role/],
  ])('refuses to make those that have %s', async (_what, useFactory, text) => {
    const app = await elections.start({
      imports: [elections.module(), LeaderScheduleModule],
      providers: [{ provide: 'made', scope: Scope.REQUEST, useFactory }],
    });
    const making = app.resolve('made');
    await expect(making).rejects.toThrow(LeaderElectionOptionsError);
    await expect(making).rejects.toThrow(text);
  });
});

describe('when a class with handlers is no provider', () => {
  it.each([
    ['handlers', Handler],
    ['jobs', Job],
  ])('does not start where middleware has %s', async (_what, handling) => {
    @Injectable()
    class Middleware extends handling {
      use(_request: unknown, _response: unknown, next: () => void): void {
        next();
      }
    }
    @Module({ imports: [elections.module(), LeaderScheduleModule] })
    class RootModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Middleware).forRoutes('*path');
      }
    }
    const starting = elections.start({ imports: [RootModule] });
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(/handlers of Middleware: .* neither \(middleware/);
  });

  it('does not start where ModuleRef has made it before', async () => {
    @Injectable()
    class Maker {
      constructor(private readonly modules: ModuleRef) {}

      async onModuleInit(): Promise<void> {
        await this.modules.create(Handler);
      }
    }
    const starting = elections.leading([Maker]);
    await expect(starting).rejects.toThrow(/handlers of Handler: /);
  });

  it('starts where it is middleware and a provider', async () => {
    @Injectable()
    class Middleware extends Handler {
      use(): void {}
    }
    @Module({ imports: [elections.module()], providers: [Middleware] })
    class RootModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Middleware).forRoutes('*path');
      }
    }
    const app = await elections.start({ imports: [RootModule] });
    await elections.clock.settle();
    expect(app.get(Middleware).granted).toBe(1);
  });
});

describe('when a provider is a proxy that answers little', () => {
  const trap = (): never => {
    throw new Error('not for you');
  };
  const ofNest = ['then', 'constructor', 'use', 'configure'];
  const isOfNest = (key: string | symbol) =>
    typeof key === 'string' && (ofNest.includes(key) || /^(on|before)[A-Z]/.test(key));

  it('is left alone if it has nothing of ours', async () => {
    const useFactory = () => new Proxy({}, { getPrototypeOf: trap, ownKeys: trap });
    const app = await elections.leading([{ provide: 'proxy', useFactory }]);
    expect(app.leadership().isLeader()).toBe(true);
  });

  it.each<[string, ProxyHandler<Gated & Handler>]>([
    [
      'properties that it does not know',
      {
        get: (target, key, receiver) =>
          key in target || isOfNest(key) ? (Reflect.get(target, key, receiver) as unknown) : trap(),
      },
    ],
    [
      'symbols',
      {
        get: (target, key, receiver) =>
          typeof key === 'symbol' ? trap() : (Reflect.get(target, key, receiver) as unknown),
      },
    ],
    [
      'new properties',
      {
        defineProperty: (target, key, descriptor) =>
          key in target && typeof key === 'string'
            ? Reflect.defineProperty(target, key, descriptor)
            : trap(),
      },
    ],
  ])('is gated, and its handlers called, though it refuses %s', async (_what, traps) => {
    @Injectable()
    class Both extends Handler {
      @LeaderOnly()
      work(): string {
        return 'ran';
      }
    }
    const target = new Both();
    const proxy = new Proxy(target, traps as ProxyHandler<Both>);
    const provider: Provider = { provide: Both, useValue: proxy };
    const app = await elections.leading([provider]);
    expect([app.get(Both).work(), target.granted]).toEqual(['ran', 1]);
    app.leadership().stepDown();
    expect(app.get(Both).work()).toBeUndefined();
  });
});

describe('when a lazily loaded module makes a gated instance by a factory', () => {
  it('does not run its methods, and says to give the class', async () => {
    @Module({ providers: [{ provide: Gated, useFactory: () => new Gated() }] })
    class LazyModule {}
    const app = await elections.leading();
    const loaded = await app.get(LazyModuleLoader).load(() => LazyModule);
    expect(() => loaded.get(Gated).work()).toThrow(/lazily loaded module the class/);
  });
});

describe('when the application is only looked at', () => {
  it.each([
    ['its preview', { preview: true }, 0],
    ['a snapshot of its graph', { snapshot: true }, 1],
  ])('starts for %s', async (...given) => {
    const [, mode, made] = given;
    const seen: Handler[] = [];
    @Injectable()
    class Seen extends Handler {
      constructor() {
        super();
        seen.push(this);
      }
    }
    @Module({ imports: [elections.module()], providers: [Seen] })
    class RootModule {}
    const app = await NestFactory.create(RootModule, {
      logger: false,
      abortOnError: false,
      ...mode,
    });
    await app.init();
    await app.close();
    expect(seen).toHaveLength(made);
  });
});
