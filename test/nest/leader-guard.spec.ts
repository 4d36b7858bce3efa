import { once } from 'node:events';
import { connect } from 'node:net';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  type NestInterceptor,
  Param,
  Post,
  SetMetadata,
  Sse,
  type Type,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { OnEvent } from '@nestjs/event-emitter';
import { GraphQLModule, GraphQLSchemaHost, Query, Resolver } from '@nestjs/graphql';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cron } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { graphql } from 'graphql';
import { concat, interval, map, NEVER, Observable, of } from 'rxjs';
import {
  currentTerm,
  EveryReplica,
  LeaderElectionModule,
  type LeaderElectionModuleOptions,
  LeaderElectionOptionsError,
  LeaderGuard,
  LeaderOnly,
  LeadershipUnavailableError,
  type LeadershipService,
  memoryLock,
} from '../../lib/index.js';
import { ANSWER, answerOf, AskedElections, SchemaOnly } from './support/asked-elections.js';
import { ROLE } from './support/elections.js';

const REFUSAL = { statusCode: 503, error: 'Service Unavailable', message: ANSWER, role: ROLE };
const LEADER = 'http://10.1.2.3:3000';

/** A handler that ends when the test says so, and what was its term. */
class Work {
  begun = 0;
  term: number | undefined;
  finish: (answer: string) => void = () => {};

  begin(): Promise<string> {
    this.begun += 1;
    this.term = currentTerm()?.number;
    return new Promise((resolve) => (this.finish = resolve));
  }
}

