import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, Scope, type ModuleMetadata } from '@nestjs/common';
import { Cron, CronExpression, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { LeaderElectionOptionsError, LeaderOnly, type ResourceLock } from '../../../lib/index.js';
import { memoryLock } from '../../../lib/locks/memory.lock.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderSchedule,
  LeaderScheduleModule,
  type MissedReport,
} from '../../../lib/schedule/index.js';
import { Elections } from '../../nest/support/elections.js';

const MINUTE_MS = 60_000;

@Injectable()
class Jobs {
  readonly contexts: LeaderCronContext[] = [];
  readonly reports: MissedReport[] = [];

  @LeaderCron(CronExpression.EVERY_MINUTE, {
    startingDeadlineSeconds: 30,
    onMissed(this: Jobs, report: MissedReport) {
      this.reports.push(report);
    },
  })
  everyMinute(context: LeaderCronContext): void {
    this.contexts.push(context);
  }
}

let elections: Elections;

beforeEach(() => {
  elections = new Elections();
});
afterEach(() => elections.end());

function metadata(providers: ModuleMetadata['providers'], ...more: never[]): ModuleMetadata {
  const imports = [ScheduleModule.forRoot(), elections.module(), LeaderScheduleModule, ...more];
  return { imports, providers };
}

async function started(...providers: NonNullable<ModuleMetadata['providers']>) {
  const application = await elections.start(metadata(providers));
  await elections.clock.settle();
  return application;
}

describe('when a method is decorated with @LeaderCron()', () => {
  it('runs on the leader at its nominal times, with the instance as this', async () => {
    const application = await started(Jobs);
    await elections.clock.advance(2 * MINUTE_MS);
    const { contexts } = application.get(Jobs);
    expect(contexts.map(({ scheduledTime }) => scheduledTime.toISOString())).toEqual([
      '2026-01-01T00:01:00.000Z',
      '2026-01-01T00:02:00.000Z',
    ]);
    const [first] = contexts;
    expect(first!.term).toBe(application.leadership().term);
    expect(first!.signal.aborted).toBe(false);
    expect(first!.missed).toEqual({ count: 0, times: [], isCapped: false });
  });

  it('runs in one of several applications, and in the next when that one ends', async () => {
    const first = await started(Jobs);
    const second = await started(Jobs);
    await elections.clock.advance(2 * MINUTE_MS);
    expect(first.get(Jobs).contexts).toHaveLength(2);
    expect(second.get(Jobs).contexts).toHaveLength(0);
    await first.close();
    await elections.clock.advance(MINUTE_MS);
    expect(first.get(Jobs).contexts).toHaveLength(2);
    expect(second.get(Jobs).contexts).toHaveLength(1);
  });

  it('catches up the latest tick after a failover and reports the others to its onMissed', async () => {
    const first = await started(Jobs);
    await elections.clock.advance(MINUTE_MS);
    first.leadership().suspend();
    await elections.clock.advance(3 * MINUTE_MS + 5_000);
    first.leadership().resume();
    await elections.clock.advance(5_000);
    const { contexts, reports } = first.get(Jobs);
    expect(contexts.map(({ scheduledTime }) => scheduledTime.getUTCMinutes())).toEqual([1, 4]);
    expect(reports).toMatchObject([{ job: 'Jobs.everyMinute', count: 2, reason: 'not-started' }]);
  });

  it('may be gated as well, and may have several schedules', async () => {
    @Injectable()
    class Both {
      runs = 0;

      @LeaderOnly()
      @LeaderCron('0 * * * * *', { name: 'at-0' })
      @LeaderCron('30 * * * * *', { name: 'at-30' })
      twice(): void {
        this.runs += 1;
      }
    }
    const application = await started(Both);
    await elections.clock.advance(2 * MINUTE_MS);
    expect(application.get(Both).runs).toBe(4);
  });

  it('runs an instant given as a Date once', async () => {
    @Injectable()
    class Once {
      runs = 0;

      @LeaderCron(new Date('2026-01-01T00:03:30.500Z'))
      once(): void {
        this.runs += 1;
      }
    }
    const application = await started(Once);
    await elections.clock.advance(10 * MINUTE_MS);
    expect(application.get(Once).runs).toBe(1);
  });

  it('leaves nothing on the instance', async () => {
    const application = await started(Jobs);
    expect(Object.keys(application.get(Jobs))).toEqual(['contexts', 'reports']);
  });

  it('keeps two applications apart that know nothing of each other', async () => {
    const other = new Elections();
    const one = await started(Jobs);
    const two = await other.start({
      imports: [other.module(), LeaderScheduleModule],
      providers: [Jobs],
    });
    await other.clock.settle();
    await elections.clock.advance(MINUTE_MS);
    expect([one.get(Jobs).contexts.length, two.get(Jobs).contexts.length]).toEqual([1, 0]);
    await other.clock.advance(2 * MINUTE_MS);
    expect([one.get(Jobs).contexts.length, two.get(Jobs).contexts.length]).toEqual([1, 2]);
    await other.end();
  });
});

