import { jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type Type } from '@nestjs/common';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { lastValueFrom, Observable } from 'rxjs';
import {
  currentTerm,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnRevoked,
  type Term,
} from '../../lib/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
} from '../../lib/schedule/index.js';
import { asLeader } from '../../lib/testing/index.js';
import { Elections, ROLE } from './support/elections.js';
import { until } from './support/until.js';

/** Ten functions away, behind awaits, timers and events. */
async function far(): Promise<Term | undefined> {
  await Promise.resolve();
  await sleep(1);
  await new Promise(setImmediate);
  return currentTerm();
}

/** As a query builder, which does its work when it is awaited. */
function lazily(): PromiseLike<Term | undefined> {
  return {
    // oxlint-disable-next-line unicorn/no-thenable -- that is what this is about
    then: (resolve) => {
      const term = currentTerm();
      return Promise.resolve(term).then(resolve);
    },
  };
}

@Injectable()
class Work {
  readonly seen: Record<string, Term | undefined> = {};
  contextTerm: Term | undefined;

  @LeaderOnly()
  now(): Term | undefined {
    return currentTerm();
  }

  @LeaderOnly()
  async later(): Promise<Term | undefined> {
    return far();
  }

  @LeaderOnly()
  stream(): Observable<Term | undefined> {
    return new Observable((subscriber) => {
      void far().then((term) => {
        subscriber.next(term);
        subscriber.complete();
      });
    });
  }

  @LeaderOnly()
  async *items(): AsyncGenerator<Term | undefined, void> {
    yield currentTerm();
    yield far();
  }

  @LeaderOnly()
  query(): PromiseLike<Term | undefined> {
    return lazily();
  }

  @LeaderOnly()
  async queryLater(): Promise<Term | undefined> {
    return lazily();
  }

  @LeaderOnly()
  *rows(): Generator<Term | undefined> {
    yield currentTerm();
  }

  @OnGranted()
  async granted(): Promise<void> {
    this.seen['granted'] = await far();
  }

  @OnRevoked()
  revoked(): void {
    this.seen['revoked'] = currentTerm();
  }

  @LeaderCron('* * * * * *', { name: 'job' })
  async job({ term }: LeaderCronContext): Promise<void> {
    this.contextTerm = term;
    this.seen['job'] = await far();
  }

  @Interval(10)
  async tick(): Promise<void> {
    this.seen['tick'] = await far();
  }
}

let elections: Elections;
beforeEach(() => (elections = new Elections()));
afterEach(() => elections.end());

describe('When code runs below a gated call, currentTerm()', () => {
  const start = async () => {
    const app = await elections.start({
      imports: [
        ScheduleModule.forRoot(),
        elections.module({ gateSchedules: true }),
        LeaderScheduleModule,
      ],
      providers: [Work],
    });
    await elections.clock.settle();
    const leadership = app.leadership();
    return { work: app.get(Work), leadership, term: leadership.term! };
  };

  it('is the term in @LeaderOnly(), whatever that returns', async () => {
    const { work, term } = await start();
    expect(work.now()).toBe(term);
    expect(await work.later()).toBe(term);
    expect(await lastValueFrom(work.stream())).toBe(term);
    const items: unknown[] = [];
    for await (const item of work.items()) items.push(item, currentTerm());
    expect(items).toEqual([term, undefined, term, undefined]);
  });

  it('is the term in runIfLeader(), guard() and the timers that a role gates', async () => {
    const { work, leadership, term } = await start();
    expect(await leadership.runIfLeader(far)).toBe(term);
    expect(await leadership.guard(far)()).toBe(term);
    await until(() => 'tick' in work.seen);
    expect(work.seen['tick']).toBe(term);
  });

  it('is the term where a query builder is run, which is when its then is called', async () => {
    const { work, leadership, term } = await start();
    expect(await work.query()).toBe(term);
    expect(await work.queryLater()).toBe(term);
    expect(await leadership.runIfLeader(lazily)).toBe(term);
    expect(await leadership.guard(lazily)()).toBe(term);
    expect(currentTerm()).toBeUndefined();
  });

  it('is undefined in a generator that is not async, whose body runs where it is iterated', async () => {
    const { work } = await start();
    expect([...work.rows()]).toEqual([undefined]);
  });

  it('is the term in @OnGranted() and @LeaderCron(), and undefined in @OnRevoked()', async () => {
    const { work, leadership, term } = await start();
    await elections.clock.advance(1_000);
    await until(() => 'granted' in work.seen && 'job' in work.seen);
    expect([work.seen['granted'], work.seen['job'], work.contextTerm]).toEqual([term, term, term]);
    expect(work.seen['job']).toBe(term);
    leadership.stepDown();
    await elections.clock.settle();
    expect('revoked' in work.seen).toBe(true);
    expect(work.seen['revoked']).toBeUndefined();
  });

  it('is the term for a second copy of this library, as a package that requires it has one', async () => {
    const { leadership, term } = await start();
    await jest.isolateModulesAsync(async () => {
      const copy = await import('../../lib/election/current-term.js');
      expect(copy.currentTerm).not.toBe(currentTerm);
      expect(leadership.runIfLeader(() => copy.currentTerm())).toBe(term);
    });
  });

  it('is undefined outside, also for the caller of a gated call', async () => {
    const { work } = await start();
    expect(currentTerm()).toBeUndefined();
    const running = work.later();
    expect(currentTerm()).toBeUndefined();
    await running;
    expect([currentTerm(), await far()]).toEqual([undefined, undefined]);
  });

  it('is a term that has ended, with its signal aborted, for work that is still under way', async () => {
    const { leadership, term } = await start();
    let seen: Term | undefined;
    let end!: () => void;
    const running = leadership.runIfLeader(async () => {
      await new Promise<void>((resolve) => (end = resolve));
      seen = currentTerm();
    });
    leadership.stepDown();
    end();
    await running;
    expect(seen).toBe(term);
    expect(seen?.signal.aborted).toBe(true);
  });

  it('is undefined on a follower, for what is not gated', async () => {
    await elections.leadingRival('pod-b');
    const { work } = await start();
    expect([work.now(), await far()]).toEqual([undefined, undefined]);
  });

  it('is a later term in the next one, though a timer was set in the first', async () => {
    const { leadership, term } = await start();
    const later = leadership.runIfLeader(() => () => leadership.runIfLeader(far))!;
    leadership.stepDown({ cooldownMs: 0 });
    await elections.clock.advance(4_000);
    const second = await leadership.runIfLeader(() => later());
    expect(second?.number).toBeGreaterThan(term.number);
  });
});

