import { Controller, Get, Injectable, Post, SetMetadata, Sse } from '@nestjs/common';
import { Processor, WorkerHost } from '@nestjs/bullmq';
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventsHandler,
  QueryBus,
  QueryHandler,
} from '@nestjs/cqrs';
import { OnEvent } from '@nestjs/event-emitter';
import {
  Field,
  GraphQLModule,
  GraphQLSchemaHost,
  Mutation,
  ObjectType,
  Query,
  ResolveField,
  Resolver,
} from '@nestjs/graphql';
import { ApolloServer } from '@apollo/server';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { EventPattern, MessagePattern, RpcException } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { graphql } from 'graphql';
import { interval, map, type Observable } from 'rxjs';
import {
  type LeadershipService,
  InjectLeadership,
  LeaderElectionError,
  LeaderElectionOptionsError,
  LeaderOnly,
  NotLeaderError,
} from '../../lib/index.js';
import { LeaderCron, LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { ANSWER, answerOf, AskedElections, SchemaOnly } from './support/asked-elections.js';
import { ROLE } from './support/elections.js';

/** A decorator of the kind that puts another function around the method and copies nothing: tracing, retries. */
const Wrapped = (): MethodDecorator => (_target, _key, descriptor) => {
  const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
  descriptor.value = function (this: unknown, ...args: unknown[]) {
    return Reflect.apply(original, this, args);
  } as never;
};

describe('A follower', () => {
  let elections: AskedElections;
  beforeEach(() => {
    elections = new AskedElections();
  });
  afterEach(() => elections.end());

  async function followers(metadata: Parameters<AskedElections['create']>[0]) {
    const { imports = [], ...rest } = metadata;
    await elections.leadingRival('pod-b');
    return elections.create({ imports: [elections.module(), ...imports], ...rest });
  }

  describe('when a request comes by HTTP', () => {
    @Injectable()
    class Jobs {
      @LeaderOnly({ onFollower: 'throw' })
      run(): void {}

      @LeaderCron('0 0 1 1 *', { name: 'yearly' })
      yearly(): void {}
    }
    class Base {
      @LeaderOnly()
      inherited(): string {
        return 'ran';
      }
    }
    @Controller()
    class JobsController extends Base {
      constructor(
        @InjectLeadership() private readonly leadership: LeadershipService,
        private readonly schedule: LeaderSchedule,
        private readonly jobs: Jobs,
      ) {
        super();
      }

      @Post('wrapped')
      @Wrapped()
      @LeaderOnly()
      wrapped(): string {
        return 'ran';
      }

      @Get('super')
      override inherited(): string {
        return super.inherited();
      }

      @Post('assert')
      assert(): string {
        this.leadership.assertLeader();
        return 'ran';
      }

      @Post('trigger')
      trigger(): Promise<unknown> {
        return this.schedule.trigger('yearly');
      }

      @Post('service')
      service(): void {
        this.jobs.run();
      }

      @Sse('events')
      @LeaderOnly()
      events(): Observable<object> {
        return interval(5).pipe(map((data) => ({ data })));
      }
    }

    it.each(['wrapped', 'assert', 'trigger', 'service'])(
      'answers POST /%s with 503, names no pod and logs nothing',
      async (path) => {
        const app = await followers({
          imports: [LeaderScheduleModule],
          controllers: [JobsController],
          providers: [Jobs],
        });
        await app.listen(0, '127.0.0.1');
        const answer = await fetch(`${await app.getUrl()}/${path}`, { method: 'POST' });
        expect(answer.status).toBe(503);
        expect(await answer.json()).toEqual({
          statusCode: 503,
          error: 'Service Unavailable',
          message: ANSWER,
          role: ROLE,
        });
        expect(elections.errors).toEqual([]);
      },
    );

    it.each(['super', 'events'])('answers GET /%s with 503', async (path) => {
      const app = await followers({
        imports: [LeaderScheduleModule],
        controllers: [JobsController],
        providers: [Jobs],
      });
      await app.listen(0, '127.0.0.1');
      expect((await fetch(`${await app.getUrl()}/${path}`)).status).toBe(503);
    });

    it('ends a stream of the old leader, and the lease waits for it', async () => {
      const app = await elections.create({
        imports: [elections.module(), LeaderScheduleModule],
        controllers: [JobsController],
        providers: [Jobs],
      });
      await app.listen(0, '127.0.0.1');
      await elections.clock.settle();
      const events = await fetch(`${await app.getUrl()}/events`);
      const reader = events.body!.getReader();
      await reader.read();
      app.leadership().stepDown();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read());
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });
  });

  describe('when a message comes by a microservice', () => {
    @Controller()
    class Messages {
      constructor(@InjectLeadership() private readonly leadership: LeadershipService) {}

      @MessagePattern('gated')
      @Wrapped()
      @LeaderOnly()
      gated(): string {
        return 'ran';
      }

      @MessagePattern('asserting')
      asserting(): string {
        this.leadership.assertLeader();
        return 'ran';
      }
    }

    it.each(['gated', 'asserting'])(
      'answers the pattern %s with a refusal and logs nothing, also in a hybrid application',
      async (pattern) => {
        const app = await followers({ controllers: [Messages] });
        const answer = elections.answerOverTcp(app, pattern);
        await expect(answer).rejects.toEqual({
          status: 'error',
          code: 'ERR_NOT_LEADER',
          message: ANSWER,
          role: ROLE,
        });
        expect(elections.errors).toEqual([]);
      },
    );

    it('throws an RpcException, which filters of the application know', async () => {
      const app = await followers({ controllers: [Messages] });
      await app.init();
      expect(() => app.get(Messages).gated()).toThrow(RpcException);
    });
  });

  describe('when a message comes by a gateway', () => {
    @WebSocketGateway()
    class Gateway {
      constructor(@InjectLeadership() private readonly leadership: LeadershipService) {}

      @SubscribeMessage('gated')
      @LeaderOnly()
      gated(): object {
        return { event: 'answer', data: 'ran' };
      }

      @SubscribeMessage('asserting')
      asserting(): void {
        this.leadership.assertLeader();
      }
    }

    it.each(['gated', 'asserting'])(
      'tells the client of %s and which message was refused, and logs nothing',
      async (event) => {
        const app = await followers({ providers: [Gateway] });
        expect(await answerOf(await elections.openSocket(app), event)).toEqual({
          event: 'exception',
          data: { status: 'error', message: ANSWER, cause: { pattern: event, data: 7 } },
        });
        expect(elections.errors).toEqual([]);
      },
    );
  });

  describe('when a query comes by GraphQL', () => {
    @ObjectType()
    class Plan {
      @Field()
      name!: string;
    }
    @Resolver(() => Plan)
    class Plans {
      constructor(@InjectLeadership() private readonly leadership: LeadershipService) {}

      @Query(() => Plan, { nullable: true })
      plan(): Plan {
        return { name: 'a' };
      }

      @Query(() => String, { nullable: true })
      @LeaderOnly()
      gated(): string {
        return 'ran';
      }

      @Mutation(() => String, { nullable: true })
      asserting(): string {
        this.leadership.assertLeader();
        return 'ran';
      }

      @ResolveField(() => String, { nullable: true })
      @LeaderOnly()
      field(): string {
        return 'ran';
      }
    }

    it.each(['{ gated }', 'mutation { asserting }', '{ plan { field } }'])(
      'answers %s with an error of its own code and logs nothing',
      async (source) => {
        const app = await followers({
          imports: [GraphQLModule.forRoot({ driver: SchemaOnly, autoSchemaFile: true })],
          providers: [Plans],
        });
        await app.init();
        const { schema } = app.get(GraphQLSchemaHost);
        const { errors } = await graphql({ schema, source });
        expect(errors).toMatchObject([{ extensions: { code: 'ERR_NOT_LEADER', role: ROLE } }]);
        expect(errors![0]!.message).not.toContain('pod-b');
        const apollo = new ApolloServer({ schema, includeStacktraceInErrorResponses: false });
        const response = await apollo.executeOperation({ query: source });
        await apollo.stop();
        expect(response.body).toMatchObject({
          singleResult: { errors: [{ extensions: { code: 'ERR_NOT_LEADER', role: ROLE } }] },
        });
        expect(elections.errors).toEqual([]);
      },
    );
  });

  describe('when a query comes by GraphQL to the Apollo driver of Nest', () => {
    @Resolver()
    class Plans {
      constructor(@InjectLeadership() private readonly leadership: LeadershipService) {}

      @Query(() => String, { nullable: true })
      @LeaderOnly()
      gated(): string {
        return 'ran';
      }

      @Query(() => String, { nullable: true })
      asserting(): string {
        this.leadership.assertLeader();
        return 'ran';
      }
    }

    it.each(['gated', 'asserting'])(
      'answers { %s } with its own code, though the driver knows one for 503',
      async (field) => {
        const driver = { driver: ApolloDriver, autoSchemaFile: true, playground: false };
        const app = await followers({
          imports: [GraphQLModule.forRoot<ApolloDriverConfig>(driver)],
          providers: [Plans],
        });
        await app.listen(0, '127.0.0.1');
        const answer = await fetch(`${await app.getUrl()}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: `{ ${field} }` }),
        });
        expect([answer.status, await answer.json()]).toMatchObject([
          200,
          { errors: [{ extensions: { code: 'ERR_NOT_LEADER', role: ROLE } }] },
        ]);
        expect(elections.errors).toEqual([]);
      },
    );
  });

  describe('when a command or a query comes by CQRS', () => {
    class Close {}
    @LeaderOnly()
    @CommandHandler(Close)
    class CloseHandler {
      async execute(): Promise<string> {
        return Promise.resolve('ran');
      }
    }
    class Count {}
    @QueryHandler(Count)
    @LeaderOnly()
    class CountHandler {
      async execute(): Promise<number> {
        return Promise.resolve(1);
      }
    }
    class Reopen {}
    @CommandHandler(Reopen)
    class ReopenHandler {
      @LeaderOnly()
      async execute(): Promise<string> {
        return Promise.resolve('ran');
      }
    }

    it('rejects it, with the decorator on the class above or below, or on the method', async () => {
      const app = await followers({
        imports: [CqrsModule.forRoot()],
        providers: [CloseHandler, CountHandler, ReopenHandler],
      });
      await app.init();
      const [commands, queries] = [app.get(CommandBus), app.get(QueryBus)];
      await expect(commands.execute(new Close())).rejects.toThrow(NotLeaderError);
      await expect(commands.execute(new Reopen())).rejects.toThrow(NotLeaderError);
      await expect(queries.execute(new Count())).rejects.toThrow(NotLeaderError);
      expect(elections.errors).toEqual([]);
    });
  });

  describe('when a method consumes messages and does not say what a follower does', () => {
    @Controller()
    class Events {
      @EventPattern('plan.closed')
      @Wrapped()
      @LeaderOnly()
      consume(_data: unknown, ..._rest: unknown[]): void {}
    }
    @Processor('plans')
    class Worker extends WorkerHost {
      @LeaderOnly()
      process(): Promise<void> {
        return Promise.resolve();
      }
    }
    @Processor('plans')
    @LeaderOnly()
    class GatedWorker extends WorkerHost {
      process(): Promise<void> {
        return Promise.resolve();
      }
    }
    class Closed {}
    @LeaderOnly()
    @EventsHandler(Closed)
    class ClosedHandler {
      handle(): void {}
    }
    class Listener {
      @OnEvent('plan.closed')
      @LeaderOnly()
      consume(_data: unknown, ..._rest: unknown[]): void {}
    }
    class OldWorker {
      @SetMetadata('bull:queue_process', {})
      @LeaderOnly()
      run(): void {}
    }

    it.each([
      [Events, /Events\.consume.*@EventPattern\(\)/],
      [Worker, /Worker\.process.*@Processor\(\)/],
      [GatedWorker, /GatedWorker\.process.*@Processor\(\)/],
      [ClosedHandler, /ClosedHandler\.handle.*@EventsHandler\(\)/],
      [Listener, /Listener\.consume.*@OnEvent\(\)/],
      [OldWorker, /OldWorker\.run.*@Process\(\)/],
    ])('refuses to start with %p, and says how to pause the worker', async (consumer, message) => {
      const isController = consumer === Events;
      const app = await followers(
        isController ? { controllers: [consumer] } : { providers: [consumer] },
      );
      const starting = app.init();
      await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
      await expect(starting).rejects.toThrow(message);
      await expect(starting).rejects.toThrow(/resume the worker in @OnGranted\(\)/);
    });

    it('starts once it has said so, and a job that is refused has failed', async () => {
      @Processor('plans')
      class Choosing extends WorkerHost {
        @LeaderOnly({ onFollower: 'throw' })
        process(): Promise<string> {
          return Promise.resolve('ran');
        }
      }
      const app = await followers({ providers: [Choosing] });
      await app.init();
      await expect(app.get(Choosing).process()).rejects.toThrow(NotLeaderError);
    });
  });

  it('refuses with one error of this library, whatever class of a framework it is', async () => {
    const app = await elections.leading();
    await elections.supersede('pod-b');
    const assertLeader = () => app.leadership().assertLeader();
    expect(assertLeader).toThrow(NotLeaderError);
    expect(assertLeader).toThrow(LeaderElectionError as unknown as typeof Error);
  });
});
