import { types } from 'node:util';
import {
  Injectable,
  Module,
  Scope,
  type INestApplicationContext,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createObserveModule } from '@nestjs/observe';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import {
  EveryReplica,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  LeadershipUnavailableError,
  memoryLock,
  OnGranted,
} from '../../lib/index.js';
import { MemoryLeaseStore } from '../../lib/locks/memory/memory.lock.js';
import { until } from './support/until.js';

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @LeaderOnly()
  run(): string {
    this.ran.push('run');
    return this.nested();
  }

  @LeaderOnly()
  nested(): string {
    return 'ran';
  }

  @OnGranted()
  granted(): void {
    this.ran.push('granted');
  }
}

@Injectable()
class PrivateJobs extends Jobs {
  readonly #answer = 'ran';

  @LeaderOnly()
  override run(): string {
    return this.#answer;
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  @LeaderOnly()
  run(): string {
    return 'ran';
  }
}

@Injectable()
class Timers {
  readonly ran: string[] = [];

  @Interval(10)
  gated(): void {
    this.ran.push('gated');
  }

  @EveryReplica()
  @Interval(10)
  everywhere(): void {
    this.ran.push('everywhere');
  }
}

/** A mixin's subclass, as a class decorator may put it in the place of the class. */
const Mixed = (Base: Type<Jobs>) => class Mixed extends Base {};
@Injectable()
class MixedJobs extends Mixed(Jobs) {}

type InstanceDecorator = (instance: unknown) => unknown;
const isOfTest = (instance: unknown): instance is object =>
  instance instanceof Jobs ||
  instance instanceof PerRequest ||
  instance instanceof Timers ||
  instance?.constructor.name === 'ScheduleExplorer' ||
  instance instanceof LeadershipService;
const proxied =
  (handler: ProxyHandler<object>): InstanceDecorator =>
  (instance) =>
    isOfTest(instance) ? new Proxy(instance, handler) : instance;

/** Every way in which a wrapper may stand between the caller, the instance and `this`. */
const WRAPPERS: [string, InstanceDecorator][] = [
  ['@nestjs/observe', createObserveModule().ObserveInstrument!.instanceDecorator!],
  ['a transparent proxy', proxied({})],
  [
    'a proxy that calls methods on the instance',
    proxied({
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
  ],
  [
    'a proxy that calls methods on itself and hides symbols',
    proxied({
      get: (target, key, receiver) =>
        typeof key === 'symbol' && key.description?.startsWith('@LeaderOnly') === true
          ? undefined
          : (Reflect.get(target, key, receiver) as unknown),
    }),
  ],
  [
    'a proxy that sets properties on the instance',
    proxied({ set: (target, key, value) => Reflect.set(target, key, value, target) }),
  ],
  [
    'an object that inherits from the instance',
    (instance) => (isOfTest(instance) ? (Object.create(instance) as object) : instance),
  ],
];

/** Nest wraps instances only in applications of NestFactory, so that time is real here; nothing is measured. */
class Fleet {
  private readonly store = new MemoryLeaseStore();
  private readonly applications: INestApplicationContext[] = [];

  async start(
    instanceDecorator: InstanceDecorator,
    providers: Type<object>[],
    imports: ModuleMetadata['imports'] = [],
  ): Promise<INestApplicationContext> {
    const gateSchedules = providers.includes(Timers);
    const lock = memoryLock(this.store);
    const election = LeaderElectionModule.forRoot({ role: 'jobs', lock, gateSchedules });
    @Module({ imports: [election, ...imports], providers })
    class AppModule {}
    const instrument = { instanceDecorator: instanceDecorator as (value: unknown) => never };
    const options = { logger: false, instrument } as const;
    const app = await NestFactory.createApplicationContext(AppModule, options);
    this.applications.push(app);
    return app;
  }

  /** The first one leads, the second one follows it. */
  async startTwo(...[decorate, providers, imports]: Parameters<Fleet['start']>) {
    const leading = await this.start(decorate, providers, imports);
    await leading.get(LeadershipService).waitForLeadership();
    await new Promise(setImmediate);
    return [leading, await this.start(decorate, providers, imports)] as const;
  }

  async end(): Promise<void> {
    await Promise.all(this.applications.map((application) => application.close()));
  }
}

describe.each(WRAPPERS)('When instances are wrapped by %s, @LeaderOnly()', (name, decorate) => {
  let fleet: Fleet;
  beforeEach(() => (fleet = new Fleet()));
  afterEach(() => fleet.end());

  // A class with private fields does not work behind the others, with gates or without.
  const canHavePrivateFields = /observe|calls methods on the instance/.test(name);
  const singletons = canHavePrivateFields ? [Jobs, PrivateJobs, MixedJobs] : [Jobs, MixedJobs];

  it.each(singletons.map((type) => [type.name, type]))(
    'runs a method of %s on the leader alone, and the instance shows nothing of it',
    async (_type, type) => {
      const apps = await fleet.startTwo(decorate, [type]);
      const [leader, follower] = apps.map((app) => app.get<Jobs>(type));
      expect([leader!.run(), follower!.run()]).toEqual(['ran', undefined]);
      const run: unknown = Reflect.get(leader!, 'run');
      expect((run as Jobs['run']).call(leader!)).toBe('ran');
      expect(leader!.ran).toContain('granted');
      expect(Object.getOwnPropertySymbols(Object.assign({}, leader))).toEqual([]);
      const isWrapped = types.isProxy(leader) || !Object.hasOwn(leader!, 'ran');
      expect(isWrapped).toBe(true);
    },
  );

  it('gates request-scoped instances, and stays closed where nothing is known', async () => {
    const [leading, following] = await fleet.startTwo(decorate, [PerRequest, Jobs]);
    expect((await leading.resolve(PerRequest)).run()).toBe('ran');
    expect((await following.resolve(PerRequest)).run()).toBeUndefined();
    const stranger = decorate(new Jobs()) as Jobs;
    expect(() => stranger.run()).toThrow(LeadershipUnavailableError);
  });

  // Bound methods have lost their decorators, so @nestjs/schedule finds no timers.
  const hasTimers = !/calls methods on the instance/.test(name);
  it(`runs ${hasTimers ? 'gated timers on the leader alone' : 'no timers, and starts all the same'}`, async () => {
    const apps = await fleet.startTwo(decorate, [Timers], [ScheduleModule.forRoot()]);
    const [leader, follower] = apps.map((app) => app.get(Timers).ran);
    await until(() => !hasTimers || (leader!.includes('gated') && follower!.length > 5));
    expect([...new Set(follower)]).toEqual(hasTimers ? ['everywhere'] : []);
  });
});
