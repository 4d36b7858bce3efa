import { readFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { context, type Span, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  LeaderElectionOptionsError,
  LeaderOnly,
  LockRequestError,
  type ResourceLockFactory,
  type Term,
} from '../../lib/index.js';
import { memoryLock } from '../../lib/election/index.js';
import { leaderElectionWith } from '../../lib/election/leader-election.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import {
  LeaderSchedule,
  LeaderScheduleModule,
  type OnceContext,
} from '../../lib/schedule/index.js';
import { LeaderElectionTracingModule, traceElection } from '../../lib/tracing/index.js';
import { VERSION } from '../../lib/tracing/traced-election.js';
import { Elections, ROLE } from '../nest/support/elections.js';
import { drainAndRelease } from '../support/stop-election.js';

const MINUTE_MS = 60_000;
const manager = new AsyncLocalStorageContextManager().enable();
beforeAll(() => context.setGlobalContextManager(manager));
afterAll(() => context.disable());

/** Spans of one application. */
class Recorded {
  private readonly exporter = new InMemorySpanExporter();
  readonly provider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter: this.exporter })],
  });

  get all(): ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  named(name: string): ReadableSpan[] {
    return this.all.filter((span) => span.name === name);
  }

  one(name: string): ReadableSpan {
    const found = this.named(name);
    if (found.length !== 1) {
      const names = this.all.map((span) => span.name).join(', ');
      throw new Error(`${found.length} spans ${name} of ${names}`);
    }
    return found[0]!;
  }
}

const recorded = { spans: new Recorded() };
const userTracer = (): Tracer => recorded.spans.provider.getTracer('user');

@Injectable()
class Plans {
  calls = 0;

  @LeaderOnly()
  async close(): Promise<number> {
    this.calls += 1;
    await Promise.resolve();
    userTracer().startSpan('SELECT plans').end();
    return this.calls;
  }

  @LeaderOnly()
  fail(error: unknown): never {
    throw error;
  }
}

function milliseconds({ duration: [seconds, nanoseconds] }: ReadableSpan): number {
  return seconds * 1_000 + Math.round(nanoseconds / 1e6);
}

function idOf(span: ReadableSpan): string {
  return span.spanContext().spanId;
}

function linksOf(span: ReadableSpan): string[] {
  return span.links.map((link) => link.context.spanId);
}

