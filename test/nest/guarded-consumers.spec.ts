import { once } from 'node:events';
import { connect } from 'node:net';
import {
  Controller,
  type INestApplication,
  Post,
  Sse,
  type Type,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { GraphQLModule, GraphQLSchemaHost, Query, Resolver, Subscription } from '@nestjs/graphql';
import { type CustomTransportStrategy, MessagePattern, Server } from '@nestjs/microservices';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { parse, subscribe } from 'graphql';
import { Observable, Subject, type Subscriber, takeUntil } from 'rxjs';
import { LeaderGuard, type LeadershipService } from '../../lib/index.js';
import { AskedElections, SchemaOnly } from './support/asked-elections.js';
import { until } from './support/until.js';

/** What a handler does, as the test says: a stream that knows its consumer, or a promise. */
class Work {
  begun = 0;
  left = 0;
  private consumers: Subscriber<unknown>[] = [];
  private settle: ((value: unknown) => void)[] = [];

  readonly stream = new Observable<unknown>((consumer) => {
    this.begun += 1;
    this.consumers.push(consumer);
    return () => (this.left += 1);
  });

  promise(): Promise<unknown> {
    this.begun += 1;
    return new Promise((resolve) => this.settle.push(resolve));
  }

  /** Works as PubSub of graphql-subscriptions does: its `return()` ends a `next()` that waits. */
  iterator(): AsyncIterableIterator<unknown> {
    let resolveNext: (result: IteratorResult<unknown>) => void = () => {};
    this.settle.push((value) => resolveNext({ done: false, value }));
    const done = { done: true, value: undefined } as const;
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: () => {
        this.begun += 1;
        return new Promise((resolve) => (resolveNext = resolve));
      },
      return: () => {
        this.left += 1;
        resolveNext(done);
        return Promise.resolve(done);
      },
    };
  }

  emit(value: unknown): void {
    for (const consumer of this.consumers) consumer.next(value);
    for (const settle of this.settle) settle(value);
  }

  complete(): void {
    for (const consumer of this.consumers) consumer.complete();
  }
}

let elections: AskedElections;
let work: Work;
beforeEach(() => {
  elections = new AskedElections();
  work = new Work();
});
afterEach(() => elections.end());

/** Handlers of one transport. Only the type that is declared is known to decorators. */
function handlersOf(mark: (name: string) => MethodDecorator): Type {
  @UseGuards(LeaderGuard)
  class Handlers {
    undeclared(): unknown {
      return work.stream;
    }

    declared(): Observable<unknown> {
      return work.stream;
    }

    async later(): Promise<unknown> {
      await work.promise();
      return work.stream;
    }

    promise(): Promise<unknown> {
      return work.promise();
    }
  }
  const { prototype } = Handlers;
  for (const name of ['undeclared', 'declared', 'later', 'promise'] as const) {
    mark(name)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!);
  }
  Reflect.defineMetadata('design:returntype', Observable, prototype, 'declared');
  return Handlers;
}

/** Makes an application with these handlers, and has one of them called, of which it tells how to leave it. */
type Ask = (handler: string) => Promise<() => unknown>;

let leadership: LeadershipService;

async function created(...[metadata, adapter]: Parameters<AskedElections['create']>) {
  const { imports = [], ...rest } = metadata;
  const app = await elections.create(
    { imports: [elections.module(), ...imports], ...rest },
    adapter,
  );
  leadership = app.leadership();
  return app;
}

async function listening(app: INestApplication): Promise<string> {
  await app.listen(0, '127.0.0.1');
  await elections.clock.settle();
  return app.getUrl();
}

