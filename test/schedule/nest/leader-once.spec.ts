import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ConsoleLogger,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type Type,
} from '@nestjs/common';
import { Cron, Interval, Timeout } from '@nestjs/schedule';
import {
  currentTerm,
  LeaderElectionOptionsError,
  LeaderOnly,
  leaseLock,
  memoryLock,
} from '../../../lib/index.js';
import {
  LeaderCron,
  LeaderOnce,
  type LeaderOnceOptions,
  LeaderSchedule,
  LeaderScheduleModule,
  type OnceContext,
  type RunEvent,
} from '../../../lib/schedule/index.js';
import { LeaderElectionTestingModule } from '../../../lib/testing/index.js';
import { Test } from '@nestjs/testing';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { ScheduledApplications } from '../support/scheduled-applications.js';
import { withoutLeaseBeside } from '../support/partial-locks.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

interface Migration {
  readonly runs: OnceContext[];
  readonly order: string[];
}

/** A provider whose migration does what the test says. */
function migration(
  options: Partial<LeaderOnceOptions> = {},
  work: (context: OnceContext) => unknown = () => undefined,
): Type<Migration> {
  @Injectable()
  class Schema implements OnApplicationBootstrap {
    readonly runs: OnceContext[] = [];
    readonly order: string[] = [];

    onModuleInit(): void {
      this.order.push('module init');
    }

    onApplicationBootstrap(): void {
      this.order.push('bootstrap');
    }

    @LeaderOnce({ key: 'schema', version: 4, waitForOthers: true, ...options })
    async migrate(context: OnceContext): Promise<void> {
      this.runs.push(context);
      await work(context);
      this.order.push('migrated');
    }
  }
  return Schema;
}

describe('when an application starts with a migration that it waits for', () => {
  it('runs it after all onModuleInit hooks and before the start goes on', async () => {
    const Schema = migration();
    const application = await elections.started(Schema);
    const { order, runs } = application.get(Schema);
    expect(order).toEqual(['module init', 'migrated', 'bootstrap']);
    expect(runs).toMatchObject([{ key: 'schema', version: '4', attempt: 1 }]);
    expect(runs[0]!.term.role).toBe('plan-scheduler-once');
  });

  it('runs it in its term, which code below it can ask for', async () => {
    const seen: unknown[] = [];
    const Schema = migration({}, async () => {
      await Promise.resolve();
      seen.push(currentTerm());
    });
    const application = await elections.started(Schema);
    expect(seen).toEqual([application.get(Schema).runs[0]!.term]);
    expect(currentTerm()).toBeUndefined();
  });

  it('runs it once in the fleet, and the others start when it is over', async () => {
    let finish!: () => void;
    const First = migration({}, () => new Promise<void>((resolve) => (finish = resolve)));
    const Second = migration();
    const first = await elections.create(elections.metadata([First]));
    const second = await elections.create(elections.metadata([Second]));
    const started: string[] = [];
    const starting = [
      first.init().then(() => started.push('first')),
      elections.clock.settle().then(async () => {
        await second.init();
        started.push('second');
      }),
    ];
    await elections.clock.advance(30_000);
    expect(started).toEqual([]);
    finish();
    await elections.clock.advance(5_000);
    await Promise.all(starting);
    expect(started).toEqual(['first', 'second']);
    expect(second.get(Second).runs).toEqual([]);
    expect(await second.get(LeaderSchedule).inspectOnce('schema')).toMatchObject({
      key: 'schema',
      version: '4',
      state: 'succeeded',
      attempt: 1,
      holderIdentity: first.leadership().identity,
      startedAt: new Date('2026-01-01T00:00:00Z'),
      endedAt: expect.any(Date),
      reason: null,
    });
  });

  it('does not need the leader of the role, which may be an older version that never heard of it', async () => {
    await elections.leadingRival('an older version');
    const Schema = migration();
    const application = await elections.started(Schema);
    expect(application.get(Schema).runs).toHaveLength(1);
    expect(application.leadership().isLeader()).toBe(false);
  });

  it('runs a newer version again, and after a rollback nothing', async () => {
    const [V4, V5, V4Again] = [migration(), migration({ version: '5.0' }), migration()];
    const runs: number[] = [];
    for (const Version of [V4, V5, V4Again]) {
      const application = await elections.started(Version);
      runs.push(application.get(Version).runs.length);
    }
    expect(runs).toEqual([1, 1, 0]);
  });

  it('fails where it fails, and in every replica after that', async () => {
    const Failing = migration({}, () => Promise.reject(new Error('no ink')));
    for (const Version of [Failing, migration()]) {
      const application = await elections.create(elections.metadata([Version]));
      await expect(application.init()).rejects.toMatchObject({
        code: 'ERR_ONCE_FAILED',
        message: expect.stringContaining('no ink'),
      });
    }
    expect([...elections.store.documents.keys()]).toEqual(['default/plan-scheduler-once']);
    await elections.clock.advance(60_000);
    expect(elections.holder('plan-scheduler-once-schema')).toBe('');
  });

  it('gives up after waitTimeoutMs, and says which replica is at it', async () => {
    const Slow = migration({}, () => new Promise(() => {}));
    const first = await elections.create(elections.metadata([Slow]));
    first.init().catch(() => undefined);
    await elections.clock.settle();
    const second = await elections.create(
      elections.metadata([migration({ waitTimeoutMs: 10_000 })]),
    );
    const failed = second.init().catch((error: unknown) => error);
    await elections.clock.advance(12_000);
    expect(await failed).toMatchObject({
      code: 'ERR_ONCE_TIMEOUT',
      holderIdentity: first.leadership().identity,
    });
  });
});

