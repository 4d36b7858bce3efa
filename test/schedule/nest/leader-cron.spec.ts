import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { LeaderOnly } from '../../../lib/index.js';
import { LeaderCron, LeaderScheduleModule } from '../../../lib/schedule/index.js';
import { Elections } from '../../nest/support/elections.js';
import { Jobs, MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

describe('when a method is decorated with @LeaderCron()', () => {
  it('runs on the leader at its nominal times, with the instance as this', async () => {
    const application = await elections.started(Jobs);
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
    const first = await elections.started(Jobs);
    const second = await elections.started(Jobs);
    await elections.clock.advance(2 * MINUTE_MS);
    expect(first.get(Jobs).contexts).toHaveLength(2);
    expect(second.get(Jobs).contexts).toHaveLength(0);
    await first.close();
    await elections.clock.advance(MINUTE_MS);
    expect(first.get(Jobs).contexts).toHaveLength(2);
    expect(second.get(Jobs).contexts).toHaveLength(1);
  });

  it('catches up the latest tick after a failover and reports the others to its onMissed', async () => {
    const first = await elections.started(Jobs);
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
    const application = await elections.started(Both);
    await elections.clock.advance(2 * MINUTE_MS);
    expect(application.get(Both).runs).toBe(4);
  });

  it('runs an instant given as a Date once', async () => {
    @Injectable()
    class Once {
      runs = 0;

      @LeaderCron(new Date('2026-01-01T00:03:30Z'))
      once(): void {
        this.runs += 1;
      }
    }
    const application = await elections.started(Once);
    await elections.clock.advance(10 * MINUTE_MS);
    expect(application.get(Once).runs).toBe(1);
  });

  it('leaves nothing on the instance', async () => {
    const application = await elections.started(Jobs);
    expect(Object.keys(application.get(Jobs))).toEqual(['contexts', 'reports']);
  });

  it('keeps two applications apart that know nothing of each other', async () => {
    const other = new Elections();
    const one = await elections.started(Jobs);
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

describe('when the event loop is blocked past the renew deadline until a tick is due', () => {
  it('lets the election find out, and catches the tick up when it leads again', async () => {
    const application = await elections.started(Jobs);
    await elections.clock.advance(MINUTE_MS - 1_000);
    elections.clock.stall(20_000);
    await elections.clock.advance(0);
    await elections.clock.advance(10_000);
    expect(application.leadership().isLeader()).toBe(true);
    expect(application.get(Jobs).contexts).toMatchObject([
      { scheduledTime: new Date('2026-01-01T00:01:00Z'), term: { number: 2 } },
    ]);
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
    const application = await elections.create(elections.metadata([Slow]));
    const init = application.init();
    await elections.clock.advance(2 * MINUTE_MS);
    expect(application.get(Slow).contexts).toEqual([]);
    release();
    await init;
    await elections.clock.advance(MINUTE_MS);
    expect(application.get(Slow).contexts).toHaveLength(1);
  });
});
