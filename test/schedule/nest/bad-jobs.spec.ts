import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, Scope, type ModuleMetadata } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import {
  LeaderElectionOptionsError,
  OnGranted,
  OnNewLeader,
  OnRevoked,
  type ResourceLock,
} from '../../../lib/index.js';
import { memoryLock } from '../../../lib/locks/memory/memory.lock.js';
import { LeaderCron, LeaderSchedule, LeaderScheduleModule } from '../../../lib/schedule/index.js';
import { Jobs, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

describe('when a job cannot work', () => {
  /** A class with one job. */
  function withJob(schedule: unknown, options: unknown = {}): ModuleMetadata['providers'] {
    @Injectable()
    class Faulty {
      @LeaderCron(schedule as string, options as object)
      job(): void {}
    }
    return [Faulty];
  }

  async function faultsOf(
    providers: ModuleMetadata['providers'],
    imports?: ModuleMetadata['imports'],
  ) {
    const application = await elections.create(
      imports === undefined ? elections.metadata(providers) : { imports, providers },
    );
    try {
      await application.init();
    } catch (error) {
      if (error instanceof LeaderElectionOptionsError) return error.faults;
      throw error;
    }
    throw new Error('the application has started');
  }

  it.each<[string, unknown, unknown, string, string, string]>([
    [
      'an expression with a bad field',
      '61 * * * *',
      {},
      'schedule',
      'outside of 0-59',
      '30 2 * * *',
    ],
    ['an expression with too few fields', '* *', {}, 'schedule', '2 fields', '30 2 * * *'],
    ['a schedule of another type', 5, {}, 'schedule', 'cron expression or a Date', '30 2 * * *'],
    [
      'a schedule that never occurs',
      '0 0 30 2 *',
      {},
      'schedule',
      'never',
      'day that exists in that month',
    ],
    ['an invalid date', new Date('never'), {}, 'schedule', 'valid date', 'new Date'],
    [
      'a date that each replica computes for itself',
      new Date(1_800_000_000_123),
      {},
      'schedule',
      'whole second',
      'key',
    ],
    ['a key of a cron expression', '* * * * *', { key: 'k' }, 'key', 'single run', 'leave it out'],
    [
      'an unknown zone',
      '* * * * *',
      { timeZone: 'Mars/Olympus' },
      'timeZone',
      'IANA',
      'Europe/Berlin',
    ],
    ['a zone of another type', '* * * * *', { timeZone: 3 }, 'timeZone', 'string', 'Europe/Berlin'],
    [
      'a negative deadline',
      '* * * * *',
      { startingDeadlineSeconds: -1 },
      'startingDeadlineSeconds',
      '0 or more',
      '60',
    ],
    [
      'a deadline in fractions',
      '* * * * *',
      { startingDeadlineSeconds: 0.5 },
      'startingDeadlineSeconds',
      'whole',
      '60',
    ],
    [
      'a deadline as text',
      '* * * * *',
      { startingDeadlineSeconds: '60' },
      'startingDeadlineSeconds',
      'whole',
      '60',
    ],
    [
      'an unknown policy',
      '* * * * *',
      { concurrencyPolicy: 'forbid' },
      'concurrencyPolicy',
      '"Forbid"',
      '"Forbid"',
    ],
    ['a timeout of zero', '* * * * *', { timeoutMs: 0 }, 'timeoutMs', 'between 1', '60000'],
    ['jitter in fractions', '* * * * *', { jitterMs: 0.5 }, 'jitterMs', 'whole', 'use 0'],
    ['a negative jitter', '* * * * *', { jitterMs: -1 }, 'jitterMs', 'between 0', 'use 0'],
    ['a negative history', '* * * * *', { historyLimit: -1 }, 'historyLimit', '0 to 100', '10'],
    ['a history without end', '* * * * *', { historyLimit: 101 }, 'historyLimit', '0 to 100', '10'],
    ['a history in words', '* * * * *', { historyLimit: 'all' }, 'historyLimit', 'whole', '10'],
    ['retries in words', '* * * * *', { retries: 'three' }, 'retries', 'number of retries', '3'],
    ['negative retries', '* * * * *', { retries: -1 }, 'retries', '0 to 100', 'use for example 3'],
    ['too many retries', '* * * * *', { retries: 101 }, 'retries', '0 to 100', '0 for none'],
    ['retries in fractions', '* * * * *', { retries: 1.5 }, 'retries', 'whole', '3'],
    [
      'a list of retries',
      '* * * * *',
      { retries: [1] },
      'retries',
      'object with a limit',
      'limit: 3',
    ],
    ['retries without a limit', '* * * * *', { retries: {} }, 'retries.limit', '0 to 100', '3'],
    [
      'retries with another option',
      '* * * * *',
      { retries: { limit: 1, backoff: 5 } },
      'retries.backoff',
      'not an option',
      'backoffMs',
    ],
    [
      'a pause of nothing',
      '* * * * *',
      { retries: { limit: 1, backoffMs: 0 } },
      'retries.backoffMs',
      '1 to',
      '10000',
    ],
    [
      'a pause as text',
      '* * * * *',
      { retries: { limit: 1, backoffMs: '1s' } },
      'retries.backoffMs',
      'whole number of milliseconds',
      '10000',
    ],
    [
      'retries that are longer than the deadline',
      '* * * * *',
      { retries: 3, startingDeadlineSeconds: 60 },
      'retries',
      'the pauses between so many attempts alone take 70000 ms',
      'use {"limit":2,"backoffMs":10000}, a smaller backoffMs, or startingDeadlineSeconds: 70 or more',
    ],
    [
      'retries where no late tick starts',
      '* * * * *',
      { retries: 1, startingDeadlineSeconds: 0 },
      'retries',
      'must fit into startingDeadlineSeconds, 0',
      'leave it out',
    ],
    [
      'another policy for interrupted runs',
      '* * * * *',
      { onInterrupted: 'fail' },
      'onInterrupted',
      '"rerun"',
      '"report"',
    ],
    [
      'another policy for missed ticks',
      '* * * * *',
      { missed: 'skip' },
      'missed',
      '"none"',
      '"latest"',
    ],
    [
      'all missed ticks without a deadline',
      '* * * * *',
      { missed: 'all' },
      'missed',
      'needs',
      '3600',
    ],
    [
      'all missed ticks, each ended for the next',
      '* * * * *',
      { missed: 'all', startingDeadlineSeconds: 60, concurrencyPolicy: 'Replace' },
      'missed',
      'Replace',
      'Forbid',
    ],
    ['suspend as text', '* * * * *', { suspend: 'no' }, 'suspend', 'boolean', 'false'],
    [
      'onMissed that is a generator',
      '* * * * *',
      { onMissed: function* () {} },
      'onMissed',
      'generator',
      'make it async',
    ],
    [
      'onMissed that is no function',
      '* * * * *',
      { onMissed: 'log' },
      'onMissed',
      'function',
      'async () =>',
    ],
    ['an empty name', '* * * * *', { name: ' ' }, 'name', 'non-empty', 'close-plans'],
    [
      'an unknown option',
      '* * * * *',
      { utcOffset: 1 },
      'utcOffset',
      'is not an option',
      'timeZone',
    ],
    ['options that are none', '* * * * *', [], 'options', 'object', 'pass'],
    [
      'an unknown role',
      '* * * * *',
      { role: 'nobody' },
      'role',
      '"plan-scheduler"',
      'LeaderElectionModule',
    ],
  ])(
    'the start fails and names the fix: %s',
    async (_what, schedule, options, field, rule, fix) => {
      const faults = await faultsOf(withJob(schedule, options));
      expect(faults).toHaveLength(1);
      expect(faults[0]!.field).toBe(`@LeaderCron() on Faulty.job: ${field}`);
      expect(faults[0]!.rule).toContain(rule);
      expect(faults[0]!.fix).toContain(fix);
    },
  );

  it('reports all faults of all jobs at once', async () => {
    const faults = await faultsOf([
      ...withJob('x', { timeZone: 'x' })!,
      ...withJob('* * * * *', { startingDeadlineSeconds: -1 })!,
    ]);
    expect(faults).toHaveLength(3);
  });

  it('refuses a name that two jobs have', async () => {
    @Injectable()
    class Twice {
      @LeaderCron('* * * * *', { name: 'same' })
      one(): void {}

      @LeaderCron('0 * * * *', { name: 'same' })
      two(): void {}
    }
    expect(await faultsOf([Twice])).toMatchObject([
      {
        field: '@LeaderCron() on Twice.two: name',
        value: 'same',
        rule: expect.stringContaining('unique'),
        fix: expect.stringContaining('another name'),
      },
    ]);
  });

  it('refuses a name at run time that a job or a @Cron() of the registry has', async () => {
    @Injectable()
    class Plain {
      @Cron('0 0 1 1 *', { name: 'plain' })
      plain(): void {}
    }
    const application = await elections.started(Jobs, Plain);
    const schedule = application.get(LeaderSchedule);
    for (const name of ['plain', 'Jobs.everyMinute']) {
      expect(() => schedule.add(name, '* * * * *', () => undefined)).toThrow('unique');
    }
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /add\("job"\): handler: must be a function/],
    ['what it returns', Promise.resolve(), /add\("job"\): handler = an object: must be a function/],
    [
      'a generator that is not async',
      function* everyPlan() {},
      /handler = a function \(everyPlan\): must not be a generator .*: make it async/,
    ],
  ])('refuses at run time, in place of a handler, %s', async (_what, handler, text) => {
    const application = await elections.started();
    const schedule = application.get(LeaderSchedule);
    const add = () => schedule.add('job', '* * * * *', handler as never);
    expect(add).toThrow(LeaderElectionOptionsError);
    expect(add).toThrow(text);
    expect(schedule.list()).toEqual([]);
  });

  it.each([10n, undefined, Symbol('job'), { toJSON: () => 10n }])(
    'refuses at run time a name that is no text: %p',
    async (name) => {
      const application = await elections.started();
      const add = () =>
        application.get(LeaderSchedule).add(name as never, '* * * * *', () => undefined);
      expect(add).toThrow(LeaderElectionOptionsError);
      expect(add).toThrow(/LeaderSchedule\.add\(…\): name/);
    },
  );

  it.each<[string, MethodDecorator]>([
    ['@OnGranted()', OnGranted()],
    ['@OnRevoked()', OnRevoked()],
    ['@OnNewLeader()', OnNewLeader()],
    ['@LeaderCron()', LeaderCron('* * * * *')],
  ])(
    'refuses %s on a generator that is not async, as nothing would iterate it',
    (name, decorate) => {
      class Target {
        *run(): Generator<number> {
          yield 1;
        }
      }
      const descriptor = Object.getOwnPropertyDescriptor(Target.prototype, 'run')!;
      const decoration = () => decorate(Target.prototype, 'run', descriptor);
      expect(decoration).toThrow(LeaderElectionOptionsError);
      expect(decoration).toThrow(`${name} on Target.run: must not be a generator function`);
    },
  );

  it('asks for a role where there are several', async () => {
    const imports = [elections.module(), elections.module({ role: 'other' }), LeaderScheduleModule];
    expect(await faultsOf(withJob('* * * * *'), imports)).toMatchObject([
      { rule: 'must name a role, as there are several: "plan-scheduler", "other"' },
    ]);
  });

  it('refuses a lock that has nowhere to keep claims', async () => {
    const ready = (await memoryLock()({
      leaseName: 'plan-scheduler',
      namespace: undefined,
      identity: 'x',
    })) as ResourceLock;
    const lock: ResourceLock = {
      read: (options) => ready.read(options),
      create: (record, options) => ready.create(record, options),
      replace: (record, expected, options) => ready.replace(record, expected, options),
      describe: () => 'own lock',
    };
    const imports = [elections.module({ lock }), LeaderScheduleModule];
    expect(await faultsOf(withJob('* * * * *'), imports)).toMatchObject([
      {
        field: '@LeaderCron() on Faulty.job: lock',
        rule: expect.stringContaining('sibling()'),
        fix: expect.stringContaining('sibling(suffix)'),
      },
    ]);
  });

  it('refuses a provider that has no one instance', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      @LeaderCron('* * * * *')
      job(): void {}
    }
    expect(await faultsOf([Transient])).toMatchObject([
      { field: '@LeaderCron() on Transient.job', rule: expect.stringContaining('transient') },
    ]);
  });

  it('does not start without LeaderScheduleModule, and says which import is missing', async () => {
    @Module({ imports: [elections.module()], providers: [Jobs] })
    class WithoutSchedule {}
    await expect(elections.builder({ imports: [WithoutSchedule] }).compile()).rejects.toThrow(
      'LeaderScheduleModule',
    );
  });
});