describe('when the application has not been initialised', () => {
  it('starts no job', async () => {
    let release!: () => void;
    @Injectable()
    class Slow extends Jobs {
      onApplicationBootstrap(): Promise<void> {
        return new Promise((resolve) => (release = resolve));
      }
    }
    const application = await elections.create(metadata([Slow]));
    const init = application.init();
    await elections.clock.advance(2 * MINUTE_MS);
    expect(application.get(Slow).contexts).toEqual([]);
    release();
    await init;
    await elections.clock.advance(MINUTE_MS);
    expect(application.get(Slow).contexts).toHaveLength(1);
  });
});

describe('when the application shuts down', () => {
  it('starts nothing more, awaits what runs and its record, and releases last', async () => {
    let finish!: () => void;
    const order: string[] = [];
    @Injectable()
    class Long {
      @LeaderCron('* * * * *', { name: 'long' })
      async run({ signal }: LeaderCronContext): Promise<void> {
        signal.addEventListener('abort', () => order.push('aborted'));
        await new Promise<void>((resolve) => (finish = resolve));
        order.push('ended');
      }

      onApplicationShutdown(): void {
        order.push(elections.holder() === '' ? 'released before' : 'held');
      }
    }
    const application = await started(Long);
    await elections.clock.advance(MINUTE_MS);
    const closing = application.close().then(() => order.push('closed'));
    await elections.clock.advance(5_000);
    expect(order).toEqual(['aborted']);
    expect(elections.holder()).not.toBe('');
    finish();
    await closing;
    expect(order).toEqual(['aborted', 'ended', 'held', 'closed']);
    expect(elections.holder()).toBe('');
    const [stored] = [...elections.store.documents.values()];
    expect(JSON.parse(stored!.text)).toMatchObject({
      jobs: { long: { active: [], lastSuccessfulTime: expect.any(String) } },
    });
    expect(elections.clock.pendingTimers).toBe(0);
  });
});