describe('LeaderGuard', () => {
  let elections: AskedElections;
  beforeEach(() => {
    elections = new AskedElections();
  });
  afterEach(() => elections.end());

  function started(
    metadata: Parameters<AskedElections['create']>[0],
    options: Partial<LeaderElectionModuleOptions> = {},
    adapter?: Parameters<AskedElections['create']>[1],
  ) {
    const { imports = [], ...rest } = metadata;
    return elections.create({ imports: [elections.module(options), ...imports], ...rest }, adapter);
  }

  async function listening(...given: Parameters<typeof started>) {
    const app = await started(...given);
    await app.listen(0, '127.0.0.1');
    await elections.clock.settle();
    return { app, url: await app.getUrl() };
  }

  const waiting = async (is: () => boolean): Promise<void> => {
    while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  describe.each([
    ['Express', () => new ExpressAdapter()],
    ['Fastify', () => new FastifyAdapter()],
  ])('when a request comes by HTTP to %s', (_, makeAdapter) => {
    @Controller('plans')
    @UseGuards(LeaderGuard)
    class Plans {
      @Post('close')
      close(): string {
        return `closed in term ${currentTerm()?.number}`;
      }

      @EveryReplica()
      @Get('health')
      health(): string {
        return 'well';
      }
    }
    @Controller('plans')
    class Redirecting {
      @UseGuards(LeaderGuard.for({ redirect: true }))
      @Post('close')
      close(): string {
        return 'ran';
      }

      @UseGuards(LeaderGuard.for({ redirect: ({ hostname }) => hostname.endsWith('.plans') }))
      @Post('chosen')
      chosen(): string {
        return 'ran';
      }
    }
    const post = (url: string, headers: Record<string, string> = {}) =>
      fetch(url, { method: 'POST', redirect: 'manual', headers });

    it('lets the leader answer, in its term', async () => {
      const { url } = await listening({ controllers: [Plans] }, {}, makeAdapter());
      const answer = await post(`${url}/plans/close`);
      expect(answer.status).toBe(201);
      expect(await answer.text()).toBe('closed in term 1');
    });

    it('answers on a follower as @LeaderOnly() does, and logs nothing', async () => {
      await elections.leadingRival('pod-b', ROLE, LEADER);
      const { url } = await listening({ controllers: [Plans] }, {}, makeAdapter());
      const answer = await post(`${url}/plans/close`);
      expect([answer.status, await answer.json()]).toEqual([503, REFUSAL]);
      expect(answer.headers.get('location')).toBeNull();
      expect((await fetch(`${url}/plans/health`)).status).toBe(200);
      expect(elections.errors).toEqual([]);
    });

    it('redirects to the leader if it is asked for: same path and query, same method', async () => {
      await elections.leadingRival('pod-b', ROLE, LEADER);
      const { url } = await listening({ controllers: [Redirecting] }, {}, makeAdapter());
      const answer = await post(`${url}/plans/close?plan=a%20b&x=//evil.example`);
      expect(answer.status).toBe(307);
      expect(answer.headers.get('location')).toBe(
        `${LEADER}/plans/close?plan=a%20b&x=//evil.example`,
      );
      expect(await answer.json()).toMatchObject({ statusCode: 307, role: ROLE });
      expect(elections.errors).toEqual([]);
    });

    it.each<[string, string | undefined, string, string]>([
      ['the leader says no address', undefined, 'close', ''],
      [
        'the request has come to that very address',
        'http://the.plans:3000',
        'close',
        'the.plans:3000',
      ],
      ['the port of the address is implied', 'http://the.plans', 'close', 'THE.plans:80'],
      ['the address is not one of those chosen', 'http://evil.example', 'chosen', ''],
    ])('refuses where %s', async (_why, address, path, host) => {
      await elections.leadingRival('pod-b', ROLE, address);
      const { url } = await listening({ controllers: [Redirecting] }, {}, makeAdapter());
      const answer = await requestAs(url, `/plans/${path}`, host || new URL(url).host);
      expect(answer).toMatch(/^HTTP\/1\.1 503 /);
      expect(answer).not.toMatch(/^location:/im);
    });

    it('redirects to an address that was chosen', async () => {
      await elections.leadingRival('pod-b', ROLE, 'http://pod-b.plans');
      const { url } = await listening({ controllers: [Redirecting] }, {}, makeAdapter());
      const answer = await post(`${url}/plans/chosen`);
      expect(answer.headers.get('location')).toBe('http://pod-b.plans/plans/chosen');
    });

    it('refuses while no leader is known', async () => {
      const options = { autoStart: false };
      const { url } = await listening({ controllers: [Redirecting] }, options, makeAdapter());
      expect((await post(`${url}/plans/close`)).status).toBe(503);
    });

    it('takes no address that another holder has left behind', async () => {
      await elections.leadingRival('pod-b', ROLE, LEADER);
      await elections.supersede('pod-c');
      const { app, url } = await listening({ controllers: [Redirecting] }, {}, makeAdapter());
      expect(app.leadership().leader).toBe('pod-c');
      expect(app.leadership().leaderAddress).toBeUndefined();
      expect((await post(`${url}/plans/close`)).status).toBe(503);
    });
  });

  /** Any Host, which fetch does not let a caller choose; the answer as text. */
  async function requestAs(url: string, target: string, host: string): Promise<string> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname).setEncoding('utf8');
    socket.write(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n`);
    socket.write('Connection: close\r\n\r\n');
    let text = '';
    socket.on('data', (chunk: string) => (text += chunk));
    await once(socket, 'close');
    return text;
  }

  it('redirects no request whose target is no path', async () => {
    @Controller()
    class Everything {
      @UseGuards(LeaderGuard.for({ redirect: true }))
      @Post('plans')
      plans(): void {}
    }
    await elections.leadingRival('pod-b', ROLE, LEADER);
    const { url } = await listening({ controllers: [Everything] });
    expect(await requestAs(url, 'http://evil.example/plans', 'a')).toMatch(/^HTTP\/1\.1 503 /);
  });

  describe('when it guards the whole application', () => {
    @Controller('plans')
    class Plans {
      @Get()
      list(): string {
        return 'ran';
      }

      @EveryReplica()
      @Get('cached')
      cached(): string {
        return 'ran';
      }
    }
    @EveryReplica()
    @Controller('health')
    class Health {
      @Get()
      check(): string {
        return 'well';
      }

      @UseGuards(LeaderGuard)
      @Get('leader')
      leader(): string {
        return 'leads';
      }
    }
    const controllers = [Plans, Health];

    it.each<[string, object]>([
      ['useClass', { provide: APP_GUARD, useClass: LeaderGuard }],
      ['useClass with a role', { provide: APP_GUARD, useClass: LeaderGuard.for(ROLE) }],
      ['useExisting', { provide: APP_GUARD, useExisting: LeaderGuard }],
    ])('guards every handler without @EveryReplica(), given by %s', async (_, provider) => {
      await elections.leadingRival('pod-b');
      const providers = [LeaderGuard, provider as never];
      const { url } = await listening({ controllers, providers });
      const paths = ['plans', 'plans/cached', 'health', 'health/leader'];
      const answers = await Promise.all(paths.map((path) => fetch(`${url}/${path}`)));
      expect(answers.map(({ status }) => status)).toEqual([503, 200, 200, 503]);
    });

    it('waits for what it let through', async () => {
      const work = new Work();
      @Controller()
      class Slow {
        @Get()
        slow(): Promise<string> {
          return work.begin();
        }
      }
      const providers = [{ provide: APP_GUARD, useClass: LeaderGuard }];
      const { app, url } = await listening({ controllers: [Slow], providers });
      const answer = fetch(url);
      await waiting(() => work.begun > 0);
      app.leadership().stepDown();
      await elections.clock.settle();
      expect(elections.holder()).not.toBe('');
      work.finish('done');
      expect(await (await answer).text()).toBe('done');
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });
  });

  describe('when the term ends', () => {
    let work: Work;
    let beforeHandler: () => Promise<void>;
    beforeEach(() => {
      work = new Work();
      beforeHandler = () => Promise.resolve();
    });
    @Injectable()
    class Before implements NestInterceptor {
      async intercept(_: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
        await beforeHandler();
        return next.handle();
      }
    }
    @Controller()
    @UseGuards(LeaderGuard)
    @UseInterceptors(Before)
    class Slow {
      @Get('slow')
      slow(): Promise<string> {
        return work.begin();
      }

      @Get('throws')
      throws(): never {
        throw new Error('broken');
      }

      @Sse('events')
      events() {
        return interval(5).pipe(map((data) => ({ data })));
      }

      @Get('stream')
      stream(): Observable<string> {
        work.begun += 1;
        return NEVER;
      }

      @Get('undeclared')
      undeclared() {
        work.begun += 1;
        return concat(of('part'), NEVER);
      }

      @Get('silent')
      silent() {
        work.begun += 1;
        return NEVER;
      }

      @Get('later')
      async later() {
        await work.begin();
        return NEVER;
      }
    }

    it('waits for the handler before the lease is released, and gives its answer', async () => {
      const { app, url } = await listening({ controllers: [Slow] });
      const answer = fetch(`${url}/slow`);
      await waiting(() => work.begun > 0);
      expect(work.term).toBe(1);
      app.leadership().stepDown();
      await elections.clock.settle();
      expect(elections.holder()).toBe(app.leadership().identity);
      work.finish('done');
      expect(await (await answer).text()).toBe('done');
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });

    it('refuses a handler that has not begun, whatever the guard said before', async () => {
      let go: (() => void) | undefined;
      beforeHandler = () => new Promise((resolve) => (go = resolve));
      const { app, url } = await listening({ controllers: [Slow] });
      const answer = fetch(`${url}/slow`);
      await waiting(() => go !== undefined);
      app.leadership().stepDown();
      go!();
      expect([(await answer).status, await (await answer).json()]).toEqual([503, REFUSAL]);
      expect(work.begun).toBe(0);
    });

    it('ends a stream, and the lease waits for that alone', async () => {
      const { app, url } = await listening({ controllers: [Slow] });
      const events = await fetch(`${url}/events`);
      const reader = events.body!.getReader();
      await reader.read();
      app.leadership().stepDown();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read());
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });

    it.each(['stream', 'undeclared', 'silent', 'later'])(
      'answers no part of /%s for the whole',
      async (path) => {
        const { app, url } = await listening({ controllers: [Slow] });
        const answer = fetch(`${url}/${path}`);
        await waiting(() => work.begun > 0);
        app.leadership().stepDown();
        work.finish('');
        expect((await answer).status).toBe(503);
        await elections.clock.settle();
        expect(elections.holder()).toBe('');
      },
    );

    it('has nothing left in flight of a handler that threw', async () => {
      const { app, url } = await listening({ controllers: [Slow] });
      expect((await fetch(`${url}/throws`)).status).toBe(500);
      app.leadership().stepDown();
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });
  });

  describe('when a message comes by a microservice', () => {
    @Controller()
    class Messages {
      @UseGuards(LeaderGuard)
      @MessagePattern('close')
      close(): string {
        return `term ${currentTerm()?.number}`;
      }

      @UseGuards(LeaderGuard.for({ onFollower: 'throw' }))
      @EventPattern('closed')
      closed(_data: unknown, ..._rest: unknown[]): void {}
    }

    async function send() {
      const app = await started({ controllers: [Messages] });
      return elections.answerOverTcp(app, 'close');
    }

    it('lets the leader answer', async () => {
      expect(await send()).toBe('term 1');
    });

    it('answers on a follower as @LeaderOnly() does, and logs nothing', async () => {
      await elections.leadingRival('pod-b');
      await expect(send()).rejects.toEqual({
        status: 'error',
        code: 'ERR_NOT_LEADER',
        message: ANSWER,
        role: ROLE,
      });
      expect(elections.errors).toEqual([]);
    });
  });

  describe('when a message comes by a gateway', () => {
    @UseGuards(LeaderGuard)
    @WebSocketGateway()
    class Gateway {
      @SubscribeMessage('close')
      close(): object {
        return { event: 'closed', data: currentTerm()?.number };
      }
    }

    async function send() {
      const app = await started({ providers: [Gateway] });
      return answerOf(await elections.openSocket(app), 'close');
    }

    it('lets the leader answer', async () => {
      expect(await send()).toEqual({ event: 'closed', data: 1 });
    });

    it('tells on a follower which message was refused, and logs nothing', async () => {
      await elections.leadingRival('pod-b');
      expect(await send()).toEqual({
        event: 'exception',
        data: { status: 'error', message: ANSWER, cause: { pattern: 'close', data: 7 } },
      });
      expect(elections.errors).toEqual([]);
    });
  });

  describe('when a query comes by GraphQL', () => {
    @Resolver()
    class Plans {
      @UseGuards(LeaderGuard.for({ redirect: true }))
      @Query(() => String, { nullable: true })
      plan(): string {
        return `term ${currentTerm()?.number}`;
      }
    }

    async function ask() {
      const app = await started({
        imports: [GraphQLModule.forRoot({ driver: SchemaOnly, autoSchemaFile: true })],
        providers: [Plans],
      });
      await app.init();
      await elections.clock.settle();
      return graphql({ schema: app.get(GraphQLSchemaHost).schema, source: '{ plan }' });
    }

    it('lets the leader answer', async () => {
      expect(await ask()).toMatchObject({ data: { plan: 'term 1' } });
    });

    it('answers on a follower with an error of its own code, and logs nothing', async () => {
      await elections.leadingRival('pod-b', ROLE, LEADER);
      const { errors } = await ask();
      expect(errors).toMatchObject([{ extensions: { code: 'ERR_NOT_LEADER', role: ROLE } }]);
      expect(errors![0]!.message).not.toContain('pod-b');
      expect(elections.errors).toEqual([]);
    });
  });

  describe('when the role is in shadow mode', () => {
    it('lets every call through on a follower, and counts it by the name of the method', async () => {
      const Wrapped = (): MethodDecorator => (_target, _key, descriptor) => {
        const original = descriptor.value as unknown as () => unknown;
        Object.assign(descriptor, { value: [() => original()][0] });
      };
      @Controller()
      class Plans {
        @UseGuards(LeaderGuard)
        @Get()
        @Wrapped()
        list(): string {
          return 'ran';
        }
      }
      await elections.leadingRival('pod-b');
      const { app, url } = await listening({ controllers: [Plans] }, { mode: 'shadow' });
      expect(await (await fetch(url)).text()).toBe('ran');
      expect([...app.leadership().shadowSkips]).toEqual([['Plans.list', 1]]);
    });
  });

  describe('when there are several roles', () => {
    const billing = () =>
      LeaderElectionModule.forRoot({ role: 'billing', lock: memoryLock(elections.store) });

    it('asks for the role that it names', async () => {
      @Controller()
      class Roles {
        @UseGuards(LeaderGuard.for(ROLE))
        @Get('plans')
        plans(): string {
          return 'ran';
        }

        @UseGuards(LeaderGuard.for({ role: 'billing' }))
        @Get('billing')
        bills(): string {
          return 'ran';
        }

        @UseGuards(LeaderGuard.for(ROLE), LeaderGuard.for('billing'))
        @Get('both')
        both(): string {
          return 'ran';
        }
      }
      await elections.leadingRival('pod-b', 'billing');
      const { url } = await listening({ imports: [billing()], controllers: [Roles] });
      const paths = ['plans', 'billing', 'both'];
      const answers = await Promise.all(paths.map((path) => fetch(`${url}/${path}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 503, 503]);
    });

    it('does not start with one that names none', async () => {
      @Controller()
      @UseGuards(LeaderGuard)
      class Roles {
        @Get('plans')
        plans(): string {
          return 'ran';
        }
      }
      const app = await started({ imports: [billing()], controllers: [Roles] });
      await expect(app.init()).rejects.toThrow(/LeaderGuard.*must name a role/s);
    });
  });

  describe('when it is where Nest runs no guard', () => {
    class Closed {}
    @UseGuards(LeaderGuard)
    @CommandHandler(Closed)
    class ClosedHandler {
      async execute(): Promise<void> {}
    }
    class Timers {
      @UseGuards(LeaderGuard)
      @Cron('0 0 * * *')
      nightly(): void {}
    }
    @Controller()
    @UseGuards(LeaderGuard)
    class Mixed {
      @Get()
      list(): void {}

      @OnEvent('plan.closed')
      closed(): void {}
    }
    class Called {
      @UseGuards(LeaderGuard)
      call(): void {}
    }

    it.each<[Type, RegExp]>([
      [ClosedHandler, /LeaderGuard on ClosedHandler: .*@LeaderOnly\(\)/],
      [Timers, /LeaderGuard on Timers\.nightly: .*@LeaderOnly\(\)/],
      [Mixed, /LeaderGuard on Mixed\.closed: .*@LeaderOnly\(\)/],
      [Called, /LeaderGuard on Called\.call: .*@LeaderOnly\(\)/],
    ])('does not start with %p, and says what to use', async (type, message) => {
      const isController = type === Mixed;
      const app = await started({
        imports: [CqrsModule.forRoot()],
        ...(isController ? { controllers: [type] } : { providers: [type] }),
      });
      const starting = app.init();
      await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
      await expect(starting).rejects.toThrow(message);
    });

    it('starts where @LeaderOnly() gates those', async () => {
      @Controller()
      @UseGuards(LeaderGuard)
      class Gated {
        @Get()
        list(): void {}

        @LeaderOnly()
        @Cron('0 0 * * *')
        nightly(): void {}
      }
      await expect((await started({ controllers: [Gated] })).init()).resolves.toBeDefined();
    });
  });

  it('does not start on an event handler that does not say that the event is to fail', async () => {
    @Controller()
    class Events {
      @UseGuards(LeaderGuard)
      @EventPattern('plan.closed')
      closed(_data: unknown, ..._rest: unknown[]): void {}
    }
    const app = await started({ controllers: [Events] });
    await expect(app.init()).rejects.toThrow(/Events\.closed.*must say onFollower/s);
  });

  it('leaves a handler what decorators put on it, and calls of it what they return', async () => {
    const Marked = (): MethodDecorator => (_target, _key, descriptor) => {
      Object.assign(descriptor.value as object, { isMarked: true });
    };
    let seen: unknown[] = [];
    @Injectable()
    class Looking implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        const handler = context.getHandler() as Type & { isMarked?: boolean };
        const kind: unknown = Reflect.getMetadata('kind', handler);
        seen = [handler.name, handler.length, handler.isMarked, kind];
        return next.handle();
      }
    }
    @Controller()
    class Plans {
      readonly answer = NEVER;

      @UseInterceptors(Looking)
      @UseGuards(LeaderGuard)
      @SetMetadata('kind', 'plans')
      @Marked()
      @Get()
      list(@Param() _all: object): string {
        return 'ran';
      }

      @UseGuards(LeaderGuard)
      @Get('stream')
      stream() {
        return this.answer;
      }
    }
    const { app, url } = await listening({ controllers: [Plans] });
    expect(await (await fetch(url)).text()).toBe('ran');
    expect(seen).toEqual(['list', 1, true, 'plans']);
    const plans = app.get(Plans);
    expect(plans.stream()).toBe(plans.answer);
  });

  it('fails closed without a service', () => {
    const guard = new LeaderGuard(undefined as unknown as LeadershipService);
    const context = { getClass: () => class A {}, getHandler: () => function b() {} };
    expect(() => guard.canActivate(context as unknown as ExecutionContext)).toThrow(
      LeadershipUnavailableError,
    );
  });

  it.each([
    [{ redirect: 'yes' }, /redirect.*boolean or a function/],
    [{ onFollower: 'skip' }, /onFollower.*must be "throw"/],
    [{ rolle: 'a' }, /rolle.*is not an option/],
    [{ role: '' }, /role.*non-empty/],
    [7, /role.*non-empty/],
  ])('refuses the options %j', (options, message) => {
    expect(() => LeaderGuard.for(options as never)).toThrow(message);
  });
});
