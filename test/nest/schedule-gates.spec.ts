import {
  Controller,
  Get,
  Injectable,
  type INestApplication,
  type ModuleMetadata,
  Scope,
  SetMetadata,
} from '@nestjs/common';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { CronJob } from 'cron';
import {
  EveryReplica,
  LeaderElectionModule,
  LeaderElectionOptionsError,
  type LeaderElectionModuleOptions,
  LeaderOnly,
  LeadershipService,
  memoryLock,
} from '../../lib/index.js';
import { LeaderCron, LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';
import { until } from './support/until.js';

/** Counts, for one application, how often each timer has run. */
class Ticks {
  readonly counts: Record<string, number> = {};

  count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  get names(): string[] {
    return Object.keys(this.counts).sort();
  }
}

/** A plain application of eight timers. Nothing in it knows that there are other replicas. */
@Injectable()
class Cleaning {
  constructor(protected readonly ticks: Ticks) {}

  @Cron('* * * * * *', { name: 'sessions' })
  sessions(): void {
    this.ticks.count('sessions');
  }

  @Cron('* * * * * *', { name: 'carts', waitForCompletion: true })
  async carts(): Promise<void> {
    await Promise.resolve();
    this.ticks.count('carts');
  }

  @Interval(20)
  files(): void {
    this.ticks.count('files');
  }

  @Interval('mails', 20)
  async mails(): Promise<void> {
    await Promise.resolve();
    this.ticks.count('mails');
  }

  @Timeout(300)
  warmUp(): void {
    this.ticks.count('warm-up');
  }
}

abstract class Report {
  constructor(protected readonly ticks: Ticks) {}

  @Interval(20)
  inherited(): void {
    this.ticks.count('inherited');
  }
}

@Injectable()
class DailyReport extends Report {
  constructor(ticks: Ticks) {
    super(ticks);
  }
}

@Controller('rates')
class Rates {
  constructor(private readonly ticks: Ticks) {}

  @Interval(20)
  @Get()
  refresh(): string {
    this.ticks.count('controller');
    return 'refreshed';
  }
}

const Traced = (): MethodDecorator => (_target, _key, descriptor: PropertyDescriptor) => {
  const original = descriptor.value as (...args: unknown[]) => unknown;
  const traced = function (this: unknown, ...args: unknown[]): unknown {
    return original.apply(this, args);
  };
  for (const key of Reflect.getMetadataKeys(original) as unknown[]) {
    SetMetadata(key as string, Reflect.getMetadata(key, original))(traced);
  }
  descriptor.value = traced;
};

class Made {
  constructor(private readonly ticks: Ticks) {}

  @Traced()
  @Interval(20)
  @Traced()
  made(): void {
    this.ticks.count('factory');
  }
}

const EIGHT = [
  'carts',
  'controller',
  'factory',
  'files',
  'inherited',
  'mails',
  'sessions',
  'warm-up',
];

/** Tells that the timers of a replica have fired, whoever leads. */
@EveryReplica()
@Injectable()
class Witness {
  fired = 0;
  hasTimedOut = false;

  constructor(private readonly jobs: SchedulerRegistry) {}

  @Interval(20)
  interval(): void {
    this.fired += 1;
  }

  @Timeout(300)
  timeout(): void {
    this.hasTimedOut = true;
  }

  get isDone(): boolean {
    const crons = [...this.jobs.getCronJobs().values()];
    return this.fired > 5 && this.hasTimedOut && crons.every((job) => job.lastDate() !== null);
  }
}

/** Without the option nothing may have the decorator. */
@Injectable()
class UngatedWitness {
  fired = 0;

  @Interval(20)
  interval(): void {
    this.fired += 1;
  }
}

let elections: Elections;
beforeEach(() => (elections = new Elections()));
afterEach(() => elections.end());

const GATED = { gateSchedules: true };

function application(
  options: Partial<LeaderElectionModuleOptions>,
  { imports = [], providers = [], controllers = [] }: ModuleMetadata = {},
): ModuleMetadata {
  return {
    imports: [ScheduleModule.forRoot(), elections.module(options), ...imports],
    providers,
    controllers,
  };
}

const startWith = (
  options: Partial<LeaderElectionModuleOptions>,
  providers: ModuleMetadata['providers'],
  imports: ModuleMetadata['imports'] = [],
) => elections.start(application(options, { providers, imports }));

describe('When a plain application of eight timers runs in three replicas', () => {
  const replica = async (
    options: Partial<LeaderElectionModuleOptions>,
    witness: new (...args: never[]) => { fired: number },
  ) => {
    const made = {
      provide: 'made',
      useFactory: (ticks: Ticks) => new Made(ticks),
      inject: [Ticks],
    };
    const app = await elections.start(
      application(options, {
        providers: [Ticks, Cleaning, DailyReport, made, witness],
        controllers: [Rates],
      }),
    );
    await elections.clock.settle();
    return app;
  };

  it('runs each of them on exactly one replica, after one changed line', async () => {
    const replicas: INestApplication[] = [];
    for (let index = 0; index < 3; index += 1) replicas.push(await replica(GATED, Witness));
    const [leader, ...followers] = replicas.map((app) => app.get(Ticks));
    await until(() => replicas.every((app) => app.get(Witness).isDone));
    await until(() => leader!.names.length === EIGHT.length);
    expect(leader!.names).toEqual(EIGHT);
    expect(followers.map(({ counts }) => counts)).toEqual([{}, {}]);
  });

  it('runs each of them on every replica without that line', async () => {
    const replicas: INestApplication[] = [];
    for (let index = 0; index < 3; index += 1) replicas.push(await replica({}, UngatedWitness));
    const all = replicas.map((app) => app.get(Ticks));
    await until(() => all.every(({ names }) => names.length === EIGHT.length));
    expect(all.map(({ names }) => names)).toEqual([EIGHT, EIGHT, EIGHT]);
  });
});

@Injectable()
class Mixed {
  readonly ran: string[] = [];

  @Interval(10)
  gated(): void {
    this.ran.push('gated');
  }

  @Interval(10)
  @EveryReplica()
  below(): void {
    this.ran.push('below');
  }

  @EveryReplica()
  @Interval(10)
  above(): void {
    this.ran.push('above');
  }
}

@Injectable()
@EveryReplica()
class OfEveryReplica extends Mixed {
  @LeaderOnly()
  @Interval(10)
  own(): void {
    this.ran.push('own');
  }
}

describe('When a role gates the timers of an application', () => {
  it('runs those of @EveryReplica() on a follower, and the others not', async () => {
    await elections.leadingRival('pod-b');
    const app = await startWith(GATED, [Mixed, OfEveryReplica]);
    await until(() => app.get(Mixed).ran.length > 10 && app.get(OfEveryReplica).ran.length > 10);
    expect(new Set(app.get(Mixed).ran)).toEqual(new Set(['below', 'above']));
    expect(new Set(app.get(OfEveryReplica).ran)).toEqual(new Set(['below', 'above', 'gated']));
  });

  it('closes with the time of the last renewal, though no timer of the election has fired', async () => {
    const app = await startWith(GATED, [Mixed]);
    await elections.clock.settle();
    const { ran } = app.get(Mixed);
    await until(() => ran.includes('gated'));
    elections.clock.stall(10_000);
    ran.length = 0;
    await until(() => ran.length > 10);
    expect(ran).not.toContain('gated');
  });

  it('gates the tick and not the method, which the application may call itself', async () => {
    await elections.leadingRival('pod-b');
    const app = await startWith(GATED, [Mixed]);
    const mixed = app.get(Mixed);
    mixed.gated();
    expect(mixed.ran.filter((name) => name === 'gated')).toHaveLength(1);
    expect(mixed).toStrictEqual(Object.assign(new Mixed(), { ran: mixed.ran }));
  });

  it('waits for the run of a tick before the lease is released', async () => {
    const ends: (() => void)[] = [];
    @Injectable()
    class Slow {
      @Interval('slow', 10)
      run(): Promise<void> {
        return new Promise((resolve) => ends.push(resolve));
      }
    }
    const app = await startWith(GATED, [Slow]);
    await elections.clock.settle();
    await until(() => ends.length > 0);
    app.get(SchedulerRegistry).deleteInterval('slow');
    const leadership = app.get(LeadershipService);
    leadership.stepDown({ cooldownMs: 60_000 });
    await elections.clock.settle();
    expect([leadership.isLeader(), elections.holder()]).toEqual([false, leadership.identity]);
    ends.forEach((end) => end());
    await elections.clock.settle();
    expect(elections.holder()).not.toBe(leadership.identity);
  });

  it('leaves what @nestjs/schedule does with an error to it', async () => {
    @Injectable()
    class Failing {
      ran = 0;
      @Interval(10)
      run(): void {
        this.ran += 1;
        throw new Error('no database');
      }
    }
    const app = await startWith(GATED, [Failing]);
    await elections.clock.settle();
    await until(() => app.get(Failing).ran > 2);
    expect(app.get(LeadershipService).isLeader()).toBe(true);
  });

  it('leaves @LeaderOnly() of another role and @LeaderCron() as they are', async () => {
    @Injectable()
    class Jobs {
      readonly ran: string[] = [];
      @LeaderOnly('other')
      @Interval(10)
      other(): void {
        this.ran.push('other');
      }
      @Interval(10)
      gated(): void {
        this.ran.push('gated');
      }
      @LeaderCron('* * * * * *', { role: 'other', name: 'claimed' })
      claimed(): void {
        this.ran.push('claimed');
      }
    }
    await elections.leadingRival('pod-b');
    const other = LeaderElectionModule.forRoot({
      role: 'other',
      lock: memoryLock(elections.store),
    });
    const app = await startWith(GATED, [Jobs], [other, LeaderScheduleModule]);
    await elections.clock.settle();
    await elections.clock.advance(2_000);
    const { ran } = app.get(Jobs);
    await until(() => ran.includes('other') && ran.includes('claimed'));
    expect(ran).not.toContain('gated');
  });

  it('does not gate jobs that are added to SchedulerRegistry, and guard() does', async () => {
    await elections.leadingRival('pod-b');
    const app = await startWith(GATED, [Mixed]);
    const ran: string[] = [];
    const registry = app.get(SchedulerRegistry);
    const guarded = app.get(LeadershipService).guard(() => ran.push('guarded'));
    registry.addInterval(
      'added',
      setInterval(() => ran.push('added'), 10),
    );
    registry.addInterval(
      'guarded',
      setInterval(() => guarded(), 10),
    );
    const job = CronJob.from({ cronTime: '* * * * * *', onTick: () => void ran.push('cron') });
    registry.addCronJob('cron', job as never);
    job.start();
    await until(() => ran.includes('cron') && ran.filter((name) => name === 'added').length > 5);
    expect(ran).not.toContain('guarded');
  });

  it('gates nothing in another application of the same process, whose classes are the same', async () => {
    await elections.leadingRival('pod-b');
    const gating = await startWith(GATED, [Ticks, Cleaning]);
    const plain = await startWith({}, [Ticks, Cleaning]);
    await until(() => (plain.get(Ticks).counts['files'] ?? 0) > 5);
    expect(gating.get(Ticks).counts).toEqual({});
  });
});

describe('When a timer is on a provider that is no singleton', () => {
  it.each([
    ['a request-scoped one, which @nestjs/schedule does not run', Scope.REQUEST],
    ['a transient one', Scope.TRANSIENT],
  ])('starts with %s, and runs none of its ticks on a follower', async (_what, scope) => {
    const ran: string[] = [];
    @Injectable({ scope })
    class Scoped {
      @Interval(10)
      gated(): void {
        ran.push('gated');
      }
      @EveryReplica()
      @Interval(10)
      everywhere(): void {
        ran.push('everywhere');
      }
    }
    await elections.leadingRival('pod-b');
    const app = await startWith(GATED, [Scoped, Witness]);
    const isRun = scope === Scope.TRANSIENT;
    await until(() => app.get(Witness).fired > 5 && (!isRun || ran.length > 2));
    expect([...new Set(ran)]).toEqual(isRun ? ['everywhere'] : []);
  });
});

describe('When a replacement of LeadershipService throws', () => {
  it('skips the tick, and the process survives', async () => {
    let asked = 0;
    const isLeader = (): boolean => {
      asked += 1;
      throw new Error('not mocked');
    };
    const builder = elections
      .builder(application(GATED, { providers: [Mixed] }))
      .overrideProvider(LeadershipService)
      .useValue({ isLeader });
    const app = (await builder.compile()).createNestApplication({ logger: false });
    await app.init();
    await until(() => asked > 3);
    expect(app.get(Mixed).ran).not.toContain('gated');
    await app.close();
  });
});

describe('What the log says at the start', () => {
  const logOf = async (options: Partial<LeaderElectionModuleOptions>, metadata: ModuleMetadata) => {
    const log = new RecordedLog();
    const app = await elections.create(application(options, metadata));
    app.useLogger(log);
    await app.init();
    return log;
  };

  it('lists in one entry which timers run where, and that added jobs are not gated', async () => {
    const log = await logOf(GATED, { providers: [Mixed, OfEveryReplica] });
    const [entry, ...more] = log.texts('log').filter((text) => text.includes('timers'));
    expect(more).toEqual([]);
    expect(entry).toMatch(
      /^gates the timers of this application\. They run on the leader Mixed\.gated; on every replica \(@EveryReplica\) Mixed\.below, Mixed\.above, .*OfEveryReplica\.gated.*; on the leader of the role of their @LeaderOnly\(\) OfEveryReplica\.own \("plan-scheduler"\)\. Jobs that are added to SchedulerRegistry are not gated: wrap their functions in leadership\.guard\(\)$/,
    );
  });

  it('names the jobs of @LeaderCron() and LeaderSchedule, and those that hooks have added to SchedulerRegistry', async () => {
    @Injectable()
    class Claimed {
      constructor(
        private readonly schedule: LeaderSchedule,
        private readonly registry: SchedulerRegistry,
      ) {}
      @LeaderCron('* * * * *', { name: 'close-day' })
      closeDay(): void {}
      @Cron('* * * * * *', { name: 'decorated-cron' })
      cron(): void {}
      @Interval('decorated-interval', 10_000)
      interval(): void {}
      @Timeout('decorated-timeout', 10_000)
      timeout(): void {}
      onModuleInit(): void {
        this.schedule.add('at-run-time', '* * * * *', () => {});
        const job = CronJob.from({ cronTime: '* * * * * *', onTick: () => {} });
        this.registry.addCronJob('added-cron', job as never);
      }
      onApplicationBootstrap(): void {
        const never = 2 ** 30;
        this.registry.addInterval(
          'added-interval',
          setInterval(() => {}, never),
        );
        this.registry.addTimeout(
          'added-timeout',
          setTimeout(() => {}, never),
        );
      }
    }
    const log = await logOf(GATED, {
      imports: [LeaderScheduleModule],
      providers: [Claimed, Mixed],
    });
    const [entry] = log.texts('log').filter((text) => text.includes('timers'));
    expect(entry).toMatch(
      /; on the leader that claims their ticks \(@LeaderCron\) close-day \("plan-scheduler"\), at-run-time \("plan-scheduler"\)\. Jobs that are added to SchedulerRegistry \(so far "added-cron", "added-interval", "added-timeout"\) are not gated/,
    );
  });

  it('starts with whatever a test puts in place of SchedulerRegistry', async () => {
    class Broken extends SchedulerRegistry {
      isStarting = true;
      override getIntervals(): string[] {
        if (this.isStarting) throw new Error('not mocked');
        return super.getIntervals();
      }
    }
    const log = new RecordedLog();
    const builder = elections
      .builder(application(GATED, { providers: [Mixed] }))
      .overrideProvider(SchedulerRegistry)
      .useClass(Broken);
    const app = (await builder.compile()).createNestApplication({ logger: log });
    await app.init();
    expect(log.texts('log').join()).toContain('gates the timers of this application');
    // The shutdown of @nestjs/schedule asks it, too.
    app.get<Broken>(SchedulerRegistry).isStarting = false;
    await app.close();
  });

  it('warns where there is nothing to gate', async () => {
    const log = await logOf(GATED, {});
    expect(log.texts('warn').join()).toMatch(/finds no @Cron, @Interval or @Timeout/);
  });

  it('says nothing of timers without the option', async () => {
    const log = await logOf({}, { providers: [Ticks, Cleaning] });
    expect(log.texts('log', 'warn').join()).not.toMatch(/timers|gate/);
  });
});

describe('When what is asked of the gates makes no sense', () => {
  const OTHER = { role: 'other', gateSchedules: true };

  @Injectable()
  class OnNoTimer {
    @EveryReplica()
    run(): void {}
  }
  @EveryReplica()
  @Injectable()
  class WithoutTimers {
    run(): void {}
  }
  @Injectable()
  class Both {
    @EveryReplica()
    @LeaderOnly()
    @Interval(10)
    run(): void {}
  }
  @EveryReplica()
  @LeaderOnly()
  @Injectable()
  class BothOnClass {
    @Interval(10)
    run(): void {}
  }
  @EveryReplica()
  @Injectable()
  class Below extends BothOnClass {}
  @LeaderOnly()
  @Injectable()
  class MethodInClass {
    @EveryReplica()
    @Interval(10)
    run(): void {}
  }

  it.each<[string, Partial<LeaderElectionModuleOptions>, ModuleMetadata, RegExp]>([
    [
      'two roles that both gate',
      GATED,
      { imports: [LeaderElectionModule.forRoot({ ...OTHER, lock: 'memory' })] },
      /gateSchedules = true: may be true for one role of an application, and is for ".*", ".*"/,
    ],
    ['a value that is no boolean', { gateSchedules: 'all' as never }, {}, /gateSchedules = "all"/],
    [
      '@EveryReplica() on a method without gating',
      {},
      { providers: [Mixed] },
      /@EveryReplica\(\) on Mixed\.below: leaves a timer out of gateSchedules, which no role/,
    ],
    [
      '@EveryReplica() on a class without gating',
      {},
      { providers: [WithoutTimers] },
      /@EveryReplica\(\) on WithoutTimers: .*add gateSchedules: true/s,
    ],
    [
      '@EveryReplica() on a method that is no timer',
      GATED,
      { providers: [OnNoTimer] },
      /@EveryReplica\(\) on OnNoTimer\.run: works on methods with @Cron/,
    ],
    [
      '@EveryReplica() on a class without timers',
      GATED,
      { providers: [WithoutTimers] },
      /@EveryReplica\(\) on WithoutTimers: .*this class has none/,
    ],
    [
      '@EveryReplica() and @LeaderOnly() on one method',
      GATED,
      { providers: [Both] },
      /@EveryReplica\(\) on Both\.run: contradicts the @LeaderOnly\(\) of the same method/,
    ],
    [
      '@EveryReplica() and @LeaderOnly() on one class',
      GATED,
      { providers: [BothOnClass] },
      /@EveryReplica\(\) on BothOnClass: contradicts the @LeaderOnly\(\) on class BothOnClass/,
    ],
    [
      '@EveryReplica() on a subclass of a class with @LeaderOnly()',
      GATED,
      { providers: [Below] },
      /@EveryReplica\(\) on Below: contradicts the @LeaderOnly\(\) on class BothOnClass/,
    ],
    [
      '@EveryReplica() on a method of a class with @LeaderOnly()',
      GATED,
      { providers: [MethodInClass] },
      /@EveryReplica\(\) on MethodInClass\.run: contradicts the @LeaderOnly\(\) on class MethodInClass/,
    ],
  ])('does not start with %s', async (_what, options, metadata, text) => {
    const starting = elections.start(application(options, metadata));
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    await expect(starting).rejects.toThrow(text);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'a property',
      () => EveryReplica()({}, 'run', undefined as never),
      /@EveryReplica\(\) on Object\.run: works on methods; this is a property/,
    ],
    [
      'a static method',
      () => EveryReplica()(Mixed as never, 'run', { value: () => {} }),
      /@EveryReplica\(\) on Mixed\.run: .*static/,
    ],
  ])('refuses @EveryReplica() on %s', (_what, decorate, text) => {
    expect(decorate).toThrow(LeaderElectionOptionsError);
    expect(decorate).toThrow(text);
  });

  it('does not start with an explorer of @nestjs/schedule that registers timers in another way', async () => {
    @Injectable()
    class OtherExplorer {}
    const strange = { provide: 'SCHEDULE_MODULE_OPTIONS', useValue: {} };
    const metadata = {
      imports: [elections.module(GATED)],
      providers: [strange, OtherExplorer, Mixed],
    };
    await expect(elections.start(metadata)).rejects.toThrow(
      /gateSchedules = true: cannot gate Mixed\.gated, .*this version of @nestjs\/schedule/,
    );
  });
});

