import { inspect } from 'node:util';
import {
  applyDecorators,
  Controller,
  Get,
  Injectable,
  type OnModuleInit,
  Post,
  Scope,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Subject } from 'rxjs';
import {
  LeaderElectionOptionsError,
  LeaderOnly,
  LeadershipService,
  LeadershipUnavailableError,
  NotLeaderError,
  OnGranted,
  OnRevoked,
} from '../../lib/index.js';
import { Elections, ROLE } from './support/elections.js';

const OnMessage = (topic: string) => SetMetadata('app:on-message', topic);
const methodOf = (instance: object, name: string) =>
  Reflect.get(instance, name) as (...args: unknown[]) => unknown;
const topicOf = (instance: object, name: string): unknown =>
  Reflect.getMetadata('app:on-message', methodOf(instance, name));

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @LeaderOnly()
  sync(text: string): string {
    this.ran.push(text);
    return text.toUpperCase();
  }

  @LeaderOnly()
  async later(text: string): Promise<string> {
    this.ran.push(text);
    return Promise.resolve(text);
  }

  @LeaderOnly({ onFollower: 'throw' })
  strictly(): number {
    return 1;
  }

  @LeaderOnly({ role: ROLE, onFollower: 'throw' })
  async strictlyLater(): Promise<number> {
    return Promise.resolve(1);
  }
}