describe('when jobs are managed at run time', () => {
  it('adds, lists, suspends, resumes and removes them', async () => {
    const application = await started();
    const schedule = application.get(LeaderSchedule);
    const runs: string[] = [];
    schedule.add('tenant-1', '* * * * *', () => runs.push('tenant-1'), { timeZone: 'UTC' });
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toEqual(['tenant-1']);
    expect(schedule.list()).toEqual([
      {
        name: 'tenant-1',
        role: 'plan-scheduler',
        schedule: '* * * * *',
        timeZone: 'UTC',
        suspended: false,
        nextTick: new Date('2026-01-01T00:02:00Z'),
      },
    ]);
    schedule.suspend('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(schedule.list()).toMatchObject([{ suspended: true, nextTick: null }]);
    schedule.resume('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toHaveLength(2);
    await schedule.remove('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toHaveLength(2);
    expect(schedule.list()).toEqual([]);
  });

  it('tells followers too what the fleet knows of a job', async () => {
    const leader = await started(Jobs);
    const follower = await started(Jobs);
    await elections.clock.advance(MINUTE_MS);
    const status = await follower.get(LeaderSchedule).inspect('Jobs.everyMinute');
    expect(status).toMatchObject({
      name: 'Jobs.everyMinute',
      lastScheduleTime: new Date('2026-01-01T00:01:00Z'),
      lastSuccessfulTime: new Date('2026-01-01T00:01:00Z'),
      lastFailed: null,
      active: [],
      missedCount: 0,
    });
    expect(leader.get(Jobs).contexts).toHaveLength(1);
  });

  it('triggers a run on the leader, and refuses on a follower', async () => {
    const leader = await started(Jobs);
    const follower = await started(Jobs);
    await expect(leader.get(LeaderSchedule).trigger('Jobs.everyMinute')).resolves.toBe('succeeded');
    expect(leader.get(Jobs).contexts).toHaveLength(1);
    await expect(follower.get(LeaderSchedule).trigger('Jobs.everyMinute')).rejects.toMatchObject({
      code: 'ERR_NOT_LEADER',
    });
  });

  it('throws for a name that no job has', async () => {
    const application = await started(Jobs);
    const schedule = application.get(LeaderSchedule);
    expect(() => schedule.suspend('nothing')).toThrow('"Jobs.everyMinute"');
    await expect(schedule.inspect('nothing')).rejects.toThrow(LeaderElectionOptionsError);
  });
});

describe('when the application has the ScheduleModule of @nestjs/schedule', () => {
  it('lists every job in its SchedulerRegistry, and obeys what is done there', async () => {
    const application = await started(Jobs);
    const registry = application.get(SchedulerRegistry);
    const job = registry.getCronJob('Jobs.everyMinute');
    await elections.clock.advance(MINUTE_MS);
    expect(job.isActive).toBe(true);
    expect(job.lastDate()).toEqual(new Date('2026-01-01T00:01:00Z'));
    expect(job.cronTime.source).toBe(CronExpression.EVERY_MINUTE);
    void job.stop();
    expect(job.isActive).toBe(false);
    await elections.clock.advance(MINUTE_MS);
    expect(application.get(Jobs).contexts).toHaveLength(1);
    job.start();
    await elections.clock.advance(0);
    await job.fireOnTick();
    expect(application.get(Jobs).contexts.length).toBeGreaterThanOrEqual(2);
    expect(() => job.setTime(job.cronTime)).toThrow('LeaderSchedule');
  });

  it('is not needed', async () => {
    const application = await elections.start({
      imports: [elections.module(), LeaderScheduleModule],
      providers: [Jobs],
    });
    await elections.clock.advance(MINUTE_MS);
    expect(application.get(Jobs).contexts).toHaveLength(1);
  });
});

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
      imports === undefined ? metadata(providers) : { imports, providers },
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
      'day that the month has',
    ],
    ['an invalid date', new Date('never'), {}, 'schedule', 'valid date', 'new Date'],
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
    ['suspend as text', '* * * * *', { suspend: 'no' }, 'suspend', 'boolean', 'false'],
    [
      'onMissed that is no function',
      '* * * * *',
      { onMissed: 'log' },
      'onMissed',
      'function',
      '(report)',
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
      },
    ]);
  });

  it('refuses a name at run time that a job or a @Cron() of the registry has', async () => {
    @Injectable()
    class Plain {
      @Cron('0 0 1 1 *', { name: 'plain' })
      plain(): void {}
    }
    const application = await started(Jobs, Plain);
    const schedule = application.get(LeaderSchedule);
    for (const name of ['plain', 'Jobs.everyMinute']) {
      expect(() => schedule.add(name, '* * * * *', () => undefined)).toThrow('unique');
    }
  });

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
