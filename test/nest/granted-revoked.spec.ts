import { Controller, Injectable, Scope } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { setImmediate } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Observable, of, throwError } from 'rxjs';
import {
  LeaderElectionModule,
  LeadershipHandlerError,
  LeadershipService,
  OnGranted,
  OnNewLeader,
  OnRevoked,
  type RevocationReason,
  type Term,
} from '../../lib/index.js';
import { hostileValues } from '../support/hostile-values.js';
import { Elections } from './support/elections.js';

/** Settled from outside: a handler that takes as long as the test likes. */
function gate() {
  let open!: () => void;
  let fail!: (error: Error) => void;
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}

describe('@OnGranted(), @OnRevoked() and @OnNewLeader()', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  @Injectable()
  class Worker {
    readonly events: unknown[][] = [];
    constructor(private readonly leadership: LeadershipService) {}

    @OnGranted()
    start(term: Term): void {
      this.events.push(['granted', term, this.leadership.isLeader(), term.signal.aborted]);
    }

    @OnRevoked()
    stop(term: Term, reason: RevocationReason): void {
      this.events.push([reason, term, this.leadership.isLeader(), term.signal.aborted]);
    }

    @OnNewLeader()
    follow(leader: string): void {
      this.events.push(['leader', leader]);
    }
  }

  describe('when the application has no election', () => {
    it.each([
      ['no module', [], OnGranted],
      ['the module without forRoot()', [LeaderElectionModule], OnGranted],
      ['no module', [], OnRevoked],
      ['no module', [], OnNewLeader],
    ])('with %s, does not start: %#', async (_, imports, decorate) => {
      class Handling {
        @decorate('plans')
        handle(): void {}
      }
      const compiled = Test.createTestingModule({ imports, providers: [Handling] }).compile();
      await expect(compiled).rejects.toThrow(
        /@OnGranted\(\).* need LeaderElectionModule\.forRoot\(\{ role: … \}\) in the application/,
      );
    });
  });

  describe('when terms begin and end', () => {
    it('calls in pairs, in order, with the term, leading inside the one and not inside the other', async () => {
      const app = await elections.leading([Worker], { identity: 'pod-a' });
      const { events } = app.get(Worker);
      const first = app.leadership().term;
      await elections.supersede('pod-b');
      await elections.supersede('');
      await elections.clock.advance(3_000);
      const second = app.leadership().term;
      app.leadership().stepDown();
      await elections.clock.settle();
      const ofTerms = events.filter(([kind]) => kind !== 'leader');
      expect(ofTerms.map(([kind, , leads, aborted]) => [kind, leads, aborted])).toEqual([
        ['granted', true, false],
        ['superseded', false, true],
        ['granted', true, false],
        ['stepped-down', false, true],
      ]);
      expect(ofTerms.map(([, term]) => [first, second].indexOf(term as Term))).toEqual([
        0, 0, 1, 1,
      ]);
      expect(events.filter(([kind]) => kind === 'leader').map(([, leader]) => leader)).toEqual([
        'pod-a',
        'pod-b',
        'pod-a',
      ]);
      expect(second!.number).toBeGreaterThan(first!.number);
    });

    it('calls handlers of what a factory made under a symbol', async () => {
      const terms: number[] = [];
      class Made {
        @OnGranted()
        start(term: Term): void {
          terms.push(term.number);
        }
      }
      await elections.leading([{ provide: Symbol('made'), useFactory: () => new Made() }]);
      expect(terms).toEqual([1]);
    });

    it('calls handlers of controllers, of factories, and inherited ones, each instance once', async () => {
      const calls: string[] = [];
      class Base {
        @OnGranted()
        start(): void {
          calls.push(`${this.constructor.name}.start`);
        }
        @OnGranted()
        overridden(): void {
          calls.push('never');
        }
      }
      class Derived extends Base {
        override overridden(): void {
          calls.push('never');
        }
        @OnGranted()
        override start(): void {
          super.start();
        }
      }
      class Inheriting extends Base {
        override overridden(): void {
          calls.push('never');
        }
      }
      @Controller('c')
      class AController {
        @OnGranted()
        start(): void {
          calls.push('AController.start');
        }
      }
      class Made {
        @OnGranted()
        start(): void {
          calls.push('Made.start');
        }
      }
      await elections.start({
        imports: [elections.module()],
        controllers: [AController],
        providers: [
          Derived,
          Inheriting,
          { provide: 'alias', useExisting: Derived },
          { provide: 'made', useFactory: () => new Made() },
          { provide: 'same', useFactory: (made: Made) => made, inject: ['made'] },
        ],
      });
      await elections.clock.settle();
      expect(calls.sort()).toEqual([
        'AController.start',
        'Derived.start',
        'Inheriting.start',
        'Made.start',
      ]);
    });
  });

  describe('when a granted handler is slow', () => {
    it('renews beside it, and the next term waits for its end', async () => {
      const slow = gate();
      const events: string[] = [];
      class Slow {
        @OnGranted()
        async start(term: Term): Promise<void> {
          events.push(`begins ${term.number}`);
          if (term.number === 1) await slow.opened;
          events.push(`ends ${term.number}`);
        }
        @OnRevoked()
        stop(term: Term): void {
          events.push(`revoked ${term.number}`);
        }
      }
      const leadership = (await elections.leading([Slow])).leadership();
      await elections.clock.advance(60_000);
      expect(leadership.term!.number).toBe(1);
      leadership.stepDown({ cooldownMs: 0 });
      await elections.clock.advance(15_000);
      expect(leadership.isLeader()).toBe(false);
      expect(events).toEqual(['begins 1', 'revoked 1']);
      slow.open();
      await elections.clock.advance(10_000);
      expect(events).toEqual(['begins 1', 'revoked 1', 'ends 1', 'begins 2', 'ends 2']);
    });

    it('keeps the lease until it has ended', async () => {
      const slow = gate();
      class Slow {
        @OnGranted()
        start(): Promise<void> {
          return slow.opened;
        }
      }
      const app = await elections.leading([Slow], { identity: 'pod-a' });
      app.leadership().stepDown({ cooldownMs: 60_000 });
      await elections.clock.advance(10_000);
      expect(elections.holder()).toBe('pod-a');
      slow.open();
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
    });

    it('is no error when it ends with the reason of the signal', async () => {
      class Loop {
        @OnGranted()
        async work({ signal }: Term): Promise<void> {
          await sleep(60_000, undefined, { signal });
        }
        @OnGranted()
        async fetchLike({ signal }: Term): Promise<void> {
          await new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        }
      }
      const leadership = (await elections.leading([Loop])).leadership();
      const errors: unknown[] = [];
      leadership.errors$.subscribe((error) => errors.push(error));
      leadership.stepDown({ cooldownMs: 0 });
      await elections.clock.advance(5_000);
      expect(leadership.term!.number).toBe(2);
      expect(errors).toEqual([]);
    });
  });

  describe('when a granted handler returns a stream', () => {
    const log: string[] = [];
    const stream = () =>
      new Observable<number>((subscriber) => {
        log.push('begins');
        subscriber.next(1);
        return () => void log.push('ends');
      });
    async function* generator(): AsyncGenerator<number> {
      log.push('begins');
      try {
        for (;;) yield await new Promise<number>((resolve) => void setImmediate(resolve, 1));
      } finally {
        log.push('ends');
      }
    }
    beforeEach(() => log.splice(0));

    it.each<[string, () => unknown]>([
      ['an Observable', stream],
      ['an async generator', generator],
    ])('consumes it until the term ends, and that is no failure: %s', async (_name, make) => {
      class Worker {
        @OnGranted()
        start(): unknown {
          return make();
        }
      }
      const leadership = (await elections.leading([Worker])).leadership();
      const errors: unknown[] = [];
      leadership.errors$.subscribe((error) => errors.push(error));
      expect(log).toEqual(['begins']);
      leadership.stepDown();
      for (let turns = 0; turns < 20; turns += 1) await elections.clock.settle();
      expect(log).toEqual(['begins', 'ends']);
      expect(elections.holder()).toBe('');
      expect(errors).toEqual([]);
    });

    it('keeps leading when it ends by itself', async () => {
      class Worker {
        @OnGranted()
        start(): Observable<number> {
          return of(1);
        }
      }
      const leadership = (await elections.leading([Worker])).leadership();
      await elections.clock.settle();
      expect(leadership.isLeader()).toBe(true);
    });

    it.each<[string, () => unknown]>([
      ['an Observable', () => throwError(() => new Error('broken stream'))],
      [
        'an async generator',
        async function* () {
          yield await Promise.reject(new Error('broken stream'));
        },
      ],
      [
        'an Observable whose teardown throws at the end of the term',
        () =>
          new Observable(() => () => {
            throw new Error('broken stream');
          }),
      ],
    ])('reports that it failed: %s', async (_name, make) => {
      class Worker {
        @OnGranted()
        start(): unknown {
          return make();
        }
      }
      const app = await elections.create({ imports: [elections.module()], providers: [Worker] });
      const errors: unknown[] = [];
      app.leadership().errors$.subscribe(({ cause }) => errors.push(cause));
      await app.init();
      await elections.clock.settle();
      app.leadership().stepDown();
      await elections.clock.settle();
      expect(errors).toHaveLength(1);
      expect(String(errors[0])).toContain('broken stream');
    });
  });

  describe('when a granted handler throws', () => {
    it('steps down with reason handler-failed, and waits longer each time before it competes again', async () => {
      const reasons: RevocationReason[] = [];
      const at: number[] = [];
      let broken = true;
      class Broken {
        @OnGranted()
        start(): void {
          at.push(elections.clock.now());
          if (broken) throw new Error('no database');
        }
        @OnRevoked()
        stop(_term: Term, reason: RevocationReason): void {
          reasons.push(reason);
        }
      }
      const leadership = (await elections.leading([Broken])).leadership();
      const errors: unknown[] = [];
      leadership.errors$.subscribe((error) => errors.push(error));
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(200_000);
      const pauses = at.map((time, index) => Math.round((time - (at[index - 1] ?? time)) / 1_000));
      expect(pauses).toEqual([0, 4, 8, 16, 32, 60, 60]);
      expect(new Set(reasons)).toEqual(new Set(['handler-failed']));
      expect(reasons).toHaveLength(at.length);
      expect(errors[0]).toBeInstanceOf(LeadershipHandlerError);
      expect(errors[0]).toMatchObject({
        code: 'ERR_LEADERSHIP_HANDLER',
        handler: 'Broken.start',
        cause: new Error('no database'),
      });
      broken = false;
      await elections.clock.advance(60_000);
      expect(leadership.isLeader()).toBe(true);
      broken = true;
      leadership.stepDown({ cooldownMs: 0 });
      await elections.clock.advance(2_500);
      const failedAt = at.at(-1)!;
      await elections.clock.advance(6_000);
      expect(Math.round((at.at(-1)! - failedAt) / 1_000)).toBe(4);
    });

    it('stays away no longer for two handlers that fail in one term', async () => {
      const at: number[] = [];
      class Broken {
        @OnGranted()
        one(): void {
          at.push(elections.clock.now());
          throw new Error('one');
        }
        @OnGranted()
        other(): void {
          throw new Error('other');
        }
      }
      await elections.leading([Broken]);
      await elections.clock.advance(6_000);
      expect(Math.round((at[1]! - at[0]!) / 1_000)).toBe(4);
    });

    it('calls the other granted handlers and, in the end, the revoked ones', async () => {
      const calls: string[] = [];
      class Broken {
        @OnGranted()
        breaks(): void {
          throw new Error('broken');
        }
        @OnGranted()
        async rejects(): Promise<void> {
          await Promise.resolve();
          throw new Error('broken too');
        }
        @OnGranted()
        works(): void {
          calls.push('granted');
        }
        @OnRevoked()
        stop(): void {
          calls.push('revoked');
        }
      }
      const app = await elections.create({ imports: [elections.module()], providers: [Broken] });
      const errors: string[] = [];
      app.leadership().errors$.subscribe((error) => errors.push(error.message));
      await app.init();
      await elections.clock.settle();
      expect(calls).toEqual(['granted', 'revoked']);
      expect(errors).toEqual([
        expect.stringContaining('Broken.breaks'),
        expect.stringContaining('Broken.rejects'),
      ]);
    });
  });

  describe('when a handler throws something that cannot be looked at', () => {
    it.each(Object.entries(hostileValues()))(
      'steps down all the same: %s',
      async (_what, thrown) => {
        class Broken {
          @OnGranted()
          start(): void {
            throw thrown;
          }
          @OnRevoked()
          stop(): void {
            throw thrown;
          }
        }
        const app = await elections.create({ imports: [elections.module()], providers: [Broken] });
        const leadership = app.leadership();
        const causes: unknown[] = [];
        leadership.errors$.subscribe(({ cause }) => causes.push(cause));
        await app.init();
        await elections.clock.settle();
        expect(leadership.isLeader()).toBe(false);
        expect(elections.holder()).toBe('');
        expect(causes).toHaveLength(2);
        expect(causes.every((cause) => Object.is(cause, thrown))).toBe(true);
        await elections.clock.advance(5_000);
        expect(causes).toHaveLength(4);
      },
    );

    it('has stepped down before the error is told', async () => {
      class Broken {
        @OnGranted()
        start(): void {
          throw new Error('no database');
        }
      }
      const app = await elections.create({ imports: [elections.module()], providers: [Broken] });
      const leadership = app.leadership();
      const leadsWhenTold: boolean[] = [];
      leadership.errors$.subscribe(() => leadsWhenTold.push(leadership.isLeader()));
      await app.init();
      await elections.clock.settle();
      expect(leadsWhenTold).toEqual([false]);
    });
  });

  describe('when a revoked or new-leader handler throws', () => {
    it('is reported and changes nothing else', async () => {
      const calls: string[] = [];
      class Broken {
        @OnRevoked()
        breaks(): void {
          throw new Error('broken');
        }
        @OnRevoked()
        works(): void {
          calls.push('revoked');
        }
        @OnNewLeader()
        follow(leader: string): void {
          throw new Error(`not ${leader}`);
        }
      }
      const leadership = (await elections.leading([Broken], { identity: 'pod-a' })).leadership();
      const errors: string[] = [];
      leadership.errors$.subscribe((error) => errors.push(error.message));
      leadership.stepDown({ cooldownMs: 0 });
      await elections.clock.advance(5_000);
      expect(leadership.isLeader()).toBe(true);
      expect(calls).toEqual(['revoked']);
      expect(errors).toEqual([
        expect.stringContaining('Broken.breaks'),
        expect.stringContaining('not pod-a'),
      ]);
    });
  });

  describe('when a term ends before its granted handlers began', () => {
    it('calls neither kind', async () => {
      const app = await elections.create({ imports: [elections.module()], providers: [Worker] });
      const leadership = app.leadership();
      let terms = 0;
      leadership.granted$.subscribe(() => {
        terms += 1;
        if (terms === 1) leadership.stepDown({ cooldownMs: 0 });
      });
      await app.init();
      await elections.clock.advance(5_000);
      const kinds = app.get(Worker).events.filter(([kind]) => kind !== 'leader');
      expect(terms).toBe(2);
      expect(kinds).toEqual([['granted', leadership.term, true, false]]);
    });
  });

  describe('when a handler gives leadership up', () => {
    it('finds it gone when that call returns', async () => {
      let after: boolean | undefined;
      @Injectable()
      class Shy {
        constructor(private readonly leadership: LeadershipService) {}
        @OnGranted()
        start(): void {
          this.leadership.stepDown();
          after = this.leadership.isLeader();
        }
      }
      await elections.leading([Shy]);
      expect(after).toBe(false);
    });
  });

  describe('when leadership is given up in the middle of other code', () => {
    it('calls no handler before that code goes on', async () => {
      const app = await elections.leading([Worker]);
      const { events } = app.get(Worker);
      events.length = 0;
      app.leadership().stepDown();
      events.push(['goes on']);
      await elections.clock.settle();
      expect(events.map(([kind]) => kind)).toEqual(['goes on', 'stepped-down']);
    });
  });

  describe('when a handler cannot be called', () => {
    it.each([Scope.REQUEST, Scope.TRANSIENT])('stops the start for scope %p', async (scope) => {
      @Injectable({ scope })
      class Scoped {
        @OnGranted()
        start(): void {}
      }
      const app = await elections.create({ imports: [elections.module()], providers: [Scoped] });
      await expect(app.init()).rejects.toThrow(/@OnGranted\(\) on Scoped\.start.*default scope/s);
    });

    it.each([
      ['OnGranted', OnGranted],
      ['OnRevoked', OnRevoked],
      ['OnNewLeader', OnNewLeader],
    ] as const)('refuses @%s on static methods and properties at decoration', (name, decorator) => {
      class Target {
        static work(): void {}
      }
      const descriptor = Object.getOwnPropertyDescriptor(Target, 'work');
      expect(() => decorator()(Target, 'work', descriptor as never)).toThrow(
        new RegExp(`@${name}\\(\\) on Target\\.work.*static`),
      );
      expect(() => decorator()(Target.prototype, 'arrow', undefined as never)).toThrow(
        new RegExp(`@${name}\\(\\) on Target\\.arrow.*property`),
      );
    });
  });
});