const byHttp =
  (
    makeAdapter: () => ExpressAdapter | FastifyAdapter,
    mark: (path: string) => MethodDecorator,
  ): Ask =>
  async (handler) => {
    const controllers = [handlersOf(mark)];
    Controller()(controllers[0]!);
    const url = new URL(await listening(await created({ controllers }, makeAdapter())));
    const socket = connect(Number(url.port), url.hostname).resume();
    await once(socket, 'connect');
    const method = mark === Sse ? 'GET' : 'POST';
    socket.write(`${method} /${handler} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
    return () => socket.destroy();
  };

/** The client stays, and a timeout or the like does not. */
const behindInterceptor: Ask = async (handler) => {
  const left = new Subject<void>();
  const controllers = [handlersOf(Post)];
  Controller()(controllers[0]!);
  UseInterceptors({ intercept: (_, next) => next.handle().pipe(takeUntil(left)) })(controllers[0]!);
  const url = await listening(await created({ controllers }));
  void fetch(`${url}/${handler}`, { method: 'POST' }).catch(() => {});
  return () => left.next();
};

const byGateway: Ask = async (handler) => {
  const providers = [handlersOf(SubscribeMessage)];
  WebSocketGateway()(providers[0]!);
  const socket = await elections.openSocket(await created({ providers }));
  socket.send(JSON.stringify({ event: handler }));
  return () => socket.terminate();
};

/** As the transport of gRPC does when a call is cancelled. */
class Bus extends Server implements CustomTransportStrategy {
  listen(callback: () => void): void {
    callback();
  }
  close(): void {}
  on(): void {}
  unwrap<T>(): T {
    return this as never;
  }
  async call(pattern: string): Promise<() => void> {
    const answer = await this.getHandlerByPattern(pattern)!({}, undefined);
    const subscription = (answer as Observable<unknown>).subscribe({ error: () => {} });
    return () => subscription.unsubscribe();
  }
}

const byMicroservice: Ask = async (handler) => {
  const controllers = [handlersOf(MessagePattern)];
  Controller()(controllers[0]!);
  const strategy = new Bus();
  const app = await created({ controllers });
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();
  await app.init();
  await elections.clock.settle();
  return strategy.call(handler);
};

/** Gives leadership up: the lease is released at once unless work is in flight. */
async function isReleased(): Promise<boolean> {
  leadership.stepDown();
  await elections.clock.settle();
  return elections.holder() === '';
}

/** What the server notices by a socket, it notices some turns later. */
const noticed = () => new Promise((resolve) => setTimeout(resolve, 50));

describe.each<[string, Ask]>([
  ['of a request to Express', byHttp(() => new ExpressAdapter(), Post)],
  ['of a request to Fastify', byHttp(() => new FastifyAdapter(), Post)],
  ['of SSE of Express', byHttp(() => new ExpressAdapter(), Sse)],
  ['of SSE of Fastify', byHttp(() => new FastifyAdapter(), Sse)],
  ['that is an interceptor', behindInterceptor],
  ['of a gateway', byGateway],
  ['of a microservice', byMicroservice],
])('when the consumer %s goes away', (_, ask) => {
  describe.each(['undeclared', 'declared'])('and the handler returned a stream, %s', (handler) => {
    it('has nothing in flight before the first value', async () => {
      const leave = await ask(handler);
      await until(() => work.begun > 0);
      leave();
      await until(() => work.left > 0);
      expect(await isReleased()).toBe(true);
    });

    it('has nothing in flight between two values', async () => {
      const leave = await ask(handler);
      await until(() => work.begun > 0);
      work.emit('a');
      leave();
      await until(() => work.left > 0);
      expect(await isReleased()).toBe(true);
    });

    it('has nothing in flight after the last value', async () => {
      const leave = await ask(handler);
      await until(() => work.begun > 0);
      work.emit('a');
      work.complete();
      leave();
      expect(await isReleased()).toBe(true);
    });
  });

  it('waits for the promise of a stream, which then does not begin', async () => {
    const leave = await ask('later');
    await until(() => work.begun > 0);
    leave();
    await noticed();
    expect(await isReleased()).toBe(false);
    work.emit('go on');
    await noticed();
    await elections.clock.settle();
    expect(elections.holder()).toBe('');
    expect(work.begun).toBe(1);
  });

  it('waits for a promise', async () => {
    const leave = await ask('promise');
    await until(() => work.begun > 0);
    leave();
    await noticed();
    expect(await isReleased()).toBe(false);
    work.emit('done');
    await noticed();
    await elections.clock.settle();
    expect(elections.holder()).toBe('');
  });
});

describe('when the consumer of a GraphQL subscription goes away', () => {
  @Resolver()
  class Plans {
    @Query(() => String)
    plan(): string {
      return 'a';
    }

    @UseGuards(LeaderGuard)
    @Subscription(() => String, { resolve: (value: unknown) => value })
    changed() {
      return work.iterator();
    }

    @UseGuards(LeaderGuard)
    @Subscription(() => String, { resolve: (value: unknown) => value })
    async later() {
      await work.promise();
      return work.iterator();
    }
  }

  async function subscribed(field: string) {
    const app = await created({
      imports: [GraphQLModule.forRoot({ driver: SchemaOnly, autoSchemaFile: true })],
      providers: [Plans],
    });
    await app.init();
    await elections.clock.settle();
    const { schema } = app.get(GraphQLSchemaHost);
    return subscribe({ schema, document: parse(`subscription { ${field} }`) }) as Promise<
      AsyncGenerator<unknown, void, void>
    >;
  }

  it('has nothing in flight before it asked for a value', async () => {
    await (await subscribed('changed')).return();
    expect(work.left).toBe(1);
    expect(await isReleased()).toBe(true);
  });

  it('has nothing in flight before the first value', async () => {
    const values = await subscribed('changed');
    void values.next();
    await until(() => work.begun > 0);
    await values.return();
    expect(work.left).toBe(1);
    expect(await isReleased()).toBe(true);
  });

  it('has nothing in flight between two values', async () => {
    const values = await subscribed('changed');
    const first = values.next();
    await until(() => work.begun > 0);
    work.emit('a');
    expect(await first).toEqual({ done: false, value: { data: { changed: 'a' } } });
    await values.return();
    expect(work.left).toBe(1);
    expect(await isReleased()).toBe(true);
  });

  it('tells it of no refusal when the term has ended before', async () => {
    const values = await subscribed('changed');
    const first = values.next();
    await until(() => work.begun > 0);
    work.emit('a');
    await first;
    expect(await isReleased()).toBe(true);
    expect(await values.return()).toEqual({ done: true, value: undefined });
  });

  it('waits for the promise of the subscription', async () => {
    const values = subscribed('later');
    await until(() => work.begun > 0);
    expect(await isReleased()).toBe(false);
    work.emit('go on');
    await (await values).return();
    await elections.clock.settle();
    expect(elections.holder()).toBe('');
  });
});
