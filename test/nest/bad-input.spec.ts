import { type DynamicModule } from '@nestjs/common';
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