describe('when an application does not wait for its migration', () => {
  it('starts at once, and the first replica runs it', async () => {
    let finish!: () => void;
    const Schema = migration(
      { waitForOthers: false },
      () => new Promise<void>((resolve) => (finish = resolve)),
    );
    const application = await elections.started(Schema);
    expect(application.get(Schema).order).toEqual(['module init', 'bootstrap']);
    expect(application.get(LeaderSchedule).onceReadiness().isReady).toBe(true);
    finish();
    await elections.clock.settle();
    expect(application.get(Schema).order).toContain('migrated');
  });

  it('is not ready until it is over, if readiness waits for it', async () => {
    let finish!: () => void;
    const wait = { waitForOthers: 'readiness' } as const;
    const First = migration(wait, () => new Promise<void>((resolve) => (finish = resolve)));
    const Second = migration(wait);
    const first = await elections.started(First);
    const second = await elections.started(Second);
    const schedule = second.get(LeaderSchedule);
    expect(second.get(Second).order).toEqual(['module init', 'bootstrap']);
    expect(schedule.onceReadiness()).toEqual({
      isReady: false,
      waitingFor: [`"schema", version 4 runs on ${first.leadership().identity}`],
    });
    finish();
    await elections.clock.advance(3_000);
    expect(schedule.onceReadiness()).toEqual({ isReady: true, waitingFor: [] });
  });

  it('stays unready if it failed, and says how', async () => {
    const Failing = migration({ waitForOthers: 'readiness' }, () =>
      Promise.reject(new Error('no ink')),
    );
    const application = await elections.started(Failing);
    await elections.clock.settle();
    expect(application.get(LeaderSchedule).onceReadiness()).toEqual({
      isReady: false,
      waitingFor: [expect.stringMatching(/"schema", version 4 failed on .*: Error: no ink/)],
    });
  });
});

