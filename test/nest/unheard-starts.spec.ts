import { jest } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import {
  Global,
  type INestApplication,
  Injectable,
  Logger,
  Module,
  type Type,
} from '@nestjs/common';
import { type ModulesContainer, NestFactory, repl } from '@nestjs/core';
import { Timeout, ScheduleModule } from '@nestjs/schedule';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  type ResourceLock,
  type Term,
} from '../../lib/index.js';
import { BeginningWatch } from '../../lib/nest/leader-election.lifecycle.js';
import { Elections } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

describe('when a gated method is called before it is known who leads', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  @Injectable()
  class Warmer {
    ran = 0;
    @LeaderOnly()
    warm(): void {
      this.ran += 1;
    }
    @LeaderOnly()
    @Timeout(0)
    later(): void {
      this.ran += 1;
    }
  }
  @Injectable()
  class Starter {
    constructor(private readonly warmer: Warmer) {}
    onModuleInit = () => this.warmer.warm();
    onApplicationBootstrap = () => this.warmer.warm();
  }

  const skipsIn = (log: RecordedLog) =>
    log.texts('warn').filter((line) => line.includes('skipped Warmer'));

  it('is skipped, and the log says so in one line for all methods, once a leader is known', async () => {
    const log = new RecordedLog();
    const app = await elections.create({
      imports: [ScheduleModule.forRoot(), elections.module({ retryPeriodMs: 1_000 })],
      providers: [Warmer, Starter],
    });
    app.useLogger(log);
    app.get(Warmer).later();
    await app.init();
    expect(app.get(Warmer).ran).toBe(0);
    await elections.clock.settle();
    expect(skipsIn(log)).toEqual([
      expect.stringMatching(/skipped Warmer\.later, Warmer\.warm before .*@OnGranted\(\)/),
    ]);
  });

  const never: ResourceLock = {
    read: () => new Promise(() => {}),
    create: () => new Promise(() => {}),
    replace: () => new Promise(() => {}),
    describe: () => 'a lock that never answers',
  };

  it.each<[string, (app: INestApplication) => Promise<unknown>]>([
    ['after ten seconds', () => elections.clock.advance(10_000)],
    ['when the application closes', (app) => app.close()],
  ])('is told of %s where no leader becomes known, and never again', async (_when, wait) => {
    const log = new RecordedLog();
    const app = await elections.create({
      imports: [elections.module({ lock: never })],
      providers: [Warmer],
    });
    app.useLogger(log);
    await app.init();
    const warmer = app.get(Warmer);
    for (let call = 0; call < 3; call += 1) warmer.warm();
    expect(skipsIn(log)).toEqual([]);
    await wait(app);
    warmer.later();
    warmer.warm();
    await elections.clock.advance(60_000);
    expect(skipsIn(log)).toHaveLength(1);
  });

  it('is told nothing of once a leader is known, here or elsewhere', async () => {
    const log = new RecordedLog();
    await elections.leadingRival('pod-b');
    const app = await elections.create({ imports: [elections.module()], providers: [Warmer] });
    app.useLogger(log);
    await app.init();
    await elections.clock.settle();
    app.get(Warmer).warm();
    expect(app.get(Warmer).ran).toBe(0);
    expect(log.texts('warn').filter((line) => line.includes('skipped'))).toEqual([]);
  });
});

describe('when an onModuleInit hook waits for leadership', () => {
  let elections: Elections;
  let log: RecordedLog;
  beforeEach(() => {
    elections = new Elections();
    log = new RecordedLog();
  });
  afterEach(() => elections.end());
  const warnings = () => log.texts('warn').filter((line) => line.includes('waitForLeadership()'));

  @Injectable()
  class Waiting {
    term: Promise<Term> | undefined;
    constructor(private readonly leadership: LeadershipService) {}

    onModuleInit(): void | Promise<void> {
      this.term = this.leadership.waitForLeadership();
    }
  }

  @Injectable()
  class Awaiting extends Waiting {
    override async onModuleInit(): Promise<void> {
      await super.onModuleInit();
      await this.term;
    }
  }

  it('says after half a minute that the hook waits for what comes after it', async () => {
    const app = await elections.create({ imports: [elections.module()], providers: [Awaiting] });
    app.useLogger(log);
    void app.init().catch(() => {});
    await elections.clock.advance(29_000);
    expect(warnings()).toEqual([]);
    await elections.clock.advance(1_000);
    expect(warnings()).toEqual([
      expect.stringMatching(/awaits waitForLeadership\(\) never ends: .*onApplicationBootstrap/),
    ]);
    await app.close();
  });

  it('says nothing where the hook does not await it', async () => {
    const app = await elections.create({ imports: [elections.module()], providers: [Waiting] });
    app.useLogger(log);
    await app.init();
    await elections.clock.advance(60_000);
    expect((await app.get(Waiting).term)?.number).toBe(1);
    expect(warnings()).toEqual([]);
  });

  it('says nothing once the application has been closed', async () => {
    const app = await elections.create({ imports: [elections.module()], providers: [Awaiting] });
    app.useLogger(log);
    void app.init().catch(() => {});
    await elections.clock.settle();
    await app.close();
    await elections.clock.advance(60_000);
    expect(warnings()).toEqual([]);
  });
});