describe('@LeaderOnly()', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  describe('when this process leads', () => {
    it('runs the method as it is: this, arguments, result, name and length', async () => {
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(jobs.sync('a')).toBe('A');
      await expect(jobs.later('b')).resolves.toBe('b');
      expect(jobs.strictly()).toBe(1);
      await expect(jobs.strictlyLater()).resolves.toBe(1);
      expect(jobs.ran).toEqual(['a', 'b']);
      const { name, length } = methodOf(jobs, 'sync');
      expect([name, length]).toEqual(['sync', 1]);
    });

    it('is not seen in the instance', async () => {
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(jobs).toStrictEqual(new Jobs());
      expect(Object.keys(Object.assign({}, jobs))).toEqual(['ran']);
      expect(Object.getOwnPropertySymbols(Object.assign({}, jobs))).toEqual([]);
      expect(inspect(jobs)).toBe('Jobs { ran: [] }');
    });
  });

  describe('when another process leads', () => {
    it('skips, in the shape the method has', async () => {
      await elections.leadingRival('pod-b');
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(jobs.sync('a')).toBeUndefined();
      const skipped = jobs.later('b');
      expect(skipped).toBeInstanceOf(Promise);
      await expect(skipped).resolves.toBeUndefined();
      expect(jobs.ran).toEqual([]);
    });

    it('throws or rejects with the leader, if asked to', async () => {
      await elections.leadingRival('pod-b');
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(() => jobs.strictly()).toThrow(NotLeaderError);
      expect(() => jobs.strictly()).toThrow(/^Jobs\.strictly runs only on the leader of role/);
      await expect(jobs.strictlyLater()).rejects.toMatchObject({ role: ROLE, leader: 'pod-b' });
    });
  });

  describe('when the time of the last renewal is up', () => {
    it('names the class of each instance, whichever was called first', async () => {
      class Nightly extends Jobs {}
      await elections.leadingRival('pod-b');
      const app = await elections.leading([Jobs, Nightly]);
      const nameTold = (jobs: Jobs): string => {
        try {
          return String(jobs.strictly());
        } catch (error) {
          return /\w+\.strictly/.exec((error as Error).message)![0];
        }
      };
      const [base, derived] = [app.get(Jobs), app.get(Nightly)];
      const told = [base, derived, base, derived].map(nameTold);
      const [ofBase, ofDerived] = ['Jobs.strictly', 'Nightly.strictly'];
      expect(told).toEqual([ofBase, ofDerived, ofBase, ofDerived]);
    });

    it('answers as the handler that a module has made of the method while the application starts', async () => {
      class Plans {
        @LeaderOnly()
        close(): void {}
      }
      await elections.leadingRival('pod-b');
      const app = await elections.create({ imports: [elections.module()], providers: [Plans] });
      const plans = app.get(Plans);
      plans.close();
      // As @MessagePattern() does.
      Reflect.defineMetadata('microservices:handler_type', 1, methodOf(Plans.prototype, 'close'));
      await app.init();
      await elections.clock.settle();
      expect(() => plans.close()).toThrow('is not leader');
    });

    it('closes though no timer has fired', async () => {
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      elections.clock.stall(10_000);
      expect(jobs.sync('late')).toBeUndefined();
      expect(jobs.ran).toEqual([]);
    });
  });

  describe('when other decorators are on the method', () => {
    class Marked {
      @LeaderOnly()
      @OnMessage('below')
      below(): string {
        return 'below';
      }

      @OnMessage('above')
      @LeaderOnly()
      above(): string {
        return 'above';
      }

      @applyDecorators(OnMessage('applied'), LeaderOnly())
      applied(): string {
        return 'applied';
      }
    }

    it('keeps their metadata in either order and under applyDecorators', async () => {
      await elections.leadingRival('pod-b');
      const marked = (await elections.leading([Marked])).get(Marked);
      expect(topicOf(marked, 'below')).toBe('below');
      expect(topicOf(marked, 'above')).toBe('above');
      expect(topicOf(marked, 'applied')).toBe('applied');
      expect([marked.below(), marked.above(), marked.applied()]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    });
  });

  describe('when a provider is not a plain singleton', () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @LeaderOnly()
      run(): string {
        return 'ran';
      }
    }
    @Injectable({ scope: Scope.TRANSIENT })
    class PerConsumer {
      @LeaderOnly()
      run(): string {
        return 'ran';
      }
    }
    class Derived extends Jobs {
      override sync(text: string): string {
        return `derived ${super.sync(text)}`;
      }
    }

    it('gates request-scoped and transient instances', async () => {
      const app = await elections.leading([PerRequest, PerConsumer]);
      const [request, consumer] = [await app.resolve(PerRequest), await app.resolve(PerConsumer)];
      expect([request.run(), consumer.run()]).toEqual(['ran', 'ran']);
      await elections.supersede('pod-b');
      expect([request.run(), consumer.run()]).toEqual([undefined, undefined]);
    });

    it('gates inherited methods; an override is its own', async () => {
      const derived = (await elections.leading([Derived])).get(Derived);
      await elections.supersede('pod-b');
      expect(derived.sync('a')).toBe('derived undefined');
      expect(() => derived.strictly()).toThrow(NotLeaderError);
    });

    it('adopts instances made by useFactory and useValue', async () => {
      const value = new Jobs();
      const app = await elections.leading([
        { provide: 'value', useValue: value },
        { provide: 'factory', useFactory: () => new Jobs() },
      ]);
      expect(value.sync('a')).toBe('A');
      expect(app.get<Jobs>('factory').sync('b')).toBe('B');
      await elections.supersede('pod-b');
      expect(value.sync('c')).toBeUndefined();
      expect(app.get<Jobs>('factory').sync('c')).toBeUndefined();
    });
  });

  describe('when nothing is known of leadership', () => {
    it('throws and does not run: made by hand, detached, or before it was adopted', async () => {
      const byHand = new Jobs();
      expect(() => byHand.sync('a')).toThrow(LeadershipUnavailableError);
      await expect(byHand.later('a')).rejects.toMatchObject({
        code: 'ERR_LEADERSHIP_UNAVAILABLE',
      });
      expect(byHand.ran).toEqual([]);
      const sync = methodOf((await elections.leading([Jobs])).get(Jobs), 'sync');
      expect(() => sync('a')).toThrow(/Jobs\.sync is @LeaderOnly\(\)/);
    });

    it('stops the start of an application without the module', async () => {
      const compiled = Test.createTestingModule({ providers: [Jobs] }).compile();
      await expect(compiled).rejects.toThrow(
        /@LeaderOnly\(.*\) needs LeaderElectionModule\.forRoot/,
      );
    });

    it("takes a unit test's own service", async () => {
      const leadership = { isLeader: () => leads };
      let leads = true;
      class Plain {
        @LeaderOnly()
        run(): string {
          return 'ran';
        }
      }
      const compiled = await Test.createTestingModule({
        providers: [Plain, { provide: LeadershipService, useValue: leadership }],
      }).compile();
      expect(compiled.get(Plain).run()).toBe('ran');
      leads = false;
      expect(compiled.get(Plain).run()).toBeUndefined();
    });
  });

  describe('when it is on a class', () => {
    @LeaderOnly()
    @Injectable()
    class Consumer implements OnModuleInit {
      readonly ran: string[] = [];

      onModuleInit(): void {
        this.ran.push('init');
      }

      @OnMessage('a')
      handle(): void {
        this.ran.push('handle');
        this.helper();
      }

      @OnMessage('b')
      @LeaderOnly({ onFollower: 'throw' })
      strictly(): void {}

      helper(): void {
        this.ran.push('helper');
      }

      @OnGranted()
      granted(): void {
        this.ran.push('granted');
      }

      @OnRevoked()
      revoked(): void {
        this.ran.push('revoked');
      }
    }

    it('gates entry points and nothing else; an own gate of a method stays', async () => {
      const consumer = (await elections.leading([Consumer])).get(Consumer);
      consumer.handle();
      await elections.supersede('pod-b');
      consumer.handle();
      consumer.helper();
      expect(consumer.ran).toEqual(['init', 'granted', 'handle', 'helper', 'revoked', 'helper']);
      expect(() => consumer.strictly()).toThrow(NotLeaderError);
      expect(topicOf(consumer, 'handle')).toBe('a');
    });

    it('leaves a helper alone that is named as the method of a queue or command handler', async () => {
      const changes = new Subject<string>();
      @LeaderOnly()
      class Jobs {
        @OnMessage('a')
        handle(): void {}

        execute(): object {
          return changes;
        }
      }
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(jobs.execute()).toBe(changes);
      await elections.supersede('pod-b');
      expect(jobs.execute()).toBe(changes);
    });

    it('is closed from when a helper becomes a handler, though it was called before', async () => {
      @LeaderOnly()
      class Jobs {
        @OnMessage('a')
        handle(): void {}

        execute(): string {
          return 'ran';
        }
      }
      await elections.leadingRival('pod-b');
      const jobs = (await elections.leading([Jobs])).get(Jobs);
      expect(jobs.execute()).toBe('ran');
      expect(jobs.execute()).toBe('ran');
      Reflect.defineMetadata('__commandHandler__', {}, Jobs);
      expect(() => jobs.execute()).toThrow(NotLeaderError);
    });

    it('gates inherited entry points for the decorated class only', async () => {
      class Base {
        @OnMessage('a')
        handle(): string {
          return 'handled';
        }
      }
      @LeaderOnly()
      class Gated extends Base {}
      await elections.leadingRival('pod-b');
      const app = await elections.leading([Base, Gated]);
      expect([app.get(Base).handle(), app.get(Gated).handle()]).toEqual(['handled', undefined]);
    });
  });

  describe('when it is on HTTP handlers', () => {
    @Controller('jobs')
    class JobsController {
      readonly ran: string[] = [];

      @Get('above')
      @LeaderOnly()
      above(): string {
        this.ran.push('above');
        return 'above';
      }

      @LeaderOnly({ onFollower: 'throw' })
      @Post('below')
      async below(): Promise<string> {
        this.ran.push('below');
        return Promise.resolve('below');
      }
    }
    @LeaderOnly()
    @Controller({ path: 'scoped', scope: Scope.REQUEST })
    class ScopedController {
      @Get()
      @UseGuards({ canActivate: () => true })
      get(): string {
        return 'scoped';
      }
    }

    it('answers on the leader, and 503 without naming the leader on a follower', async () => {
      const app = await elections.start({
        imports: [elections.module()],
        controllers: [JobsController, ScopedController],
      });
      await elections.clock.settle();
      await app.listen(0, '127.0.0.1');
      const url = await app.getUrl();
      const ask = (path: string, method = 'GET') => fetch(`${url}/${path}`, { method });
      const all = () => Promise.all([ask('jobs/above'), ask('jobs/below', 'POST'), ask('scoped')]);
      expect((await all()).map(({ status }) => status)).toEqual([200, 201, 200]);
      await elections.supersede('pod-b');
      const refused = await all();
      expect(refused.map(({ status }) => status)).toEqual([503, 503, 503]);
      expect(await refused[0].json()).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        message: 'Only the leader answers this request.',
        role: ROLE,
      });
      expect(app.get(JobsController).ran).toEqual(['above', 'below']);
    });
  });

  describe('when it cannot work where it stands', () => {
    const decorate = (target: object, key: string, descriptor?: PropertyDescriptor) => () =>
      LeaderOnly()(target, key, descriptor as never);
    class Target {
      static work(): void {}
      get value(): number {
        return 1;
      }
    }

    it.each([
      [
        'a static method',
        decorate(Target, 'work', Object.getOwnPropertyDescriptor(Target, 'work')),
        /Target\.work.*static/,
      ],
      ['a property', decorate(Target.prototype, 'arrow'), /Target\.arrow.*property/],
      [
        'an accessor',
        decorate(
          Target.prototype,
          'value',
          Object.getOwnPropertyDescriptor(Target.prototype, 'value'),
        ),
        /Target\.value.*accessor/,
      ],
      ['a class without entry points', () => LeaderOnly()(Target), /Target.*has none/],
    ])('refuses %s at decoration', (_what, decoration, message) => {
      expect(decoration).toThrow(LeaderElectionOptionsError);
      expect(decoration).toThrow(message);
    });

    it.each([
      [{ onFollower: 'boom' }, /onFollower = "boom"/],
      [{ rule: 'a' }, /rule = "a"/],
      ['', /role = ""/],
      [{ role: 7 }, /role = 7/],
    ])('refuses the options %p at decoration', (options, message) => {
      expect(() => LeaderOnly(options as never)).toThrow(LeaderElectionOptionsError);
      expect(() => LeaderOnly(options as never)).toThrow(message);
    });
  });
});