describe('the spans of an application', () => {
  let elections: Elections;
  let spans: Recorded;
  beforeEach(() => {
    elections = new Elections();
    spans = recorded.spans = new Recorded();
  });
  afterEach(() => elections.end());

  const started = async (tracerProvider: unknown = spans.provider) => {
    const application = await elections.start({
      imports: [
        elections.module(),
        LeaderScheduleModule,
        LeaderElectionTracingModule.forRoot({ tracerProvider: tracerProvider as never }),
      ],
      providers: [Plans],
    });
    await elections.clock.settle();
    return application;
  };

  /** A lock whose server may be down. */
  const server = {
    isDown: false,
    lock: (async (requester) => {
      const inner = await memoryLock(elections.store)(requester);
      const replace = inner.replace.bind(inner);
      const create = inner.create.bind(inner);
      const error = new LockRequestError('the server is down', { reason: 'unreachable' });
      const failed = { kind: 'not-applied', error } as const;
      return Object.assign(inner, {
        replace: async (...order: Parameters<typeof replace>) =>
          server.isDown ? failed : replace(...order),
        create: async (...order: Parameters<typeof create>) =>
          server.isDown ? failed : create(...order),
      });
    }) as ResourceLockFactory,
  };
  beforeEach(() => (server.isDown = false));

  const startedWith = async (lock: ResourceLockFactory) => {
    await elections.start({
      imports: [
        elections.module({ lock }),
        LeaderElectionTracingModule.forRoot({ tracerProvider: spans.provider }),
      ],
    });
    await elections.clock.settle();
  };

  describe('when it becomes leader', () => {
    it('has a span of the acquisition, a trace of its own, with role, lease, identity, term and token', async () => {
      const application = await started();
      const { term } = application.leadership();
      const span = spans.one('leader_election.acquire');
      expect(span.parentSpanContext).toBeUndefined();
      expect(span.attributes).toMatchObject({
        'leader_election.role': ROLE,
        'leader_election.lease': expect.stringContaining(ROLE),
        'leader_election.identity': term!.holderIdentity,
        'leader_election.term': 1,
        'leader_election.fencing_token': String(term!.fencingToken),
      });
    });

    it('lasts as long as no leader was known', async () => {
      server.isDown = true;
      await startedWith(server.lock);
      await elections.clock.advance(7_000);
      expect(spans.all).toEqual([]);
      server.isDown = false;
      await elections.clock.advance(3_000);
      const span = spans.one('leader_election.acquire');
      expect(milliseconds(span)).toBeGreaterThanOrEqual(7_000);
      expect(milliseconds(span)).toBeLessThanOrEqual(10_000);
      expect(span.attributes['leader_election.waited_ms']).toBe(milliseconds(span));
    });
  });

  describe('when it renews', () => {
    it('makes no span', async () => {
      await started();
      await elections.clock.advance(10 * MINUTE_MS);
      expect(spans.all.map(({ name }) => name)).toEqual(['leader_election.acquire']);
    });
  });

  describe('when renewals fail', () => {
    it('has a span of each, with the error, linked to the term that they were for', async () => {
      await startedWith(server.lock);
      server.isDown = true;
      await elections.clock.advance(3_000);
      server.isDown = false;
      await elections.clock.advance(MINUTE_MS);
      const failed = spans.named('leader_election.renew');
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.length).toBeLessThan(20);
      const acquired = idOf(spans.one('leader_election.acquire'));
      for (const span of failed) {
        expect(span.status).toEqual({
          code: SpanStatusCode.ERROR,
          message: 'the server is down',
        });
        expect(span.attributes).toMatchObject({
          'error.type': 'unreachable',
          'leader_election.outcome': 'not-applied',
          'leader_election.term': 1,
        });
        expect(linksOf(span)).toEqual([acquired]);
      }
    });
  });

  describe('when it gives leadership up', () => {
    it('has a span of the handover with its phases, linked to the acquisition', async () => {
      const application = await started();
      let finish = (): void => {};
      const work = new Promise<void>((resolve) => (finish = resolve));
      void application.leadership().runIfLeader(() => work);
      application.leadership().stepDown();
      await elections.clock.advance(700);
      expect(spans.named('leader_election.drain')).toEqual([]);
      finish();
      await elections.clock.advance(100);
      const handover = spans.one('leader_election.handover');
      const acquired = idOf(spans.one('leader_election.acquire'));
      expect(handover.parentSpanContext).toBeUndefined();
      expect(handover.attributes).toMatchObject({
        'leader_election.reason': 'stepped-down',
        'leader_election.released': true,
        'leader_election.term': 1,
      });
      expect(handover.status.code).toBe(SpanStatusCode.UNSET);
      const phases = ['withdraw', 'drain', 'release'].map((phase) =>
        spans.one(`leader_election.${phase}`),
      );
      for (const phase of phases) {
        expect(phase.parentSpanContext?.spanId).toBe(idOf(handover));
        expect(linksOf(phase)).toEqual([acquired]);
        expect(phase.status.code).toBe(SpanStatusCode.UNSET);
      }
      expect(linksOf(handover)).toEqual([acquired]);
      const order = spans.all.map(({ name }) => name.replace('leader_election.', ''));
      const handedOver = ['withdraw', 'runIfLeader()', 'drain', 'release', 'handover'];
      expect(order).toEqual(['acquire', ...handedOver]);
    });

    it('links the next term to its own acquisition', async () => {
      const application = await started();
      application.leadership().stepDown({ cooldownMs: 0 });
      await elections.clock.advance(30_000);
      await application.get(Plans).close();
      const [first, second] = spans.named('leader_election.acquire');
      expect(linksOf(spans.one('Plans.close'))).toEqual([idOf(second!)]);
      expect(idOf(first!)).not.toBe(idOf(second!));
    });
  });

  describe('when its lease is taken from it', () => {
    it('ends the handover without a release, with an error', async () => {
      await started();
      await elections.supersede('pod-b');
      await elections.clock.advance(3_000);
      const handover = spans.one('leader_election.handover');
      expect(handover.status).toEqual({ code: SpanStatusCode.ERROR, message: 'superseded' });
      expect(handover.attributes['leader_election.released']).toBe(false);
      expect(spans.named('leader_election.release')).toEqual([]);
    });
  });

  describe('when it closes', () => {
    it('ends all spans of the election', async () => {
      const application = await started();
      const closing = application.close();
      await elections.clock.advance(1_000);
      await closing;
      const { attributes } = spans.one('leader_election.handover');
      expect(attributes['leader_election.reason']).toBe('shutdown');
      expect(attributes['leader_election.released']).toBe(true);
    });
  });

  describe('when a gated method runs', () => {
    it('is the active span inside, below that of the caller, linked to the term', async () => {
      const application = await started();
      const caller = userTracer().startSpan('POST /plans');
      await context.with(trace.setSpan(context.active(), caller), () =>
        application.get(Plans).close(),
      );
      const run = spans.one('Plans.close');
      expect(run.parentSpanContext?.spanId).toBe(caller.spanContext().spanId);
      expect(spans.one('SELECT plans').parentSpanContext?.spanId).toBe(idOf(run));
      expect(linksOf(run)).toEqual([idOf(spans.one('leader_election.acquire'))]);
      expect(run.attributes).toMatchObject({
        'code.function.name': 'Plans.close',
        'leader_election.term': 1,
      });
    });

    it.each<[string, unknown, string, string]>([
      ['an error', new RangeError('no plans'), 'RangeError', 'no plans'],
      ['text', 'no plans', '_OTHER', 'no plans'],
      ['a revoked proxy', revokedProxy(), '_OTHER', 'something that cannot be read'],
    ])('records that it threw %s, and throws it', async (_, error, type, message) => {
      const application = await started();
      const thrown = caught(() => application.get(Plans).fail(error));
      expect(thrown.error === error).toBe(true);
      const run = spans.one('Plans.fail');
      expect(run.status).toEqual({ code: SpanStatusCode.ERROR, message });
      expect(run.attributes['error.type']).toBe(type);
      expect(run.events.map(({ name }) => name)).toEqual(['exception']);
    });

    it('makes spans of runIfLeader() and of guarded functions', async () => {
      const application = await started();
      const guarded = application.leadership().guard(function rebuild() {
        return 1;
      });
      expect([guarded(), application.leadership().runIfLeader(() => 2)]).toEqual([1, 2]);
      const [acquired, ...names] = spans.all.map(({ name }) => name);
      expect(acquired).toBe('leader_election.acquire');
      expect(names).toHaveLength(2);
    });
  });

  describe('when it follows', () => {
    it('makes no span of a call that is skipped', async () => {
      await elections.leadingRival('pod-b');
      const application = await started();
      await application.get(Plans).close();
      application.leadership().runIfLeader(() => 1);
      await elections.clock.advance(MINUTE_MS);
      expect(spans.all).toEqual([]);
    });
  });

  describe('when its role has mode shadow', () => {
    it('makes no span of a call on a process that does not lead', async () => {
      await elections.leadingRival('pod-b');
      const application = await elections.start({
        imports: [
          elections.module({ mode: 'shadow' }),
          LeaderElectionTracingModule.forRoot({ tracerProvider: spans.provider }),
        ],
        providers: [Plans],
      });
      await elections.clock.settle();
      expect(await application.get(Plans).close()).toBe(1);
      expect(spans.all.map(({ name }) => name)).toEqual(['SELECT plans']);
    });
  });

  describe('when its jobs run', () => {
    it('has a span of each run, active in the handler, linked to the term', async () => {
      const application = await started();
      application.get(LeaderSchedule).add('print', '* * * * *', async () => {
        await Promise.resolve();
        userTracer().startSpan('SELECT paper').end();
        throw new Error('no paper');
      });
      await elections.clock.advance(MINUTE_MS);
      const run = spans.one('print');
      expect(run.attributes).toMatchObject({
        'leader_election.job.name': 'print',
        'leader_election.job.attempt': 1,
        'leader_election.job.scheduled_time': expect.stringMatching(/:00\.000Z$/),
      });
      expect(run.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no paper' });
      expect(spans.one('SELECT paper').parentSpanContext?.spanId).toBe(idOf(run));
      expect(linksOf(run)).toEqual([idOf(spans.one('leader_election.acquire'))]);
    });

    it('begins a trace with a run, also where the application was started inside a span', async () => {
      const boot = userTracer().startSpan('boot');
      const application = await context.with(trace.setSpan(context.active(), boot), () =>
        started(),
      );
      application.get(LeaderSchedule).add('print', '* * * * *', () => undefined);
      await elections.clock.advance(MINUTE_MS);
      expect(spans.one('print').parentSpanContext).toBeUndefined();
    });

    it('marks a run that has taken longer than its timeoutMs', async () => {
      const application = await started();
      const untilAborted = ({ signal }: { readonly signal: AbortSignal }): Promise<void> =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
      application.get(LeaderSchedule).add('print', '* * * * *', untilAborted, { timeoutMs: 5_000 });
      await elections.clock.advance(MINUTE_MS + 6_000);
      const run = spans.one('print');
      expect(run.status.code).toBe(SpanStatusCode.ERROR);
      expect(run.attributes['error.type']).toBe('JobTimeoutError');
    });

    it('has a span of work that runs once, with its version', async () => {
      const application = await started();
      const ran = application.get(LeaderSchedule).once('migrate', '1.4', () => undefined);
      await elections.clock.advance(MINUTE_MS);
      expect(await ran).toBe('ran');
      expect(spans.one('migrate').attributes).toMatchObject({
        'leader_election.job.version': '1.4',
        'leader_election.job.attempt': 1,
        'leader_election.term': expect.any(Number),
      });
    });

    it('links work that runs once to the acquisition of its own lease, which has a span of its own', async () => {
      const application = await started();
      application.leadership().stepDown({ cooldownMs: 0 });
      await elections.clock.advance(MINUTE_MS);
      let term: Term | undefined;
      const work = (context: OnceContext): void => void (term = context.term);
      const ran = application.get(LeaderSchedule).once('migrate', '1.4', work);
      await elections.clock.advance(MINUTE_MS);
      expect(await ran).toBe('ran');
      const run = spans.one('migrate');
      const acquired = spans.named('leader_election.acquire').at(-1)!;
      expect(linksOf(run)).toEqual([idOf(acquired)]);
      expect(acquired.parentSpanContext).toBeUndefined();
      for (const span of [acquired, run]) {
        expect(span.attributes).toMatchObject({
          'leader_election.role': ROLE,
          'leader_election.lease': expect.stringContaining('migrate'),
          'leader_election.identity': term!.holderIdentity,
          'leader_election.term': 1,
          'leader_election.fencing_token': String(term!.fencingToken),
        });
      }
      // The role was acquired twice, and its own spans are as they were.
      const [first, second] = spans.named('leader_election.acquire');
      for (const span of [first!, second!]) {
        expect(span.attributes['leader_election.lease']).toBe(`in-memory lease default/${ROLE}`);
      }
      expect(linksOf(spans.one('leader_election.handover'))).toEqual([idOf(first!)]);
    });

    it('has a span of the acquisition of such a lease from its request on, and how long it was waited for', async () => {
      const holder = await elections.leadingRival('pod-b', `${ROLE}-once-migrate`);
      const application = await started();
      const ran = application.get(LeaderSchedule).once('migrate', '1.4', () => undefined);
      await elections.clock.advance(20_000);
      const released = drainAndRelease(holder);
      await elections.clock.advance(MINUTE_MS);
      await released;
      expect(await ran).toBe('ran');
      const acquired = spans.named('leader_election.acquire').at(-1)!;
      expect(linksOf(spans.one('migrate'))).toEqual([idOf(acquired)]);
      expect(acquired.attributes['leader_election.waited_ms']).toBeGreaterThanOrEqual(20_000);
      expect(milliseconds(acquired)).toBeLessThan(20_000);
    });
  });

  describe('when a tracer is broken', () => {
    const broken = (what: string): unknown => {
      const raise = (): never => {
        throw new Error(`${what} is broken`);
      };
      const span: unknown = new Proxy(
        {},
        {
          get: (_, key) => (key === what ? raise : key === 'spanContext' ? () => ({}) : () => span),
        },
      );
      const startSpan = what === 'startSpan' ? raise : () => span as Span;
      return { getTracer: () => ({ startSpan }) };
    };

    it.each(['startSpan', 'setAttribute', 'setStatus', 'recordException', 'end'])(
      'runs each call once, and leads, if %s throws',
      async (what) => {
        const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
        const application = await started(broken(what));
        let runs = 0;
        application.get(LeaderSchedule).add('print', '* * * * *', () => void (runs += 1));
        await elections.clock.advance(2 * MINUTE_MS);
        expect(runs).toBe(2);
        expect(await application.get(Plans).close()).toBe(1);
        expect(() => application.get(Plans).fail(new Error('no plans'))).toThrow('no plans');
        application.leadership().stepDown({ cooldownMs: 0 });
        await elections.clock.advance(MINUTE_MS);
        expect(application.leadership().term?.number).toBe(2);
        const names = warned.mock.calls.map(([message]) => String(message));
        expect(names).toEqual([expect.stringContaining(`${what} is broken`)]);
        warned.mockRestore();
      },
    );

    it.each<[string, (run: () => unknown) => unknown]>([
      ['never calls what it is given', () => undefined],
      ['calls it later', (run) => void Promise.resolve().then(run)],
      ['calls it twice', (run) => [run(), run()]],
    ])('runs each call once if the context manager %s', async (_, withContext) => {
      const application = await started();
      const replaced = jest
        .spyOn(manager, 'with')
        .mockImplementation(((__: unknown, run: () => unknown) => withContext(run)) as never);
      let runs = 0;
      application.get(LeaderSchedule).add('print', '* * * * *', () => void (runs += 1));
      await elections.clock.advance(2 * MINUTE_MS);
      expect(await application.get(Plans).close()).toBe(1);
      expect(application.get(Plans).calls).toBe(1);
      expect(runs).toBe(2);
      replaced.mockRestore();
    });
  });

  describe('when a process has two applications', () => {
    it('keeps the spans of each with its own provider', async () => {
      const other = new Recorded();
      const application = await started();
      const second = new Elections();
      await second.start({
        imports: [
          second.module(),
          LeaderElectionTracingModule.forRoot({ tracerProvider: other.provider }),
        ],
      });
      await second.clock.settle();
      await application.get(Plans).close();
      expect(other.all.map(({ name }) => name)).toEqual(['leader_election.acquire']);
      expect(spans.named('leader_election.acquire')).toHaveLength(1);
      await second.end();
    });
  });

  describe('when there is no Nest', () => {
    it('makes the spans of createLeaderElection(), with the global provider, until it is ended', async () => {
      const { clock } = elections;
      const election = await leaderElectionWith(
        { role: 'reports', identity: 'worker', lock: memoryLock() },
        { clock, random: () => 0, makeElector: (...all) => new LeaderElector(...all) },
      );
      const end = traceElection(election);
      trace.setGlobalTracerProvider(spans.provider);
      election.start();
      await clock.settle();
      election.runIfLeader(() => 1);
      end();
      election.runIfLeader(() => 1);
      expect(spans.all.map(({ name }) => name)).toEqual([
        'leader_election.acquire',
        'runIfLeader()',
      ]);
      trace.disable();
      const stopping = election.stop();
      await clock.advance(1_000);
      await stopping;
    });
  });

  describe('when it cannot be used', () => {
    it('says what is wrong', () => {
      expect(() => traceElection({} as never)).toThrow(LeaderElectionOptionsError);
      expect(() => LeaderElectionTracingModule.forRoot({ tracerProvider: {} as never })).toThrow(
        /tracerProvider.*getTracer/s,
      );
      expect(() => LeaderElectionTracingModule.forRoot({ provider: 1 } as never)).toThrow(
        /provider/,
      );
    });
  });
});

describe('when a tracer is asked for', () => {
  it('names the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
  });
});

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function caught(call: () => unknown): { readonly error: unknown } {
  try {
    call();
  } catch (error) {
    return { error };
  }
  throw new Error('it threw nothing');
}
