import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { LeaderOnly } from '../../../lib/index.js';
import {
  LeaderOnce,
  type LeaderOnceOptions,
  LeaderSchedule,
  type OnceContext,
} from '../../../lib/schedule/index.js';
import { CuttableStore } from '../support/partial-locks.js';
import { ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

const never = (): Promise<void> => new Promise(() => {});

/** An application whose migration does what the test says. */
function migration(options: Partial<LeaderOnceOptions>, work: (context: OnceContext) => unknown) {
  @Injectable()
  class Schema {
    @LeaderOnce({ key: 'schema', version: 4, ...options })
    migrate(context: OnceContext): unknown {
      return work(context);
    }
  }
  return Schema;
}

/** What a promise came to, as text. */
function told(promise: Promise<unknown>): { as: string } {
  const end = { as: 'waiting' };
  promise.then(
    (value) => (end.as = String(value)),
    (error: unknown) => (end.as = String(error)),
  );
  return end;
}

/** An application behind a store that the test cuts off. */
async function cuttable(providers: Parameters<typeof elections.metadata>[0]) {
  const store = new CuttableStore();
  const lock = store.lock(elections.lock('plan-scheduler'));
  return { store, application: await elections.create(elections.metadata(providers, { lock })) };
}

describe('when one of two migrations that the start waits for fails', () => {
  it('lets the other, which runs here, end and be recorded, and then fails', async () => {
    let finish!: () => void;
    let isAborted = false;
    @Injectable()
    class Migrations {
      @LeaderOnce({ key: 'long', version: 1, waitForOthers: true })
      long({ signal }: OnceContext): Promise<void> {
        signal.addEventListener('abort', () => (isAborted = true));
        return new Promise((resolve) => (finish = resolve));
      }

      @LeaderOnce({ key: 'quick', version: 1, waitForOthers: true })
      quick(): void {
        throw new Error('a typo');
      }
    }
    const application = await elections.create(elections.metadata([Migrations]));
    const start = told(application.init());
    await elections.clock.advance(60_000);
    expect([start.as, isAborted]).toEqual(['waiting', false]);
    finish();
    await elections.clock.advance(5_000);
    expect(start.as).toContain('a typo');
    const schedule = (await elections.started()).get(LeaderSchedule);
    expect(await schedule.inspectOnce('long')).toMatchObject({ state: 'succeeded' });
  });

  it('starts no other, and names all that have failed', async () => {
    const ends: (() => void)[] = [];
    @Injectable()
    class Migrations {
      @LeaderOnce({ key: 'one', version: 1, waitForOthers: true })
      one(): Promise<void> {
        return new Promise((_resolve, reject) => ends.push(() => reject(new Error('first'))));
      }

      @LeaderOnce({ key: 'two', version: 1, waitForOthers: true })
      two(): Promise<void> {
        return new Promise((_resolve, reject) => ends.push(() => reject(new Error('second'))));
      }
    }
    await elections.started(migration({ waitForOthers: false }, never));
    const Waiting = migration({ version: 5, waitForOthers: true }, never);
    const application = await elections.create(elections.metadata([Migrations, Waiting]));
    const start = told(application.init());
    await elections.clock.advance(5_000);
    for (const end of ends) end();
    await elections.clock.advance(5_000);
    expect(start.as).toContain('first');
    expect(start.as).toContain('second');
    expect(start.as).not.toContain('ElectionStopped');
    expect(await application.get(LeaderSchedule).inspectOnce('schema')).toMatchObject({
      version: '4',
      state: 'started',
    });
  });
});

describe('when what is to be called is no function that can be', () => {
  it.each([
    ['nothing', undefined, 'must be a function'],
    [
      'a generator function',
      // eslint-disable-next-line require-yield -- that it never runs is the point
      function* work() {
        throw new Error('never');
      },
      'must not be a generator function',
    ],
  ])('refuses %s, and uses up no version', async (_what, work, rule) => {
    const application = await elections.started();
    const schedule = application.get(LeaderSchedule);
    await expect(schedule.once('schema', 4, work as never)).rejects.toThrow(rule);
    expect(await schedule.inspectOnce('schema')).toBeUndefined();
  });

  it('stops the start with a decorated generator', async () => {
    @Injectable()
    class Generating {
      @LeaderOnce({ key: 'schema', version: 1 })
      *migrate(): Generator<number> {
        yield 1;
      }
    }
    const application = await elections.create(elections.metadata([Generating]));
    await expect(application.init()).rejects.toThrow('must not be a generator function');
  });

  it('rejects for a key that cannot be printed, and does not throw', async () => {
    const application = await elections.started();
    const called = application.get(LeaderSchedule).once(10n as never, 1, () => undefined);
    await expect(called).rejects.toMatchObject({ code: 'ERR_LEADER_ELECTION_OPTIONS' });
  });

  it('names the longest version that it takes', async () => {
    const application = await elections.started();
    const called = application.get(LeaderSchedule).once('k', '1'.repeat(65), () => undefined);
    await expect(called).rejects.toThrow('at most 64 characters');
  });
});

describe('when the application shuts down before its first once()', () => {
  it('starts nothing, in a shutdown hook or after it has closed', async () => {
    let runs = 0;
    let inHook: { as: string } | undefined;
    const work = (): Promise<void> => {
      runs += 1;
      return never();
    };
    @Injectable()
    class Late implements OnApplicationShutdown {
      constructor(private readonly schedule: LeaderSchedule) {}

      onApplicationShutdown(): void {
        inHook = told(this.schedule.once('late', 1, work));
      }
    }
    const application = await elections.started(Late);
    const closing = application.close();
    await elections.clock.advance(30_000);
    await closing;
    const after = told(application.get(LeaderSchedule).once('later', 1, work));
    await elections.clock.advance(30_000);
    for (const end of [inHook, after]) {
      expect(end?.as).toContain('while the application is shutting down');
    }
    expect(runs).toBe(0);
  });
});

describe("when readiness waits for a run that was given up, with waitForOthers 'readiness'", () => {
  it('is ready once that run is recorded as succeeded after all', async () => {
    let finish!: () => void;
    const First = migration({}, () => new Promise<void>((resolve) => (finish = resolve)));
    const { store, application } = await cuttable([First]);
    await application.init();
    await elections.clock.settle();
    const second = await elections.started(migration({ waitForOthers: 'readiness' }, never));
    const schedule = second.get(LeaderSchedule);
    finish();
    store.cut = 'fails';
    await elections.clock.advance(60_000);
    expect(schedule.onceReadiness()).toMatchObject({
      isReady: false,
      waitingFor: [expect.stringContaining('interrupted on')],
    });
    store.cut = undefined;
    await elections.clock.advance(60_000);
    expect(schedule.onceReadiness()).toEqual({ isReady: true, waitingFor: [] });
  });

  it('runs it again, and is ready, once somebody has deleted its entry', async () => {
    let fails = true;
    const Schema = migration({ waitForOthers: 'readiness' }, () => {
      if (fails) throw new Error('no ink');
    });
    const application = await elections.started(Schema);
    const schedule = application.get(LeaderSchedule);
    await elections.clock.advance(60_000);
    expect(schedule.onceReadiness().isReady).toBe(false);
    fails = false;
    elections.store.documents.clear();
    await elections.clock.advance(60_000);
    expect(schedule.onceReadiness()).toEqual({ isReady: true, waitingFor: [] });
  });
});

describe('when the end of a run in this process cannot be recorded', () => {
  it.each(['fails', 'hangs'] as const)(
    'does not let the start wait for that without a bound, where each request %s',
    async (how) => {
      const Schema = migration({ waitForOthers: true, waitTimeoutMs: 10_000 }, () => {
        store.cut = how;
      });
      const { store, application } = await cuttable([Schema]);
      const start = told(application.init());
      await elections.clock.advance(5_000);
      expect(application.get(LeaderSchedule).onceReadiness().waitingFor).toEqual([
        '"schema", version 4 has ended here (succeeded), and that is not recorded yet',
      ]);
      await elections.clock.advance(120_000);
      expect(start.as).toContain('has succeeded in this process');
      expect(start.as).toContain('could not be recorded for 10000 ms (waitTimeoutMs)');
      store.cut = undefined;
    },
  );
});

describe('when a key is wanted twice in one application', () => {
  it.each(['fail', 'rerun'] as const)(
    'stops the start, and runs it once at a time, with onInterrupted %s',
    async (onInterrupted) => {
      let runs = 0;
      const work = (): Promise<void> => {
        runs += 1;
        return never();
      };
      @Injectable()
      class Early {
        constructor(schedule: LeaderSchedule) {
          schedule.once('schema', 4, work, { onInterrupted }).catch(() => undefined);
        }
      }
      const Schema = migration({ onInterrupted }, work);
      const application = await elections.create(elections.metadata([Early, Schema]));
      await elections.clock.advance(3_000);
      await expect(application.init()).rejects.toThrow('key = "schema": must be unique');
      await elections.clock.advance(60_000);
      expect(runs).toBe(1);
      expect(await application.get(LeaderSchedule).inspectOnce('schema')).toMatchObject({
        state: 'started',
      });
    },
  );

  it('says what to do about a class that two modules provide', async () => {
    const Schema = migration({}, never);
    @Module({ providers: [Schema] })
    class Other {}
    const metadata = elections.metadata([Schema]);
    const imports = [...metadata.imports!, Other];
    const application = await elections.create({ ...metadata, imports });
    await expect(application.init()).rejects.toThrow('provide the class in one module');
  });
});

describe('when once() has timed out', () => {
  it('may be called again, and its work is not started in the background', async () => {
    const first = await elections.started(
      migration(
        { onInterrupted: 'rerun' },
        ({ signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          ),
      ),
    );
    const second = await elections.started();
    const runs: string[] = [];
    const once = (name: string) =>
      told(
        second.get(LeaderSchedule).once('schema', 4, () => runs.push(name), {
          waitTimeoutMs: 5_000,
          onInterrupted: 'rerun',
        }),
      );
    const one = once('one');
    await elections.clock.advance(7_000);
    expect(one.as).toContain('OnceTimeoutError');
    const other = once('other');
    await elections.clock.advance(7_000);
    expect(other.as).toContain('OnceTimeoutError');
    expect(other.as).toContain('compete for the lease plan-scheduler-once-schema');
    await first.close();
    await elections.clock.advance(60_000);
    expect(runs).toEqual([]);
    const third = once('third');
    await elections.clock.advance(7_000);
    expect([third.as, runs]).toEqual(['ran', ['third']]);
  });

  it('names the older version that runs, and its replica', async () => {
    const first = await elections.started(migration({}, never));
    const Next = migration({ version: 5, waitForOthers: true, waitTimeoutMs: 10_000 }, never);
    const second = await elections.create(elections.metadata([Next]));
    const start = told(second.init());
    await elections.clock.advance(6_000);
    const { identity } = first.leadership();
    expect(second.get(LeaderSchedule).onceReadiness().waitingFor).toEqual([
      `"schema", version 5 waits for version 4, which runs on ${identity}`,
    ]);
    await elections.clock.advance(12_000);
    expect(start.as).toContain(`Replica ${identity} has been at version 4 since`);
  });
});

describe('when a migration calls the gated method above it', () => {
  it('stops the start, as a call that is skipped would count as done', async () => {
    class Base {
      @LeaderOnly()
      migrate(_context?: unknown): void {}
    }
    @Injectable()
    class Schema extends Base {
      @LeaderOnce({ key: 'schema', version: 1 })
      override migrate(context: OnceContext): void {
        super.migrate(context);
      }
    }
    const application = await elections.create(elections.metadata([Schema]));
    await expect(application.init()).rejects.toThrow('must not be gated by @LeaderOnly()');
  });
});

describe('when a process wants many keys at once', () => {
  it('records them together', async () => {
    const { store, application } = await cuttable([]);
    await application.init();
    const schedule = application.get(LeaderSchedule);
    const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`);
    const ends = keys.map((key) => told(schedule.once(key, 1, () => undefined)));
    await elections.clock.advance(5_000);
    expect(ends.map(({ as }) => as)).toEqual(keys.map(() => 'ran'));
    // A write for the claims of all and one for their ends, and some more for those that come later.
    expect(store.requests.write).toBeLessThan(20);
  });

  it('reads seldom where nobody waits', async () => {
    await elections.started(migration({}, never));
    const { store, application } = await cuttable([migration({}, never)]);
    await application.init();
    await elections.clock.advance(60_000);
    const { read } = store.requests;
    await elections.clock.advance(60_000);
    expect(store.requests.read - read).toBeLessThanOrEqual(5);
  });
});
