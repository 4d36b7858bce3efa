import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { CronExpression, SchedulerRegistry } from '@nestjs/schedule';
import { LeaderElectionOptionsError } from '../../../lib/index.js';
import { MemoryDocumentStore } from '../../../lib/locks/memory/memory.lock.js';
import {
  JobCancelledError,
  LeaderCron,
  type LeaderCronContext,
  LeaderSchedule,
  LeaderScheduleModule,
} from '../../../lib/schedule/index.js';
import { Jobs, MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

describe('when jobs are managed at run time', () => {
  it('adds, lists, suspends, resumes and removes them', async () => {
    const application = await elections.started();
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
    await schedule.suspend('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(schedule.list()).toMatchObject([{ suspended: true, nextTick: null }]);
    await schedule.resume('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toHaveLength(2);
    await schedule.remove('tenant-1');
    await elections.clock.advance(MINUTE_MS);
    expect(runs).toHaveLength(2);
    expect(schedule.list()).toEqual([]);
  });

  it('tells followers too what the fleet knows of a job', async () => {
    const leader = await elections.started(Jobs);
    const follower = await elections.started(Jobs);
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

  it('tells followers which runs are active, how the last one failed, and what was missed', async () => {
    let fail!: (error: Error) => void;
    @Injectable()
    class Failing {
      @LeaderCron('* * * * *', { name: 'failing' })
      run(): Promise<void> {
        return new Promise((_resolve, reject) => (fail = reject));
      }
    }
    const leader = await elections.started(Failing);
    const follower = await elections.started(Failing);
    await elections.clock.advance(2 * MINUTE_MS);
    const { fencingToken, number, holderIdentity } = leader.leadership().term!;
    const during = await follower.get(LeaderSchedule).inspect('failing');
    expect(during).toMatchObject({
      active: [
        {
          scheduledTime: new Date('2026-01-01T00:01:00Z'),
          startedAt: expect.any(Date),
          term: number,
          fencingToken,
          holderIdentity,
        },
      ],
      lastSuccessfulTime: null,
      missedCount: 1,
      lastMissedTime: new Date('2026-01-01T00:02:00Z'),
    });
    fail(new Error('no ink'));
    await elections.clock.settle();
    expect(await follower.get(LeaderSchedule).inspect('failing')).toMatchObject({
      active: [],
      lastFailed: {
        scheduledTime: new Date('2026-01-01T00:01:00Z'),
        at: expect.any(Date),
        reason: 'Error: no ink',
      },
    });
  });

  it('suspends and resumes a job for all replicas, with who, when and why', async () => {
    const leader = await elections.started(Jobs);
    const follower = await elections.started(Jobs);
    const schedule = follower.get(LeaderSchedule);
    await schedule.suspend('Jobs.everyMinute', { reason: 'the bank is closed' });
    await elections.clock.advance(2 * MINUTE_MS);
    expect(leader.get(Jobs).contexts).toEqual([]);
    const by = follower.leadership().identity;
    const at = new Date('2026-01-01T00:00:00Z');
    expect(await leader.get(LeaderSchedule).inspect('Jobs.everyMinute')).toMatchObject({
      nextTick: null,
      suspension: { isSuspended: true, at, by, reason: 'the bank is closed' },
    });
    await schedule.resume('Jobs.everyMinute');
    await elections.clock.advance(2 * MINUTE_MS);
    expect(leader.get(Jobs).contexts.length).toBeGreaterThan(0);
    expect(await schedule.inspect('Jobs.everyMinute')).toMatchObject({
      nextTick: new Date('2026-01-01T00:05:00Z'),
      suspension: { isSuspended: false, by, reason: null },
    });
  });

  it.each<[string, unknown, string]>([
    ['a reason of another type', { reason: 5 }, 'reason'],
    ['a reason of many lines', { reason: 'a\nb' }, 'line breaks'],
    ['a reason without end', { reason: 'x'.repeat(201) }, '200 characters'],
    ['another option', { until: 'Monday' }, 'is not an option'],
  ])('refuses to suspend a job with %s', async (_what, options, rule) => {
    const application = await elections.started(Jobs);
    const suspended = application
      .get(LeaderSchedule)
      .suspend('Jobs.everyMinute', options as object);
    await expect(suspended).rejects.toThrow(rule);
  });

  it('cancels a run on the leader when a follower is asked, with who, when and why', async () => {
    const signals: AbortSignal[] = [];
    const start = async () => {
      const application = await elections.started();
      application
        .get(LeaderSchedule)
        .add('stuck', '* * * * *', ({ signal }) => (signals.push(signal), untilAborted(signal)));
      return application;
    };
    const leader = await start();
    const follower = await start();
    await elections.clock.advance(MINUTE_MS);
    const cancelled = follower.get(LeaderSchedule).cancel('stuck', { reason: 'no answer' });
    await elections.clock.settle();
    const by = follower.leadership().identity;
    const cancellation = { at: new Date('2026-01-01T00:01:00Z'), by, reason: 'no answer' };
    const status = await leader.get(LeaderSchedule).inspect('stuck');
    expect(status.active).toMatchObject([{ cancellation }]);
    expect(JSON.parse(JSON.stringify(status))).toMatchObject({
      active: [{ cancellation: { at: '2026-01-01T00:01:00.000Z', by, reason: 'no answer' } }],
    });
    await elections.clock.advance(MINUTE_MS / 2);
    expect(await cancelled).toBe('ended');
    expect(signals[0]!.reason).toBeInstanceOf(JobCancelledError);
    expect(signals[0]!.reason).toMatchObject({ job: 'stuck', by });
    expect((await follower.get(LeaderSchedule).inspect('stuck')).history).toMatchObject([
      { outcome: 'cancelled', reason: null, cancellation },
    ]);
  });

  it('tells that nothing is to be cancelled', async () => {
    const application = await elections.started(Jobs);
    const cancelled = application.get(LeaderSchedule).cancel('Jobs.everyMinute');
    await elections.clock.settle();
    expect(await cancelled).toBe('none');
  });

  it('rejects if it is not known whether the request to cancel is stored', async () => {
    const application = await elections.started(Jobs);
    jest
      .spyOn(MemoryDocumentStore.prototype, 'read')
      .mockImplementation(() => new Promise(() => {}));
    const cancelled = application.get(LeaderSchedule).cancel('Jobs.everyMinute').catch(String);
    await elections.clock.advance(MINUTE_MS);
    jest.restoreAllMocks();
    expect(await cancelled).toContain('Job "Jobs.everyMinute": it could not be confirmed within');
  });

  it.each<[string, unknown, string]>([
    ['a reason of another type', { reason: 5 }, 'reason'],
    ['a wait of another type', { waitMs: '1s' }, 'whole number of milliseconds'],
    ['a wait that is negative', { waitMs: -1 }, 'between 0 and'],
    ['another option', { force: true }, 'is not an option'],
  ])('refuses to cancel a job with %s', async (_what, options, rule) => {
    const application = await elections.started(Jobs);
    const schedule = application.get(LeaderSchedule);
    await expect(schedule.cancel('Jobs.everyMinute', options as object)).rejects.toThrow(rule);
  });

  it('adds a job again that was removed, without repeating a tick', async () => {
    const application = await elections.started();
    const schedule = application.get(LeaderSchedule);
    const times: string[] = [];
    const add = () =>
      schedule.add('again', '* * * * *', (context) => {
        times.push(context.scheduledTime.toISOString().slice(11, 16));
      });
    add();
    await elections.clock.advance(MINUTE_MS);
    await schedule.remove('again');
    expect(application.get(SchedulerRegistry).doesExist('cron', 'again')).toBe(false);
    add();
    await elections.clock.advance(MINUTE_MS);
    expect(times).toEqual(['00:01', '00:02']);
  });

  it.each([
    ['an expression', 'x', {}, 'schedule', '30 2 * * *'],
    ['a zone', '* * * * *', { timeZone: 'Mars/Olympus' }, 'timeZone', 'Europe/Berlin'],
    ['a deadline', '* * * * *', { startingDeadlineSeconds: -1 }, 'startingDeadlineSeconds', '60'],
    ['a role', '* * * * *', { role: 'nobody' }, 'role', 'LeaderElectionModule'],
  ])('refuses %s that is wrong, and names the fix', async (_what, written, options, field, fix) => {
    const schedule = (await elections.started()).get(LeaderSchedule);
    let thrown: unknown;
    try {
      schedule.add('wrong', written, () => undefined, options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(LeaderElectionOptionsError);
    expect((thrown as LeaderElectionOptionsError).faults).toMatchObject([
      { field: `LeaderSchedule.add("wrong"): ${field}`, fix: expect.stringContaining(fix) },
    ]);
    expect(schedule.list()).toEqual([]);
  });

  it('triggers a run on the leader, and refuses on a follower', async () => {
    const leader = await elections.started(Jobs);
    const follower = await elections.started(Jobs);
    await expect(leader.get(LeaderSchedule).trigger('Jobs.everyMinute')).resolves.toBe('succeeded');
    expect(leader.get(Jobs).contexts).toMatchObject([{ isTriggered: true }]);
    await elections.clock.advance(MINUTE_MS);
    expect(leader.get(Jobs).contexts.slice(1)).toMatchObject([{ isTriggered: false }]);
    await expect(follower.get(LeaderSchedule).trigger('Jobs.everyMinute')).rejects.toMatchObject({
      code: 'ERR_NOT_LEADER',
    });
  });

  it('runs a Date with a key once, though each replica computes one of its own', async () => {
    const runs: string[] = [];
    const start = async () => {
      const application = await elections.started();
      const { clock } = elections;
      const date = new Date(clock.wallMicros() / 1_000 + MINUTE_MS + 0.5);
      const run = ({ scheduledTime }: LeaderCronContext) => runs.push(scheduledTime.toISOString());
      application.get(LeaderSchedule).add('import', date, run, { key: 'import-2026' });
      await clock.advance(10_123);
      return application;
    };
    const first = await start();
    const second = await start();
    await first.close();
    await elections.clock.advance(30_000);
    const third = await start();
    await elections.clock.advance(MINUTE_MS);
    await second.close();
    await elections.clock.advance(3 * MINUTE_MS);
    expect(third.leadership().isLeader()).toBe(true);
    expect(runs).toEqual(['2026-01-01T00:01:00.000Z']);
  });

  it('throws for a name that no job has', async () => {
    const application = await elections.started(Jobs);
    const schedule = application.get(LeaderSchedule);
    await expect(schedule.suspend('nothing')).rejects.toThrow('"Jobs.everyMinute"');
    await expect(schedule.cancel('nothing')).rejects.toThrow('"Jobs.everyMinute"');
    await expect(schedule.inspect('nothing')).rejects.toThrow(LeaderElectionOptionsError);
  });
});

describe('when the application has the ScheduleModule of @nestjs/schedule', () => {
  it('lists every job in its SchedulerRegistry, and obeys what is done there', async () => {
    const application = await elections.started(Jobs);
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

  it.each([['@annually'], ['@midnight'], ['0 0 ? * MON-FRI'], [new Date('2020-01-01T00:00:00Z')]])(
    'lists %s, which the cron package does not know or would not start',
    async (written) => {
      const application = await elections.started();
      const schedule = application.get(LeaderSchedule);
      schedule.add('job', written, () => undefined, { timeZone: 'UTC' });
      expect(application.get(SchedulerRegistry).getCronJob('job').isActive).toBe(true);
      await elections.clock.advance(MINUTE_MS);
      expect(schedule.list()).toMatchObject([{ name: 'job', schedule: written }]);
    },
  );

  it('is not needed', async () => {
    const application = await elections.start({
      imports: [elections.module(), LeaderScheduleModule],
      providers: [Jobs],
    });
    await elections.clock.advance(MINUTE_MS);
    expect(application.get(Jobs).contexts).toHaveLength(1);
  });
});
