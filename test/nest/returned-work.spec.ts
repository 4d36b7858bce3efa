import { setImmediate } from 'node:timers/promises';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import createKnex, { type Knex } from 'knex';
import { defer, firstValueFrom, interval, NEVER, Observable, toArray } from 'rxjs';
import {
  LeaderElectionOptionsError,
  LeaderOnly,
  LeadershipService,
  LeadershipRevokedError,
  NotLeaderError,
  OnGranted,
} from '../../lib/index.js';
import { LeaderCron, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { runGated, type GateLeadership } from '../../lib/nest/gated-work.js';
import { testTerm } from '../../lib/testing/index.js';
import { Elections, ROLE } from './support/elections.js';

/** A dialect without a database: it records what it is asked to run, and answers when it is told to. */
class RecordingClient
  extends (createKnex as unknown as { Client: new (config: object) => object }).Client
{
  readonly queries: string[] = [];
  answer: () => void = () => {};
  isHeld = false;

  acquireConnection(): Promise<object> {
    return Promise.resolve({});
  }
  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }
  async _query(_connection: object, query: { sql: string; response?: unknown }): Promise<object> {
    this.queries.push(query.sql);
    if (this.isHeld) await new Promise<void>((resolve) => (this.answer = resolve));
    query.response = [];
    return query;
  }
  processResponse(): unknown[] {
    return [];
  }
}

const Replaced = (): MethodDecorator => (_target, _key, descriptor) => {
  const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
  descriptor.value = function (this: unknown, ...args: unknown[]) {
    return Reflect.apply(original, this, args);
  } as never;
};

/** As those of MongoDB: it has a `next` of its own kind, and can be iterated. */
class Cursor {
  private readonly documents = ['a', 'b'];

  next(): Promise<string | null> {
    return Promise.resolve(this.documents.shift() ?? null);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (let each = await this.next(); each !== null; each = await this.next()) yield each;
  }
}

@Injectable()
class Jobs {
  knex!: Knex;
  thenReads = 0;
  finished = false;

  @LeaderOnly()
  insert() {
    return this.knex('plans').insert({ name: 'a' });
  }

  @LeaderOnly()
  unreadable(): object {
    return new Proxy(
      {},
      {
        get: (_target, key) => {
          if (key !== 'then') return undefined;
          this.thenReads += 1;
          throw new Error('cannot be read');
        },
      },
    );
  }

  @LeaderOnly()
  failing(): never {
    throw new Error('failed at once');
  }

  @LeaderOnly()
  list(): string[] {
    return ['a'];
  }

  @LeaderOnly()
  set(): Set<string> {
    return new Set('a');
  }

  @LeaderOnly()
  map(): Map<string, string> {
    return new Map([['a', 'a']]);
  }

  @LeaderOnly()
  declared(): Promise<string> {
    return Promise.resolve('a');
  }

  @LeaderOnly()
  ticks(): Observable<number> {
    return interval(1);
  }

  @LeaderOnly({ onFollower: 'throw' })
  strictTicks(): Observable<number> {
    return interval(1);
  }

  @LeaderOnly()
  async *pages(): AsyncGenerator<number> {
    try {
      for (let page = 1; ; page += 1) yield page;
    } finally {
      await setImmediate();
      this.finished = true;
    }
  }

  @LeaderOnly()
  find(): Cursor {
    return new Cursor();
  }

  @LeaderOnly()
  *lines(): Generator<string> {
    yield 'a';
  }
}

