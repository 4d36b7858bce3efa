import 'reflect-metadata';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { config } from 'rxjs';
import { LeaderSchedule, type RunEvent } from '../../../lib/schedule/index.js';
import { OnceReporter } from '../../../lib/schedule/nest/once-logger.js';
import { RunEvents, RunReporter } from '../../../lib/schedule/nest/run-events.js';
import { testTerm } from '../../../lib/testing/index.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

const CHANNEL = 'nestjs-leader-election:run';

let elections: ScheduledApplications;
let onChannel: RunEvent[];
const listen = (message: unknown): void => void onChannel.push(message as RunEvent);

beforeEach(() => {
  elections = new ScheduledApplications();
  onChannel = [];
  subscribe(CHANNEL, listen);
});
afterEach(async () => {
  unsubscribe(CHANNEL, listen);
  await elections.end();
});

/** An application that leads, its schedule, and what `runs$` of it has carried. */
async function heard() {
  const application = await elections.started();
  const schedule = application.get(LeaderSchedule);
  const events: RunEvent[] = [];
  schedule.runs$.subscribe((event) => events.push(event));
  return { application, schedule, events };
}

const SOURCE = { role: 'billing', lock: 'Lease default/billing', holderIdentity: 'pod-a' };
const RUN = { job: 'job', scheduledTime: new Date(0), attempt: 1, term: testTerm() };
const cause = 'leadership ended';
const at = (time: string): Date => new Date(`2026-01-01T${time}Z`);
const aWait = (ms: number): Promise<void> =>
  new Promise((resolve) => void elections.clock.setTimer(resolve, ms));

describe('when a run starts and ends', () => {
  it('says so on runs$ and on the channel: whose it is, which tick, and how long it took', async () => {
    const { application, schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => aWait(2_500), { timeZone: 'UTC' });
    await elections.clock.advance(MINUTE_MS + 2_500);
    const common = {
      application: 'nestjs-leader-election',
      role: 'plan-scheduler',
      lock: expect.stringContaining('plan-scheduler') as unknown,
      holderIdentity: application.leadership().identity,
      job: 'close-day',
      scheduledTime: at('00:01:00'),
      attempt: 1,
      term: 1,
    };
    expect(events).toEqual([
      { ...common, kind: 'started' },
      { ...common, kind: 'succeeded', durationMs: 2_500 },
    ]);
    expect(onChannel).toEqual(events);
  });

  it('says why it failed', async () => {
    const { schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => Promise.reject(new Error('no paper')));
    await elections.clock.advance(MINUTE_MS);
    const failed = { kind: 'failed', reason: 'Error: no paper', durationMs: 0 };
    expect(events).toMatchObject([{ kind: 'started' }, failed]);
  });

  it('says that it was cancelled, by whom and why', async () => {
    const { application, schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => aWait(2_500), { timeZone: 'UTC' });
    await elections.clock.advance(MINUTE_MS + 500);
    const cancelled = schedule.cancel('close-day', { reason: 'no paper' });
    await elections.clock.advance(2_000);
    expect(await cancelled).toBe('ended');
    const reason = `cancelled by ${application.leadership().identity}: no paper`;
    expect(events).toMatchObject([
      { kind: 'started' },
      { kind: 'cancelled', scheduledTime: at('00:01:00'), durationMs: 2_500, attempt: 1, reason },
    ]);
  });

  it('says when it is tried again, and which attempt each event is about', async () => {
    const { schedule, events } = await heard();
    let calls = 0;
    const fails = ({ attempt }: { attempt: number }): void => {
      calls += 1;
      if (attempt !== calls) throw new Error(`call ${calls} is attempt ${attempt}`);
      if (calls < 3) throw new Error('no paper');
    };
    const options = { timeZone: 'UTC', retries: { limit: 2, backoffMs: 5_000 } };
    schedule.add('close-day', '* * * * *', fails, options);
    await elections.clock.advance(MINUTE_MS + 15_000);
    const about = { job: 'close-day', scheduledTime: at('00:01:00') };
    const failed = { ...about, kind: 'failed', reason: 'Error: no paper' };
    expect(events).toMatchObject([
      { ...about, kind: 'started', attempt: 1 },
      { ...failed, attempt: 1, willRetryAt: at('00:01:05') },
      { ...about, kind: 'started', attempt: 2 },
      { ...failed, attempt: 2, willRetryAt: at('00:01:15') },
      { ...about, kind: 'started', attempt: 3 },
      { ...about, kind: 'succeeded', attempt: 3 },
    ]);
    const { history, retries } = await schedule.inspect('close-day');
    expect(history.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [3, 'succeeded'],
      [2, 'failed'],
      [1, 'failed'],
    ]);
    expect(retries).toEqual([]);
  });

  it('says that no other attempt follows', async () => {
    const { schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => Promise.reject(new Error('no paper')));
    await elections.clock.advance(MINUTE_MS);
    expect(events[1]).not.toHaveProperty('willRetryAt');
  });

  it('says that an attempt that was to follow is given up, and lists it until then', async () => {
    const { schedule, events } = await heard();
    const options = { timeZone: 'UTC', retries: 1, startingDeadlineSeconds: 20 };
    const fails = () => Promise.reject(new Error('no paper'));
    schedule.add('close-day', '*/10 * * * *', fails, options);
    await elections.clock.advance(10 * MINUTE_MS);
    await schedule.suspend('close-day');
    const { retries } = await schedule.inspect('close-day');
    const [notBefore, notAfter] = [at('00:10:10'), at('00:10:20.999')];
    expect(retries).toEqual([{ scheduledTime: at('00:10:00'), attempt: 2, notBefore, notAfter }]);
    await elections.clock.advance(MINUTE_MS);
    await schedule.resume('close-day');
    await elections.clock.settle();
    expect(events.at(-1)).toMatchObject({
      kind: 'skipped',
      attempt: 2,
      reason: 'too-late',
      term: 1,
    });
  });

  it('gives an event that no listener can change, and that is whole as JSON', async () => {
    const { schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => undefined);
    await elections.clock.advance(MINUTE_MS);
    expect(events.map((event) => Object.isFrozen(event))).toEqual([true, true]);
    expect(JSON.parse(JSON.stringify(events[1]))).toEqual({
      ...events[1],
      scheduledTime: '2026-01-01T00:01:00.000Z',
    });
  });
});

