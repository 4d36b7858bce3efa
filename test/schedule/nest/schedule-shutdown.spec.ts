import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { LeaderCron, type LeaderCronContext, LeaderSchedule } from '../../../lib/schedule/index.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

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
    const application = await elections.started(Long);
    await elections.clock.advance(MINUTE_MS);
    const closing = application.close().then(() => order.push('closed'));
    await elections.clock.advance(5_000);
    expect(order).toEqual(['aborted']);
    expect(elections.holder()).not.toBe('');
    finish();
    await closing;
    expect(order).toEqual(['aborted', 'ended', 'held', 'closed']);
    expect(elections.holder()).toBe('');
    expect(elections.jobs()).toMatchObject({
      long: { lastSuccessfulTime: expect.any(String) },
    });
    expect(elections.jobs()['long']).not.toHaveProperty('active');
    expect(elections.clock.pendingTimers).toBe(0);
  });

  it('does not release if a run outlasts drainTimeoutMs; the next leader waits the lease out and reports it', async () => {
    @Injectable()
    class Deaf {
      runs = 0;
      readonly reasons: string[] = [];

      @LeaderCron('* * * * *', {
        name: 'deaf',
        onMissed(this: Deaf, { reason }) {
          this.reasons.push(reason);
        },
      })
      run(): Promise<void> {
        this.runs += 1;
        return new Promise(() => {});
      }
    }
    const start = () => elections.start(elections.metadata([Deaf], { drainTimeoutMs: 5_000 }));
    const first = await start();
    await elections.clock.advance(MINUTE_MS);
    const next = await start();
    let isClosed = false;
    const closing = first.close().then(() => (isClosed = true));
    await elections.clock.advance(5_000);
    await closing;
    expect(isClosed).toBe(true);
    expect(elections.holder()).not.toBe('');
    expect(next.leadership().isLeader()).toBe(false);
    expect(elections.jobs()).toMatchObject({ deaf: { active: [{}] } });

    await elections.clock.advance(20_000);
    expect(next.leadership().isLeader()).toBe(true);
    expect(next.get(Deaf).reasons).toEqual(['interrupted']);
    expect(next.get(Deaf).runs).toBe(0);
  });

  it('does not wait for a run that waits for its own job', async () => {
    const application = await elections.started();
    const schedule = application.get(LeaderSchedule);
    const ended: string[] = [];
    const end = (what: string) => () => void ended.push(what);
    schedule.add('removes itself', '* * * * *', () =>
      schedule.remove('removes itself').then(end('removed')),
    );
    schedule.add(
      'replaces itself',
      '* * * * *',
      () => schedule.trigger('replaces itself').catch(({ code }: { code: string }) => end(code)()),
      { concurrencyPolicy: 'Replace' },
    );
    await elections.clock.advance(MINUTE_MS);
    expect(ended.sort()).toEqual(['ERR_JOB_WAITS_FOR_ITSELF', 'removed']);
    await application.close();
    expect(elections.holder()).toBe('');
  });

  it('takes no job at run time any more', async () => {
    const application = await elections.started();
    await application.close();
    const schedule = application.get(LeaderSchedule);
    expect(() => schedule.add('late', '* * * * *', () => undefined)).toThrow('shutting down');
  });
});