describe('When several roles or applications are in one process, currentTerm()', () => {
  it('is that of the innermost gated call, and of an outer one by its role', async () => {
    @Injectable()
    class Nested {
      @LeaderOnly('outer')
      outer(): unknown {
        return [currentTerm()?.role, this.inner(), currentTerm()?.role];
      }
      @LeaderOnly('inner')
      inner(): unknown {
        const [inner, outer, other] = [currentTerm(), currentTerm('outer'), currentTerm('other')];
        return [inner?.role, outer?.role, other];
      }
    }
    const lock = memoryLock(elections.store);
    const app = await elections.start({
      imports: ['outer', 'inner'].map((role) => LeaderElectionModule.forRoot({ role, lock })),
      providers: [Nested],
    });
    await elections.clock.settle();
    expect(app.get(Nested).outer()).toEqual(['outer', ['inner', 'outer', undefined], 'outer']);
  });

  it('is of its own application in each, though they work at the same time and call each other', async () => {
    const others = new Elections();
    try {
      const start = async (from: Elections) => {
        const app = await from.leading([], { role: ROLE });
        return app.leadership();
      };
      const [first, second]: LeadershipService[] = [await start(elections), await start(others)];
      const work = async (other: LeadershipService) => {
        const seen = [await far()];
        seen.push(await other.runIfLeader(far), await far());
        seen.push(
          other.runIfLeader(() => currentTerm(ROLE)),
          currentTerm(ROLE),
        );
        return seen.map((term) => term?.holderIdentity) as unknown[];
      };
      const seen = await Promise.all([
        first!.runIfLeader(() => work(second!)),
        second!.runIfLeader(() => work(first!)),
      ]);
      const [one, two] = [first!.identity, second!.identity];
      expect(seen).toEqual([
        [one, two, one, two, one],
        [two, one, two, one, two],
      ]);
    } finally {
      await others.end();
    }
  });
});

describe('When a test replaces leadership, currentTerm()', () => {
  it('is the term of a stand-in', () => {
    const work = asLeader(new (Work as Type<Work>)());
    expect(work.now()).toMatchObject({ holderIdentity: 'test-process' });
  });

  it('is undefined for a stub that has isLeader() alone, and for a mock of every property', async () => {
    const isLeader = () => true;
    const get = (_target: object, key: string | symbol): unknown =>
      typeof key === 'symbol' || key === 'then' ? undefined : isLeader;
    const all = new Proxy({ isLeader }, { get });
    for (const stub of [{ isLeader }, all]) {
      const builder = elections
        .builder({ imports: [elections.module()], providers: [Gated] })
        .overrideProvider(LeadershipService)
        .useValue(stub);
      const app = (await builder.compile()).createNestApplication({ logger: false });
      await app.init();
      expect(app.get(Gated).run()).toEqual(['ran', undefined]);
      await app.close();
    }
  });
});

@Injectable()
class Gated {
  @LeaderOnly()
  run(): unknown {
    return ['ran', currentTerm()];
  }
}