describe('when a tick is not run', () => {
  it('says that it was missed, once for each tick', async () => {
    const { schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => undefined, { timeZone: 'UTC' });
    await elections.clock.settle();
    await schedule.suspend('close-day');
    await elections.clock.advance(2 * MINUTE_MS);
    await schedule.resume('close-day');
    await elections.clock.settle();
    const missed = { kind: 'missed', attempt: 0, reason: 'not-started', term: 1 };
    expect(events).toMatchObject([
      { ...missed, scheduledTime: at('00:01:00') },
      { ...missed, scheduledTime: at('00:02:00') },
    ]);
  });

  it('says that a triggered run was refused', async () => {
    const { schedule, events } = await heard();
    schedule.add('close-day', '* * * * *', () => aWait(30_000), { timeZone: 'UTC' });
    await elections.clock.advance(MINUTE_MS + 1_000);
    await schedule.trigger('close-day');
    const skipped = { kind: 'skipped', attempt: 0, reason: 'forbidden' };
    expect(events).toMatchObject([
      { kind: 'started' },
      { ...skipped, scheduledTime: at('00:01:01') },
    ]);
  });

  it.each<[string, (reporter: RunReporter) => void, string]>([
    ['another replica has claimed', (to) => to.onSkipped(RUN, 'taken'), 'taken'],
    ['has a claim without an answer', (to) => to.onUnresolved(RUN), 'unresolved'],
    ['was handed back', (to) => to.onReturned(RUN, { isReturned: true, cause }), 'returned'],
    ['could not be handed back', (to) => to.onReturned(RUN, { isReturned: false, cause }), 'lost'],
  ])('says that it was skipped if it %s', (_, report, reason) => {
    report(new RunReporter(SOURCE, new RunEvents()));
    const { job, scheduledTime, term } = RUN;
    const skipped = { kind: 'skipped', job, scheduledTime, term: term.number, attempt: 0, reason };
    expect(onChannel).toEqual([{ ...SOURCE, ...skipped }]);
  });
});

describe('when work runs once per version', () => {
  it('says so by its key and version, and whose it is', async () => {
    const { application, schedule, events } = await heard();
    const done = schedule.once('schema', '4', () => aWait(2_500));
    await elections.clock.advance(5_000);
    await done;
    const { role, identity } = application.leadership();
    const work = { role, holderIdentity: identity, job: 'schema', version: '4', attempt: 1 };
    expect(events).toMatchObject([
      { ...work, kind: 'started' },
      { ...work, kind: 'succeeded', durationMs: 2_500 },
    ]);
    expect(onChannel).toEqual(events);
  });

  it('says why it failed', async () => {
    const { schedule, events } = await heard();
    const failing = schedule.once('schema', '4', () => Promise.reject(new Error('no table')));
    const outcome = failing.then(String, String);
    await elections.clock.advance(5_000);
    expect(await outcome).toContain('no table');
    const failed = { kind: 'failed', reason: 'Error: no table', durationMs: 0 };
    expect(events).toMatchObject([{ kind: 'started' }, failed]);
  });

  it('says that a claim was handed back', () => {
    const reporter = new OnceReporter(SOURCE, new RunEvents(), 'schema');
    const claimed = { version: '4', state: 'returned' as const, claim: 'c', attempt: 2, term: 7 };
    const times = { startedAt: 0, endedAt: 0, reason: null };
    reporter.onReturned({ ...claimed, ...times, holderIdentity: 'pod-a', fencingToken: '9' });
    const what = { job: 'schema', version: '4', scheduledTime: new Date(0), attempt: 0, term: 7 };
    expect(onChannel).toEqual([{ ...SOURCE, ...what, kind: 'skipped', reason: 'returned' }]);
  });
});

