import { type DynamicModule, Injectable, Module, type ModuleMetadata, Scope } from '@nestjs/common';
import {
  LeaderElectionModule,
  type LeaderElectionModuleAsyncOptions,
  type LeaderElectionModuleOptions,
  LeaderElectionOptionsError,
  memoryLock,
} from '../../lib/index.js';
import { Elections, ROLE } from './support/elections.js';

describe('an application with bad options', () => {
  const elections = new Elections();

  async function faultsOf(module: DynamicModule) {
    const error: unknown = await elections.create({ imports: [module] }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(LeaderElectionOptionsError);
    const { faults, message, code } = error as LeaderElectionOptionsError;
    expect(code).toBe('ERR_LEADER_ELECTION_OPTIONS');
    for (const { field, value, rule, fix } of faults) {
      expect(message).toContain(`- ${field}${value === undefined ? ': ' : ' = '}`);
      expect(message).toContain(`${rule}. Fix: ${fix}.`);
    }
    return faults.map(({ field, value }) => [field, value]);
  }

  const forRoot = (options: object) =>
    LeaderElectionModule.forRoot({
      role: ROLE,
      lock: memoryLock(),
      ...options,
    } as LeaderElectionModuleOptions);

  it('counts errors, and tells what was not given from what was', async () => {
    const messageFor = (options: object): Promise<string> =>
      elections.create({ imports: [LeaderElectionModule.forRoot(options as never)] }).then(
        () => 'started',
        ({ message }: Error) => message,
      );
    expect(await messageFor({ role: 'Plan Scheduler', lock: memoryLock() })).toMatch(
      /: 1 configuration error\n {2}- leaseName = "Plan Scheduler" \(the default\): must be .* give a leaseName/,
    );
    expect(await messageFor({ role: 'a', leaseName: 'B', lock: memoryLock() })).toMatch(
      /- leaseName = "B": must be .* rename it/,
    );
    expect(await messageFor({ leaseName: 'a', strict: 1, lock: memoryLock() })).toMatch(
      /: 2 configuration errors\n {2}- role: is required.*\n {2}- strict = 1: /,
    );
    expect(await messageFor({ role: 'a', renewDeadlineMs: 400, lock: memoryLock() })).toMatch(
      /: 1 configuration error\n {2}- renewDeadlineMs = 400: .* Fix: use at least 450\./,
    );
    expect(await messageFor({ role: 'a', renewDeadlineMs: 450, lock: memoryLock() })).toBe(
      'started',
    );
  });

  const refusalOf = async (metadata: ModuleMetadata): Promise<string> => {
    const starting = elections.start(metadata);
    await expect(starting).rejects.toThrow(LeaderElectionOptionsError);
    return starting.then(String, ({ message }: Error) => message);
  };

  it.each([
    ['a string', 'plan-scheduler', '"plan-scheduler"'],
    ['a number', 7, '7'],
    ['an array', [{ role: ROLE }], 'an array'],
  ])('names %s that was given in the place of options', async (_what, given, printed) => {
    const text = await refusalOf({ imports: [LeaderElectionModule.forRoot(given as never)] });
    expect(text).toContain(`- options = ${printed}: must be an object`);
    expect(text).not.toContain('is not an option');
    const async = await refusalOf({ imports: [LeaderElectionModule.forRootAsync(given as never)] });
    expect(async).toContain(`- forRootAsync = ${printed}: must be given an object`);
  });

  it('names the role that was given where it is an object without a prototype', async () => {
    const role = Object.create(null) as never;
    const text = await refusalOf({ imports: [LeaderElectionModule.forRoot({ role })] });
    expect(text).toContain('- role = an object: must be');
  });

  it('names all locks where it is given none of them', async () => {
    const text = await refusalOf({ imports: [forRoot({ lock: 'etcd' })] });
    expect(text).toContain(
      'the result of leaseLock(), configMapLock(), fileLock() or memoryLock(), or a ResourceLock',
    );
  });

  it('does not start where the module was imported without options', async () => {
    expect(await refusalOf({ imports: [LeaderElectionModule] })).toMatch(
      /- role: .* imported without any\. Fix: import LeaderElectionModule\.forRoot\(/,
    );
  });

  it('starts where it was imported without options beside one with options', async () => {
    const application = await elections.start({
      imports: [LeaderElectionModule, elections.module()],
    });
    expect(application.leadership().role).toBe(ROLE);
  });

  it('does not start where no election would be there at the start', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class TenantConfig {}
    @Module({ providers: [TenantConfig], exports: [TenantConfig] })
    class ConfigModule {}
    const module = LeaderElectionModule.forRootAsync({
      role: ROLE,
      imports: [ConfigModule],
      inject: [TenantConfig],
      useFactory: () => ({ lock: memoryLock() }),
    });
    expect(await refusalOf({ imports: [module] })).toMatch(
      /- options of role "plan-scheduler": come from a request-scoped provider/,
    );
  });

  it.each<[string, (config: object) => DynamicModule]>([
    ['forRoot', (config) => LeaderElectionModule.forRoot(config as LeaderElectionModuleOptions)],
    [
      'a factory',
      (config) => LeaderElectionModule.forRootAsync({ role: ROLE, useFactory: () => config }),
    ],
  ])(
    'takes what an instance of a class has from its getters, given to %s',
    async (_how, module) => {
      class Base {
        get identity(): string {
          return 'from a getter';
        }
      }
      class Config extends Base {
        readonly role = ROLE;
        get lock() {
          return memoryLock(elections.store);
        }
        get leaseName(): string {
          return 'named-by-a-getter';
        }
      }
      const application = await elections.start({ imports: [module(new Config())] });
      await elections.clock.settle();
      expect(application.leadership().identity).toBe('from a getter');
      expect(elections.holder('named-by-a-getter')).toBe('from a getter');
    },
  );

  const wrong: [string, unknown][] = [
    ['role', ''],
    ['role', undefined],
    ['role', 7],
    ['role', ' plans'],
    ['leaseName', 'Plan_Scheduler'],
    ['leaseName', ''],
    ['namespace', 'my.namespace'],
    ['identity', ''],
    ['identity', 'a\nb'],
    ['leaseDurationMs', '15s'],
    ['leaseDurationMs', 0],
    ['leaseDurationMs', -15_000],
    ['leaseDurationMs', NaN],
    ['leaseDurationMs', 15_000.5],
    ['leaseDurationMs', 15_500],
    ['leaseDurationMs', Infinity],
    ['renewDeadlineMs', 14_000],
    ['renewDeadlineMs', 20_000],
    ['retryPeriodMs', 0],
    ['retryPeriodMs', 9_900],
    ['requestTimeoutMs', 9_000],
    ['drainTimeoutMs', -1],
    ['drainTimeoutMs', null],
    ['releaseOnShutdown', 'yes'],
    ['strict', 1],
    ['lock', 'redis'],
    ['lock', {}],
    ['lock', null],
    ['autoStart', 'no'],
    ['createLease', 'never'],
    ['podLabel', 'yes'],
    ['podWatch', 'yes'],
    ['podWatch', true],
    ['isGlobal', 'no'],
    ['leaseDuration', 15_000],
  ];

  describe.each(['forRoot', 'forRootAsync'] as const)('when given to %s', (form) => {
    it.each(wrong)('does not start with %s = %p, and names the field', async (field, value) => {
      const outside = ['role', 'isGlobal'].includes(field);
      const module =
        form === 'forRoot'
          ? forRoot({ [field]: value })
          : LeaderElectionModule.forRootAsync({
              role: ROLE,
              ...(outside && { [field]: value }),
              useFactory: () => ({ lock: memoryLock(), ...(!outside && { [field]: value }) }),
            } as LeaderElectionModuleAsyncOptions);
      expect(await faultsOf(module)).toEqual([[field, value]]);
    });
  });

  describe('when several are wrong', () => {
    it('tells all at once', async () => {
      const bad = { leaseName: '-', retryPeriodMs: -1, lock: 'zookeeper', autoStart: 0, x: 1 };
      const faults = await faultsOf(forRoot(bad));
      expect(new Set(faults.map(([field]) => field))).toEqual(new Set(Object.keys(bad)));
      expect(faults).toHaveLength(5);
    });
  });

  describe('when forRootAsync itself is wrong', () => {
    const asyncForm = (options: object) =>
      LeaderElectionModule.forRootAsync(options as LeaderElectionModuleAsyncOptions);

    it.each<[string, object, string[]]>([
      ['no source of options', { role: ROLE }, ['forRootAsync']],
      [
        'two sources of options',
        { role: ROLE, useFactory: () => ({}), useClass: class {} },
        ['forRootAsync'],
      ],
      ['a stray field', { role: ROLE, useFactory: () => ({}), leaseName: 'a' }, ['leaseName']],
      ['a factory without result', { role: ROLE, useFactory: () => undefined }, ['options']],
      [
        'a factory with another role',
        { role: ROLE, useFactory: () => ({ role: 'other', lock: memoryLock() }) },
        ['role'],
      ],
      [
        'a factory with isGlobal',
        { role: ROLE, useFactory: () => ({ isGlobal: true, lock: memoryLock() }) },
        ['isGlobal'],
      ],
      ['no role', { useFactory: () => ({ role: ROLE, lock: memoryLock() }) }, ['role', 'role']],
    ])('does not start with %s', async (_what, options, fields) => {
      expect((await faultsOf(asyncForm(options))).map(([field]) => field)).toEqual(fields);
    });

    it('does not start without any options', async () => {
      expect(await faultsOf(LeaderElectionModule.forRoot(undefined as never))).toEqual([
        ['role', undefined],
      ]);
      expect(
        (await faultsOf(LeaderElectionModule.forRootAsync(undefined as never))).length,
      ).toBeGreaterThan(0);
    });

    it("passes a factory's own error on", async () => {
      const failing = asyncForm({
        role: ROLE,
        useFactory: () => Promise.reject(new Error('no configuration')),
      });
      await expect(elections.create({ imports: [failing] })).rejects.toThrow('no configuration');
    });
  });
});
