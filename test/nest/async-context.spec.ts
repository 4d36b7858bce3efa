import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  LeaderElectionModule,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnNewLeader,
  OnRevoked,
  type Term,
} from '../../lib/index.js';
import { SystemClock } from '../../lib/elector/system-clock.js';
import { ELECTION_CLOCK } from '../../lib/nest/leader-election.tokens.js';
import { Elections } from './support/elections.js';

const request = new AsyncLocalStorage<string>();

@Injectable()
class Worker {
  readonly seen: [event: string, request: string | undefined][] = [];

  @OnGranted()
  granted({ signal }: Term): void {
    this.note('granted');
    signal.addEventListener('abort', () => this.note('aborted'));
  }
  @OnRevoked()
  revoked(): void {
    this.note('revoked');
  }
  @OnNewLeader()
  newLeader(): void {
    this.note('new leader');
  }
  note(event: string): void {
    this.seen.push([event, request.getStore()]);
  }
}

describe('what an election calls', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  const calls: [string, (leadership: LeadershipService) => void][] = [
    ['stepDown()', (leadership) => leadership.stepDown({ cooldownMs: 0 })],
    [
      'suspend() and resume()',
      (leadership) => {
        leadership.suspend();
        leadership.resume();
      },
    ],
    [
      'runIfLeader()',
      (leadership) => {
        void leadership.runIfLeader(() => Promise.resolve());
        leadership.stepDown({ cooldownMs: 0 });
      },
    ],
  ];

  it.each(calls)('belongs to no request after one that calls %s', async (_call, call) => {
    const app = await elections.leading([Worker]);
    const leadership = app.leadership();
    const { seen } = app.get(Worker);
    const told: (string | undefined)[] = [];
    leadership.leadership$.subscribe(() => told.push(request.getStore()));
    seen.length = told.length = 0;
    request.run('request 7', () => call(leadership));
    await elections.clock.advance(10_000);
    await elections.supersede('pod-b');
    await elections.clock.advance(40_000);
    const events = new Set(seen.map(([event]) => event));
    expect(events).toEqual(new Set(['granted', 'aborted', 'revoked', 'new leader']));
    expect(seen.filter(([, store]) => store !== undefined)).toEqual([]);
    expect(told.filter((store) => store !== undefined)).toEqual([]);
  });

  it('belongs to no request when the request started the election', async () => {
    const app = await elections.start({
      imports: [elections.module({ autoStart: false })],
      providers: [Worker],
    });
    request.run('request 7', () => app.leadership().start());
    await elections.clock.advance(30_000);
    const { seen } = app.get(Worker);
    expect(seen).toContainEqual(['granted', undefined]);
    expect(seen.filter(([, store]) => store !== undefined)).toEqual([]);
  });

  it('belongs to no request in a check of eligibility when the request started the election', async () => {
    const seen: (string | undefined)[] = [];
    const check = () => seen.push(request.getStore()) > 0;
    const module = elections.module({ autoStart: false, eligibility: [check] });
    const app = await elections.start({ imports: [module] });
    request.run('request 7', () => app.leadership().start());
    await elections.clock.advance(10_000);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.filter((store) => store !== undefined)).toEqual([]);
  });
});

describe('when the application is made in a context, such as a span of OpenTelemetry', () => {
  it('keeps none of it in handlers, in the lock and in timers', async () => {
    const elections = new Elections();
    const inLock: (string | undefined)[] = [];
    const lock = memoryLock(elections.store);
    const metadata = {
      imports: [
        elections.module({
          lock: (requester) => {
            inLock.push(request.getStore());
            return lock(requester);
          },
        }),
      ],
      providers: [Worker],
    };
    const app = await request.run('a span', () => elections.create(metadata));
    await app.init();
    await elections.clock.advance(10_000);
    await elections.supersede('pod-b');
    await elections.end();
    const { seen } = app.get(Worker);
    expect(new Set(seen.map(([event]) => event))).toContain('revoked');
    expect(seen.filter(([, store]) => store !== undefined)).toEqual([]);
    expect(inLock).toEqual([undefined]);
  });

  it('sets the timers of the real clock outside of it', async () => {
    const module = LeaderElectionModule.forRoot({ role: 'plans', autoStart: false });
    const compiled = await request.run('a span', () =>
      Test.createTestingModule({ imports: [module] }).compile(),
    );
    const clock = compiled.get<SystemClock>(ELECTION_CLOCK, { strict: false });
    const seen = await new Promise((resolve) => {
      clock.setTimer(() => resolve(request.getStore() ?? 'none'), 0);
    });
    expect(seen).toBe('none');
  });
});

describe('a timer of the system clock', () => {
  it('runs in the context in which the clock was made, whoever sets it', async () => {
    const clock = new SystemClock();
    const seen = await request.run(
      'request 7',
      () =>
        new Promise((resolve) => {
          clock.setTimer(() => resolve(request.getStore()), 0);
        }),
    );
    expect(seen).toBeUndefined();
  });
});