describe('when two applications of one process have the same job', () => {
  it('tells each application of its own runs, and says on the channel whose they are', async () => {
    const first = await heard();
    const second = await heard();
    for (const { schedule } of [first, second]) schedule.add('job', '* * * * *', () => undefined);
    await elections.clock.advance(MINUTE_MS);
    first.application.leadership().stepDown();
    await elections.clock.advance(MINUTE_MS);
    const identities = [first, second].map(({ application }) => application.leadership().identity);
    expect(new Set(first.events.map(({ holderIdentity }) => holderIdentity))).toEqual(
      new Set([identities[0]]),
    );
    expect(new Set(second.events.map(({ holderIdentity }) => holderIdentity))).toEqual(
      new Set([identities[1]]),
    );
    expect(onChannel).toEqual([...first.events, ...second.events]);
  });
});

describe('when the application shuts down', () => {
  it('tells how the last run ended, and then completes', async () => {
    const { application, schedule, events } = await heard();
    const order: string[] = [];
    schedule.runs$.subscribe({
      next: ({ kind }) => order.push(kind),
      complete: () => order.push('complete'),
    });
    schedule.add('job', '* * * * *', () => aWait(5_000));
    await elections.clock.advance(MINUTE_MS);
    const closed = application.close();
    await elections.clock.advance(6_000);
    await closed;
    expect(order).toEqual(['started', 'succeeded', 'complete']);
    expect(events).toHaveLength(2);
  });
});

describe('when a subscriber of runs$ throws', () => {
  afterEach(() => {
    config.onUnhandledError = null;
    config.useDeprecatedSynchronousErrorHandling = false;
  });

  it.each([
    ['as rxjs handles it by default', false],
    ['as rxjs handled it before version 6', true],
  ])('changes nothing for the jobs, and rxjs reports it: %s', async (_, isSynchronous) => {
    const { schedule, events } = await heard();
    const reported: unknown[] = [];
    config.onUnhandledError = (error) => reported.push(error);
    config.useDeprecatedSynchronousErrorHandling = isSynchronous;
    const thrown = new Error('a subscriber of the user');
    schedule.runs$.subscribe(() => {
      throw thrown;
    });
    let runs = 0;
    schedule.add('job', '* * * * *', () => void (runs += 1));
    await elections.clock.advance(2 * MINUTE_MS);
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(runs).toBe(2);
    expect(events).toHaveLength(4);
    expect(new Set(reported)).toEqual(new Set([thrown]));
  });
});

describe('when a subscriber of runs$ blocks the event loop for longer than the term', () => {
  it('has begun the run on the leader before that', async () => {
    const { application, schedule } = await heard();
    const leadership = application.leadership();
    const begun: boolean[] = [];
    schedule.add('job', '* * * * *', () => void begun.push(leadership.isLeader()));
    schedule.runs$.subscribe(({ kind }) => {
      if (kind === 'started') elections.clock.stall(120_000);
    });
    await elections.clock.advance(MINUTE_MS);
    expect(begun[0]).toBe(true);
    expect(leadership.isLeader()).toBe(false);
  });
});

describe('when nobody listens', () => {
  const run = { kind: 'started', job: 'job', scheduledTime: at('00:00:00'), attempt: 1 } as const;
  const report = jest.fn(() => run);
  beforeEach(() => {
    unsubscribe(CHANNEL, listen);
    report.mockClear();
  });

  it('builds nothing', () => {
    new RunEvents().tell(SOURCE, report);
    expect(report).not.toHaveBeenCalled();
  });

  it('builds nothing once the last listener has left', () => {
    const events = new RunEvents();
    events.runs$.subscribe().unsubscribe();
    events.tell(SOURCE, report);
    expect(report).not.toHaveBeenCalled();
  });

  it('builds one event for all who do listen', () => {
    const events = new RunEvents();
    subscribe(CHANNEL, listen);
    events.runs$.subscribe();
    events.runs$.subscribe();
    events.tell(SOURCE, report);
    expect(report).toHaveBeenCalledTimes(1);
    expect(onChannel).toEqual([{ ...SOURCE, ...run }]);
  });
});