describe('Gated work', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  async function leading() {
    const app = await elections.leading([Jobs]);
    const client = new RecordingClient({ client: 'pg' });
    const jobs = app.get(Jobs);
    const Client = function () {
      return client;
    };
    jobs.knex = createKnex({ client: Client as never });
    return { app, jobs, client, leadership: app.leadership() };
  }

  describe('when it returns a query builder', () => {
    it.each<[string, (jobs: Jobs, leadership: LeadershipService) => unknown]>([
      ['a gate', (jobs) => jobs.insert()],
      [
        'runIfLeader()',
        (jobs, leadership) => leadership.runIfLeader(() => jobs.knex('plans').insert({})),
      ],
      ['guard()', (jobs, leadership) => leadership.guard(() => jobs.knex('plans').insert({}))()],
    ])('runs it once for the caller of %s and the drain together', async (_what, call) => {
      const { jobs, client, leadership } = await leading();
      client.isHeld = true;
      const work = call(jobs, leadership);
      await elections.clock.settle();
      expect(client.queries).toHaveLength(1);
      leadership.stepDown();
      await elections.clock.settle();
      expect(elections.holder()).not.toBe('');
      client.answer();
      await work;
      await elections.clock.settle();
      expect(client.queries).toHaveLength(1);
      expect(elections.holder()).toBe('');
    });
  });

  it('passes on what cannot be read and what is thrown at once, and the drain waits for neither', async () => {
    const { jobs, leadership } = await leading();
    const result = jobs.unreadable();
    expect(jobs.thenReads).toBe(1);
    await expect((async () => result)()).rejects.toThrow('cannot be read');
    expect(() => jobs.failing()).toThrow('failed at once');
    expect(() => leadership.runIfLeader(() => jobs.failing())).toThrow('failed at once');
    leadership.stepDown();
    await elections.clock.settle();
    expect(elections.holder()).toBe('');
  });

  it('counts from before it is called, so that work which steps down at once is waited for', async () => {
    const { leadership } = await leading();
    let end!: () => void;
    const ended = new Promise<void>((resolve) => (end = resolve));
    void leadership.runIfLeader(async () => {
      leadership.stepDown();
      await ended;
    });
    await elections.clock.settle();
    expect(elections.holder()).not.toBe('');
    end();
    await elections.clock.settle();
    expect(elections.holder()).toBe('');
  });

  describe('when it returns a stream', () => {
    it('completes an Observable with the term, and counts it until then', async () => {
      const { jobs, leadership } = await leading();
      const all = firstValueFrom(jobs.ticks().pipe(toArray()));
      leadership.stepDown();
      await expect(all).resolves.toEqual(expect.any(Array));
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });

    it('returns an async generator at the end of the term, and waits for its end', async () => {
      const { jobs, leadership } = await leading();
      const pages = jobs.pages();
      expect(await pages.next()).toEqual({ done: false, value: 1 });
      leadership.stepDown();
      await elections.clock.settle();
      await setImmediate();
      await elections.clock.settle();
      expect(jobs.finished).toBe(true);
      expect(await pages.next()).toEqual({ done: true, value: undefined });
      expect(elections.holder()).toBe('');
    });
  });

  describe('when a stream of an earlier term is consumed', () => {
    it('does not begin an Observable', async () => {
      const { leadership } = await leading();
      let subscriptions = 0;
      const stream = leadership.runIfLeader(() => defer(() => [(subscriptions += 1)]))!;
      leadership.stepDown();
      await expect(firstValueFrom(stream.pipe(toArray()))).resolves.toEqual([]);
      expect(subscriptions).toBe(0);
    });

    it('does not begin an async generator', async () => {
      const { jobs, leadership } = await leading();
      const pages = jobs.pages();
      leadership.stepDown();
      expect(await pages.next()).toEqual({ done: true, value: undefined });
    });
  });

  describe('when a stream has ended before the term', () => {
    it('does not tell an async iterator to return at the end of the term', async () => {
      const { leadership } = await leading();
      let returned = 0;
      const source: AsyncIterableIterator<number> = {
        [Symbol.asyncIterator]: () => source,
        next: () => Promise.resolve({ done: true, value: undefined }),
        return: () => Promise.resolve({ done: true, value: (returned += 1) }),
      };
      const stream = leadership.runIfLeader(() => source)!;
      expect(await stream.next()).toEqual({ done: true, value: undefined });
      leadership.stepDown();
      await elections.clock.settle();
      expect(returned).toBe(0);
      expect(elections.holder()).toBe('');
    });
  });

  describe('when the consumer of an async generator throws into it', () => {
    it('passes the error to the generator, and counts the work until its end', async () => {
      const { leadership } = await leading();
      const caught: unknown[] = [];
      async function* pages(): AsyncGenerator<number> {
        try {
          yield await Promise.resolve(1);
        } catch (error) {
          caught.push(error);
          yield 2;
        }
      }
      const stream = leadership.runIfLeader(pages)!;
      await stream.next();
      expect(await stream.throw(new Error('of the consumer'))).toEqual({ done: false, value: 2 });
      expect(caught).toEqual([new Error('of the consumer')]);
      expect(await stream.next()).toEqual({ done: true, value: undefined });
      leadership.stepDown();
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });

    it('rejects with the error where the iterator takes none', async () => {
      const { leadership } = await leading();
      const source: AsyncIterableIterator<number> = {
        [Symbol.asyncIterator]: () => source,
        next: () => Promise.resolve({ done: false, value: 1 }),
        return: () => Promise.resolve({ done: true, value: undefined }),
      };
      const stream = leadership.runIfLeader(() => source)!;
      await stream.next();
      await expect(stream.throw!(new Error('of the consumer'))).rejects.toThrow('of the consumer');
      leadership.stepDown();
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });
  });

  describe('when the term ends before a stream that answers a request', () => {
    @Controller()
    class Reports {
      @Get('rows')
      @LeaderOnly()
      rows(): Observable<number> {
        return NEVER;
      }

      @Get('pages')
      @LeaderOnly()
      async *pages(): AsyncGenerator<number> {
        for (let page = 1; ; page += 1) yield await Promise.resolve(page);
      }
    }

    async function reports() {
      const app = await elections.start({ imports: [elections.module()], controllers: [Reports] });
      await elections.clock.settle();
      return { made: app.get(Reports), leadership: app.leadership() };
    }

    it('fails an Observable: what was sent is not the whole', async () => {
      const { made, leadership } = await reports();
      const rows = firstValueFrom(made.rows());
      leadership.stepDown();
      await expect(rows).rejects.toThrow(NotLeaderError);
    });

    it('fails an async generator, once', async () => {
      const { made, leadership } = await reports();
      const pages = made.pages();
      expect(await pages.next()).toEqual({ done: false, value: 1 });
      leadership.stepDown();
      await expect(pages.next()).rejects.toThrow(NotLeaderError);
      expect(await pages.next()).toEqual({ done: true, value: undefined });
    });
  });

  describe('when it returns a database cursor', () => {
    it('returns the cursor itself', async () => {
      const { jobs, leadership } = await leading();
      expect(jobs.find()).toBeInstanceOf(Cursor);
      expect(await jobs.find().next()).toBe('a');
      expect(leadership.runIfLeader(() => new Cursor())).toBeInstanceOf(Cursor);
    });
  });

  describe('when the process is paused between the check and the first value of a stream', () => {
    /** The clock says that the term has run out as soon as the check has been answered. */
    function pausedAfterCheck() {
      const abort = new AbortController();
      const term = testTerm({ signal: abort.signal });
      let isPaused = false;
      const leadership: GateLeadership = {
        isLeader: () => !isPaused && (isPaused = true),
        get term() {
          return isPaused ? undefined : term;
        },
      };
      return { leadership, abort };
    }

    it('completes an Observable with the term all the same', async () => {
      const { leadership, abort } = pausedAfterCheck();
      let isComplete = false;
      runGated(leadership, 'work', () => NEVER).subscribe({ complete: () => (isComplete = true) });
      abort.abort();
      await setImmediate();
      expect(isComplete).toBe(true);
    });

    it('returns an async generator with the term all the same', async () => {
      const { leadership, abort } = pausedAfterCheck();
      async function* numbers(): AsyncGenerator<number> {
        for (let each = 1; ; each += 1) yield await Promise.resolve(each);
      }
      const gated = runGated(leadership, 'work', numbers);
      expect(await gated.next()).toEqual({ done: false, value: 1 });
      abort.abort();
      expect(await gated.next()).toEqual({ done: true, value: undefined });
    });
  });

  describe('when this process follows', () => {
    it('returns nothing in the shape of the method', async () => {
      await elections.leadingRival('pod-b');
      const { jobs } = await leading();
      expect(jobs.list()).toEqual([]);
      expect(jobs.set()).toEqual(new Set());
      expect(jobs.map()).toEqual(new Map());
      await expect(jobs.declared().catch(() => 'failed')).resolves.toBeUndefined();
      await expect(firstValueFrom(jobs.ticks().pipe(toArray()))).resolves.toEqual([]);
      await expect(firstValueFrom(jobs.strictTicks())).rejects.toThrow(NotLeaderError);
      expect([...jobs.lines()]).toEqual([]);
      const pages: number[] = [];
      for await (const page of jobs.pages()) pages.push(page);
      expect(pages).toEqual([]);
    });
  });
});