describe('When a proxy hides the class of an instance', () => {
  it('gates its timers, as @EveryReplica() cannot be seen', async () => {
    @EveryReplica()
    class Hidden {
      runs = 0;
      @Interval(10)
      run(): void {
        this.runs += 1;
      }
    }
    const hidden = new Hidden();
    const proxy = new Proxy(hidden, { getPrototypeOf: () => Object.prototype });
    await elections.leadingRival('pod-b');
    const provider = { provide: Hidden, useValue: proxy };
    const app = await elections.start(application(GATED, { providers: [provider, Witness] }));
    await until(() => app.get(Witness).fired > 5);
    expect(hidden.runs).toBe(0);
  });
});

describe('When @nestjs/schedule starts some kinds of timers only', () => {
  it('starts with a timer whose name is a symbol, which no explorer starts', async () => {
    const name = Symbol('timer');
    @Injectable()
    class Named {
      runs = 0;
      @Interval(10)
      [name](): void {
        this.runs += 1;
      }
    }
    const app = await elections.start(application(GATED, { providers: [Named, Witness] }));
    await until(() => app.get(Witness).fired > 5);
    expect(app.get(Named).runs).toBe(0);
  });

  it('starts, and gates those', async () => {
    await elections.leadingRival('pod-b');
    const app = await elections.start({
      imports: [ScheduleModule.forRoot({ cronJobs: false }), elections.module(GATED)],
      providers: [Ticks, Cleaning, Witness],
    });
    await until(() => app.get(Witness).fired > 5);
    expect(app.get(Ticks).counts).toEqual({});
  });

  it('starts without @nestjs/schedule in the application', async () => {
    const app = await elections.start({ imports: [elections.module(GATED)], providers: [Mixed] });
    expect(app.get(Mixed).ran).toEqual([]);
  });
});

it('names the role in the options of forRootAsync too', async () => {
  const async = LeaderElectionModule.forRootAsync({
    role: ROLE,
    useFactory: () => ({ lock: memoryLock(elections.store), gateSchedules: true }),
  });
  await elections.leadingRival('pod-b');
  const app = await elections.start({
    imports: [ScheduleModule.forRoot(), async],
    providers: [Mixed],
  });
  await until(() => app.get(Mixed).ran.length > 10);
  expect(app.get(Mixed).ran).not.toContain('gated');
});