describe('when the application is a REPL', () => {
  it('does not compete, and says how to', async () => {
    const written: string[] = [];
    const out = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    const granted: string[] = [];
    class Worker {
      @OnGranted()
      granted(): void {
        granted.push('granted');
      }
    }
    const election = LeaderElectionModule.forRoot({ role: 'repl', lock: memoryLock() });
    @Module({ imports: [election], providers: [Worker] })
    class ReplModule {}
    const { PassThrough } = await import('node:stream');
    const input = new PassThrough();
    const server = await repl(ReplModule, { input, output: new PassThrough() });
    // Time in which it would compete.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const advice = /does not compete for the lease in a REPL; call leadership\.start/;
    await eventually(() => expect(written.join('')).toMatch(advice)).finally(() =>
      out.mockRestore(),
    );
    const { get } = server.context as unknown as { get: (token: unknown) => LeadershipService };
    expect(get(LeadershipService).isLeader()).toBe(false);
    Logger.overrideLogger(false);
    get(LeadershipService).start();
    await get(LeadershipService).waitForLeadership();
    await new Promise((resolve) => setImmediate(resolve));
    expect(granted).toEqual(['granted']);
    const exited = new Promise((resolve) => server.once('exit', resolve));
    server.close();
    await exited;
  });
});

describe('when a hybrid application is never initialised', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  @Module({ imports: [LeaderElectionModule.forRoot({ role: 'hybrid', lock: memoryLock() })] })
  class HybridModule {}
  const started = async () => {
    const log = new RecordedLog();
    const app = await NestFactory.create(HybridModule, { logger: log, abortOnError: false });
    return {
      app,
      warnings: () => log.texts('warn').filter((line) => line.includes('initialised')),
    };
  };

  it('says after a minute that it competes for nothing, and what is missing', async () => {
    const { app, warnings } = await started();
    await jest.advanceTimersByTimeAsync(59_000);
    expect(warnings()).toEqual([]);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(warnings()).toEqual([expect.stringMatching(/app\.init\(\) or app\.listen\(\)/)]);
    await app.close();
  });

  const fails = (): never => {
    throw new Error('the database is not there');
  };
  class FailingHook {
    onModuleInit(): void {
      fails();
    }
  }
  @Global()
  @Module({ providers: [FailingHook] })
  class FailingHookModule {}
  @Module({})
  class FailingMiddlewareModule {
    configure(): void {
      fails();
    }
  }
  @Module({
    providers: [{ provide: 'pool', useFactory: () => Promise.reject(new Error('no pool')) }],
  })
  class FailingProviderModule {}
  @Module({ providers: [{ provide: 'pool', useFactory: () => new Promise(() => {}) }] })
  class WaitingModule {}

  it.each<[string, Type]>([
    ['a provider fails', FailingProviderModule],
    ['a provider is still being made', WaitingModule],
    ['a hook of an earlier module fails', FailingHookModule],
    ['middleware fails', FailingMiddlewareModule],
  ])('says nothing when %s', async (_what, failing) => {
    @Module({ imports: [failing, HybridModule] })
    class RootModule {}
    const log = new RecordedLog();
    let failed = false;
    const starting = NestFactory.create(RootModule, { logger: log, abortOnError: false })
      .then((app) => app.init())
      .catch(() => (failed = true));
    await jest.advanceTimersByTimeAsync(120_000);
    if (failing !== WaitingModule) await starting;
    expect(failed).toBe(failing !== WaitingModule);
    expect(log.texts('warn').filter((line) => line.includes('initialised'))).toEqual([]);
  });

  it('says nothing, and does not throw, when Nest 11 has forgotten what it could not make', async () => {
    const getInstanceByContextId = (): never => getInstanceByContextId();
    const forgotten = {
      metatype: class Pool {},
      isTransient: false,
      isDependencyTreeStatic: () => true,
      getInstanceByContextId,
    };
    const none = new Map();
    const module = {
      providers: new Map([['pool', forgotten]]),
      controllers: none,
      injectables: none,
    };
    const log = new RecordedLog();
    Logger.overrideLogger(log);
    new BeginningWatch(new Map([['module', module]]) as unknown as ModulesContainer);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(log.texts('warn')).toEqual([]);
  });

  it('says nothing when a hook of a context without HTTP fails', async () => {
    @Module({ imports: [FailingHookModule, HybridModule] })
    class RootModule {}
    const log = new RecordedLog();
    const starting = NestFactory.createApplicationContext(RootModule, {
      logger: log,
      abortOnError: false,
    });
    await expect(starting).rejects.toThrow('the database is not there');
    await jest.advanceTimersByTimeAsync(120_000);
    expect(log.texts('warn').filter((line) => line.includes('initialised'))).toEqual([]);
  });

  it.each(['init', 'close'] as const)('says nothing after %s()', async (call) => {
    const { app, warnings } = await started();
    await app[call]();
    await jest.advanceTimersByTimeAsync(120_000);
    expect(warnings()).toEqual([]);
    await app.close();
  });
});