describe('An object of the public API', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  it('can be sent as JSON while leading, and equals its fields', async () => {
    @Controller()
    class Status {
      constructor(private readonly leadership: LeadershipService) {}
      @Get('term')
      term() {
        return this.leadership.term;
      }
      @Get('leadership')
      state() {
        return firstValueFrom(this.leadership.leadership$);
      }
    }
    const app = await elections.start({ imports: [elections.module()], controllers: [Status] });
    await elections.clock.settle();
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const term = app.leadership().term!;
    const json = {
      role: ROLE,
      number: term.number,
      fencingToken: String(term.fencingToken),
      holderIdentity: term.holderIdentity,
      grantedAt: term.grantedAt.toISOString(),
    };
    expect(await (await fetch(`${url}/term`)).json()).toEqual(json);
    expect(await (await fetch(`${url}/leadership`)).json()).toMatchObject({ term: json });
    expect(term).toStrictEqual(Object.assign({}, term));
    expect(Object.keys(term)).not.toContain('toJSON');
  });

  it.each([
    [new NotLeaderError(ROLE, 'pod-b'), { code: 'ERR_NOT_LEADER', role: ROLE }],
    [new LeadershipRevokedError(ROLE, 3, 'shutdown'), { term: 3, reason: 'shutdown' }],
    [
      new LeaderElectionOptionsError([{ field: 'a', value: 1n, rule: 'r', fix: 'f' }]),
      { faults: [{ field: 'a', value: '1n', rule: 'r', fix: 'f' }] },
    ],
  ])('as an error says what it is: %p', (error, fields) => {
    const text = JSON.stringify(error);
    expect(JSON.parse(text)).toMatchObject({ ...fields, message: error.message });
    expect(text).not.toContain('pod-b');
  });
});