describe('when the application closes during its migration', () => {
  it('aborts the signal, records the interruption and releases the lease before it has closed', async () => {
    const Schema = migration(
      { waitForOthers: false, onInterrupted: 'rerun' },
      ({ signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        ),
    );
    const application = await elections.started(Schema);
    expect(application.get(Schema).runs).toHaveLength(1);
    await application.close();
    expect(elections.holder('plan-scheduler-once-schema')).toBe('');
    const Next = migration({ onInterrupted: 'rerun' });
    const next = await elections.started(Next);
    expect(next.get(Next).runs).toMatchObject([{ attempt: 2 }]);
  });
});

describe('when work is given at run time', () => {
  it('runs once per version, and says where it ran', async () => {
    const [one, two] = [await elections.started(), await elections.started()];
    const runs: string[] = [];
    const once = (application: typeof one, version: number) =>
      application.get(LeaderSchedule).once('import', version, () => runs.push(`v${version}`));
    await expect(once(one, 1)).resolves.toBe('ran');
    await expect(once(two, 1)).resolves.toBe('succeeded');
    await expect(once(two, 2)).resolves.toBe('ran');
    await expect(once(one, 1)).resolves.toBe('superseded');
    expect(runs).toEqual(['v1', 'v2']);
  });

  it('may be awaited in onModuleInit, before the election begins', async () => {
    const order: string[] = [];
    @Injectable()
    class Early {
      constructor(private readonly schedule: LeaderSchedule) {}

      async onModuleInit(): Promise<void> {
        order.push(await this.schedule.once('early', 1, () => order.push('work')));
      }
    }
    await elections.started(Early);
    expect(order).toEqual(['work', 'ran']);
  });

  it('refuses a key that is outstanding, or that a decorator has', async () => {
    const application = await elections.started(migration());
    const schedule = application.get(LeaderSchedule);
    void schedule.once('slow', 1, () => new Promise(() => {})).catch(() => undefined);
    for (const key of ['slow', 'schema']) {
      await expect(schedule.once(key, 2, () => undefined)).rejects.toThrow(
        `LeaderSchedule.once("${key}"): key = "${key}": must be unique`,
      );
    }
  });

  it('tells who waits that the application shuts down', async () => {
    const application = await elections.started();
    const waiting = application
      .get(LeaderSchedule)
      .once('slow', 1, () => new Promise(() => {}))
      .catch((error: unknown) => error);
    await elections.clock.settle();
    const closing = application.close();
    await elections.clock.advance(60_000);
    await closing;
    expect(await waiting).toMatchObject({ code: 'ERR_ELECTION_STOPPED' });
    await expect(application.get(LeaderSchedule).once('later', 1, () => undefined)).rejects.toThrow(
      'while the application is shutting down',
    );
  });
});

describe('when an application context does not listen', () => {
  const made = () => elections.builder(elections.metadata([migration()])).compile();

  it('migrates, and runs what it is given at run time', async () => {
    const application = await (await made()).init();
    const ran = application.get(LeaderSchedule).once('report', 1, () => undefined);
    await elections.clock.settle();
    expect(await ran).toBe('ran');
    const schedule = application.get(LeaderSchedule);
    expect(await schedule.inspectOnce('schema')).toMatchObject({ state: 'succeeded' });
    await application.close();
  });

  it('migrates nothing in a REPL, and runs what a person gives it there', async () => {
    class ReplLogger extends ConsoleLogger {}
    const application = await made();
    Logger.overrideLogger(new ReplLogger({ logLevels: [] }));
    try {
      await application.init();
      const schedule = application.get(LeaderSchedule);
      expect(await schedule.inspectOnce('schema')).toBeUndefined();
      const ran = schedule.once('report', 1, () => undefined);
      await elections.clock.settle();
      expect(await ran).toBe('ran');
      await application.close();
    } finally {
      Logger.overrideLogger(false);
    }
  });
});

describe('when a method is claimed and a timer of @nestjs/schedule too', () => {
  const TIMERS = [Cron('* * * * * *'), Interval(1_000), Timeout(1_000)];
  const CLAIMS = [LeaderOnce({ key: 'schema', version: 1 }), LeaderCron('* * * * *')];
  const PAIRS = TIMERS.flatMap((timer) =>
    CLAIMS.flatMap((claim) => [
      [timer, claim],
      [claim, timer],
    ]),
  );

  it.each([{ gateSchedules: true }, {}])(
    'stops the start, in both orders, as the timer would call it unclaimed (%o)',
    async (options) => {
      for (const decorators of PAIRS) {
        class Both {
          run(): void {}
        }
        const descriptor = Object.getOwnPropertyDescriptor(Both.prototype, 'run')!;
        for (const decorate of decorators) decorate(Both.prototype, 'run', descriptor);
        Object.defineProperty(Both.prototype, 'run', descriptor);
        const application = await elections.create(elections.metadata([Both], options));
        await expect(application.init()).rejects.toThrow(/on Both\.run: is also a timer/);
      }
    },
  );
});

describe('when a @LeaderOnce() is wrong', () => {
  it.each<[string, object, string, string]>([
    ['has no version', { version: undefined }, 'version', 'is required. Fix: number the versions'],
    ['has a hash as version', { version: '9fceb02' }, 'version', 'has an order tells a rollback'],
    ['has a part of a number', { version: 1.5 }, 'version', 'must be a whole number'],
    ['has no key', { key: undefined }, 'key', 'is required'],
    ['has an empty key', { key: ' ' }, 'key', 'must be a non-empty string'],
    ['has an unknown option', { retries: 3 }, 'retries', 'is not an option'],
    ['has an unknown policy', { onInterrupted: 'retry' }, 'onInterrupted', '"fail", "rerun"'],
    ['waits for something else', { waitForOthers: 'yes' }, 'waitForOthers', '"readiness"'],
    ['waits without a bound', { waitTimeoutMs: 0 }, 'waitTimeoutMs', 'between 1 and'],
    ['has an unknown role', { role: 'nobody' }, 'role', 'must name a role'],
  ])('stops the start if it %s', async (_what, options, field, text) => {
    const application = await elections.create(elections.metadata([migration(options)]));
    const failure = await application.init().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LeaderElectionOptionsError);
    const { message } = failure as Error;
    expect(message).toContain(`@LeaderOnce() on Schema.migrate: ${field}`);
    expect(message).toContain(text);
  });

  it.each([4, 5])(
    'stops the start if two have one key, the other with version %d',
    async (version) => {
      const metadata = elections.metadata([
        migration(),
        { provide: 'other', useClass: migration({ version }) },
      ]);
      const application = await elections.create(metadata);
      await expect(application.init()).rejects.toThrow('key = "schema": must be unique');
    },
  );

  it('stops the start if the lock is one object, which has no second lease', async () => {
    const lock = withoutLeaseBeside(elections.lock('x'));
    const application = await elections.create(elections.metadata([migration()], { lock }));
    await expect(application.init()).rejects.toThrow('give the option lock a factory');
  });

  it('asks for the module that runs it', async () => {
    const metadata = { imports: [elections.module()], providers: [migration()] };
    await expect(elections.create(metadata)).rejects.toThrow(
      '@LeaderCron() and @LeaderOnce() need LeaderScheduleModule',
    );
  });
});