describe('A mark', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  it('stays when a decorator above puts another function in the place of the method', async () => {
    const calls: string[] = [];
    class Marked {
      @Replaced()
      @OnGranted()
      granted(): void {
        calls.push('granted');
      }
      @Replaced()
      @LeaderCron('* * * * * *', { startingDeadlineSeconds: 5 })
      tick(): void {
        calls.push('tick');
      }
    }
    await elections.start({
      imports: [elections.module(), LeaderScheduleModule],
      providers: [Marked],
    });
    await elections.clock.settle();
    await elections.clock.advance(1_000);
    expect(calls).toEqual(['granted', 'tick']);
  });

  it('refuses an instance that is made after the start, as of a lazily loaded module', async () => {
    class Late {
      @OnGranted()
      granted(): void {}
    }
    class LateJob {
      @LeaderCron('* * * * * *')
      tick(): void {}
    }
    class LateGate {
      @LeaderOnly()
      run(): string {
        return 'ran';
      }
    }
    @Module({ providers: [Late] })
    class LateModule {}
    @Module({ providers: [LateJob] })
    class LateJobModule {}
    @Module({ providers: [LateGate] })
    class LateGateModule {}
    const app = await elections.start({ imports: [elections.module(), LeaderScheduleModule] });
    await elections.clock.settle();
    const loader = app.get(LazyModuleLoader);
    await expect(loader.load(() => LateModule)).rejects.toThrow(
      /handlers of Late.*were|handlers of Late/,
    );
    await expect(loader.load(() => LateJobModule)).rejects.toThrow(LeaderElectionOptionsError);
    const gated = await loader.load(() => LateGateModule);
    expect(gated.get(LateGate).run()).toBe('ran');
  });
});