describe('when a @LeaderOnce() method is gated by @LeaderOnly()', () => {
  const refused = 'must not be gated by @LeaderOnly()';

  it('stops the start, above it and below it, as a skipped call would count as done', async () => {
    class Above {
      @LeaderOnly()
      @LeaderOnce({ key: 'above', version: 1 })
      above(): void {}
    }
    class Below {
      @LeaderOnce({ key: 'below', version: 1 })
      @LeaderOnly()
      below(): void {}
    }
    for (const Gated of [Above, Below]) {
      const application = await elections.create(elections.metadata([Gated]));
      await expect(application.init()).rejects.toThrow(refused);
    }
  });

  it('stops the start if the class is', async () => {
    @LeaderOnly()
    class Gated {
      @LeaderOnce({ key: 'schema', version: 1 })
      migrate(): void {}
    }
    const application = await elections.create(elections.metadata([Gated]));
    await expect(application.init()).rejects.toThrow(refused);
  });
});

describe('when work that runs once is listened to', () => {
  it('tells its runs on runs$, with key and version', async () => {
    const application = await elections.started();
    const schedule = application.get(LeaderSchedule);
    const events: RunEvent[] = [];
    schedule.runs$.subscribe((event) => events.push(event));
    await schedule.once('import', '2.0', () => undefined);
    const fail = () => Promise.reject(new Error('no ink'));
    await schedule.once('bad', 1, fail).catch(() => undefined);
    const common = { role: 'plan-scheduler', attempt: 1, scheduledTime: expect.any(Date) };
    expect(events).toMatchObject([
      { ...common, kind: 'started', job: 'import', version: '2' },
      { ...common, kind: 'succeeded', job: 'import', version: '2', durationMs: 0 },
      { ...common, kind: 'started', job: 'bad', version: '1' },
      { ...common, kind: 'failed', job: 'bad', version: '1', reason: 'Error: no ink' },
    ]);
  });
});

describe('when a test decides who leads', () => {
  it('runs the work at the start of the application, in memory', async () => {
    const Schema = migration();
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ role: 'billing' }), LeaderScheduleModule],
      providers: [Schema],
    }).compile();
    const application = module.createNestApplication({ logger: false });
    await application.init();
    expect(application.get(Schema).runs).toHaveLength(1);
    await application.close();
  });
});

it('when a lock is made by a factory, the second lease is of the same store', async () => {
  const Schema = migration();
  const options = { lock: memoryLock(elections.store), leaseName: 'billing' };
  await elections.start(elections.metadata([Schema], options));
  expect(elections.holder('billing-once-schema')).toBe('');
});

describe('when whoever deploys the application creates its objects (createLease: false)', () => {
  let emulator: ApiEmulator;
  beforeEach(async () => {
    emulator = await ApiEmulator.start();
  });
  afterEach(() => emulator.stop());

  const apply = (name: string) =>
    fetch(new URL('/apis/coordination.k8s.io/v1/namespaces/default/leases', emulator.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer token' },
      body: JSON.stringify({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: 'default' },
      }),
    });

  it('names each of the two objects that are missing with the manifest to apply, and runs once they are there', async () => {
    const errors: string[] = [];
    const lock = leaseLock({ kubeConfig: kubeConfigTo(emulator.url) });
    const options = { lock, namespace: 'default', createLease: false };
    const application = await elections.create(elections.metadata([], options));
    application.useLogger({
      log: () => {},
      warn: () => {},
      error: (text: unknown) => errors.push(String(text)),
    });
    await application.init();
    const results: unknown[] = [];
    const running = application.get(LeaderSchedule).once('report', 1, () => undefined);
    void running.then(
      (result) => results.push(result),
      (error: unknown) => results.push(error),
    );
    const isSaid = (name: string) =>
      eventually(async () => {
        await elections.clock.advance(1_000);
        expect(errors.join('\n')).toMatch(
          new RegExp(`Lease default/${name} does not exist, [^]*\n  name: ${name}\n`),
        );
      });
    await isSaid('plan-scheduler-once-report');
    await apply('plan-scheduler-once-report');
    await isSaid('plan-scheduler-once');
    await apply('plan-scheduler-once');
    await eventually(async () => {
      await elections.clock.advance(1_000);
      expect(results).toEqual(['ran']);
    });
    await application.close();
  });
});
