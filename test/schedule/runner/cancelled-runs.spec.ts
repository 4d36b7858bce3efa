import { describe, expect, it } from '@jest/globals';
import type { CancelOrder, CancelResult } from '../../../lib/schedule/runner/cancelling.js';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { GRACE_MS } from '../../../lib/schedule/runner/job-run.js';
import {
  CHANGE_TIMEOUT_MS,
  JOB,
  LEASE_DURATION_MS,
  ScheduledProcess,
} from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const EVERY_MINUTE = { expression: '* * * * *' };

/** A leader, and a process that does not lead. */
async function fleet(job: Partial<JobDefinition> & { expression?: string } = EVERY_MINUTE) {
  const leader = await (await new ScheduledProcess('a').withJob(job)).lead();
  const follower = await new ScheduledProcess('b', leader.clock, leader.store).withJob(job);
  return { leader, follower, clock: leader.clock };
}

/** Its runs end when their signals are aborted, and not before. */
function obey(process: ScheduledProcess): void {
  process.handler = ({ signal }) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}

/** Its runs never end. */
function ignore(process: ScheduledProcess): void {
  process.handler = () => new Promise<void>(() => undefined);
}

/** What `cancel()` has told so far. */
function cancel(
  process: ScheduledProcess,
  order: Partial<CancelOrder> = {},
): { result?: CancelResult | undefined | 'pending' } {
  const asked: { result?: CancelResult | undefined | 'pending' } = { result: 'pending' };
  const { identity: by } = process;
  const full = { by, reason: 'it waits for a printer', waitMs: MINUTE_MS, ...order };
  void process
    .job()
    .cancel(full)
    .then((result) => (asked.result = result));
  return asked;
}

describe('when a run is cancelled in the process that runs it', () => {
  it('aborts its signal at once, and is recorded as cancelled with who and why', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS);
    const asked = cancel(leader);
    expect(leader.started[0]!.signal.reason).toMatchObject({ code: 'ERR_JOB_CANCELLED', by: 'a' });
    await clock.settle();
    expect(asked.result).toBe('ended');
    const cancellation = {
      at: Date.UTC(2026, 0, 1, 0, 1),
      by: 'a',
      reason: 'it waits for a printer',
    };
    expect(await leader.record()).toMatchObject({
      active: [],
      lastFailed: null,
      lastSuccessfulTime: null,
      history: [{ outcome: 'cancelled', reason: '', cancellation }],
    });
    expect(leader.log).toEqual([
      'cancelled by a it waits for a printer',
      'ended cancelled by a: it waits for a printer',
    ]);
  });

  it('aborts it although the store does not answer, and says that it does not know', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS);
    leader.store.fatesOfReads.push(...Array.from({ length: 200 }, () => 'lost' as const));
    const asked = cancel(leader);
    expect(leader.started[0]!.signal.aborted).toBe(true);
    await clock.advance(2 * CHANGE_TIMEOUT_MS);
    expect(asked.result).toBeUndefined();
  });

  it.each([
    ['throws something else', () => Promise.reject(new Error('torn'))],
    ['resolves', () => Promise.resolve()],
    ['throws the reason', (reason: unknown) => Promise.reject(reason as Error)],
  ])('is cancelled although its handler then %s', async (_what, react) => {
    const { leader, clock } = await fleet();
    leader.handler = ({ signal }) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve(react(signal.reason))),
      );
    await clock.advance(MINUTE_MS);
    cancel(leader);
    await clock.settle();
    expect((await leader.record()).history).toMatchObject([{ outcome: 'cancelled' }]);
  });

  it('has succeeded if its handler was done before', async () => {
    const { leader, clock } = await fleet();
    await clock.advance(MINUTE_MS);
    const asked = cancel(leader);
    await clock.settle();
    expect(asked.result).toBe('none');
    expect((await leader.record()).history).toMatchObject([{ outcome: 'succeeded' }]);
  });

  it('lets the next tick start, and no later run is cancelled by it', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS);
    cancel(leader);
    await clock.advance(MINUTE_MS + 2 * LEASE_DURATION_MS);
    expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(leader.started[1]!.signal.aborted).toBe(false);
  });

  it('is not the next one, which has waited for it and starts at once', async () => {
    const { leader, clock } = await fleet({ startingDeadlineMs: MINUTE_MS });
    obey(leader);
    await clock.advance(2 * MINUTE_MS + 10_000);
    leader.store.fatesOfReads.push('lost');
    const asked = cancel(leader);
    await clock.advance(2 * LEASE_DURATION_MS);
    expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(asked.result).toBe('ended');
    expect(leader.started.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  it('is a triggered one too, and its caller hears of it', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    const triggered = leader.job().trigger(leader.term!);
    await clock.settle();
    cancel(leader);
    await clock.settle();
    expect(await triggered).toBe('cancelled');
    expect((await leader.record()).history).toMatchObject([
      { outcome: 'cancelled', isTriggered: true },
    ]);
  });

  it('is every one that is active', async () => {
    const { leader, clock } = await fleet({ concurrencyPolicy: 'Allow' });
    obey(leader);
    await clock.advance(3 * MINUTE_MS);
    cancel(leader);
    await clock.settle();
    expect(leader.started.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    expect((await leader.record()).active).toEqual([]);
  });

  it('is also one whose claim was under way when that was asked', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    leader.store.fatesOfWrites.push('held');
    await clock.advance(MINUTE_MS);
    const asked = cancel(leader);
    leader.store.release();
    await clock.settle();
    expect(asked.result).toBe('ended');
    expect((await leader.record()).history).toMatchObject([{ outcome: 'cancelled' }]);
  });

  it('frees its place after a grace if it ignores its signal, and says so', async () => {
    const { leader, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS);
    const asked = cancel(leader, { waitMs: GRACE_MS });
    await clock.advance(GRACE_MS);
    expect(asked.result).toBe('asked');
    expect(leader.log).toContain('overdue, cancelled');
    await clock.advance(MINUTE_MS);
    expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect((await leader.record()).active).toHaveLength(2);
  });

  it.each<[string, Partial<JobDefinition>, number]>([
    ['has taken too long', { timeoutMs: 1_000 }, 2_000],
    ['was to make way for the next', { concurrencyPolicy: 'Replace' }, MINUTE_MS + GRACE_MS],
  ])('is cancelled if it %s before, and has ignored that', async (_what, job, afterMs) => {
    const { leader, clock } = await fleet(job);
    let finish!: () => void;
    leader.handler = () => new Promise<void>((resolve) => (finish ??= resolve));
    await clock.advance(MINUTE_MS + afterMs);
    cancel(leader);
    finish();
    await clock.settle();
    const [first] = (await leader.record()).history;
    expect(first).toMatchObject({ outcome: 'cancelled', startedAt: Date.UTC(2026, 0, 1, 0, 1) });
  });

  it('does not wait for itself if its own handler asks', async () => {
    const { leader, clock } = await fleet();
    let told: CancelResult | undefined;
    leader.handler = async () => {
      told = await leader.job().cancel({ by: 'a', reason: '', waitMs: MINUTE_MS });
    };
    await clock.advance(MINUTE_MS);
    expect(told).toBe('asked');
    expect((await leader.record()).history).toMatchObject([{ outcome: 'cancelled' }]);
  });
});

describe('when a run is cancelled in another process', () => {
  it('hears of it within a lease duration', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    const asked = cancel(follower);
    await clock.settle();
    expect(leader.started[0]!.signal.aborted).toBe(false);
    expect(await leader.record()).toMatchObject({ active: [{ cancellation: { by: 'b' } }] });
    await clock.advance(LEASE_DURATION_MS);
    expect(leader.started[0]!.signal.reason).toMatchObject({ code: 'ERR_JOB_CANCELLED', by: 'b' });
    await clock.advance(1_000);
    expect(asked.result).toBe('ended');
    expect((await leader.record()).history).toMatchObject([
      { outcome: 'cancelled', cancellation: { by: 'b', reason: 'it waits for a printer' } },
    ]);
  });

  it('tells that it was asked if that takes longer than the caller waits', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    const asked = cancel(follower, { waitMs: 0 });
    await clock.settle();
    expect(asked.result).toBe('asked');
  });

  it('does not take it for ended while what is stored is not known', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    const asked = cancel(follower);
    await clock.settle();
    follower.store.fatesOfWrites.push('lost');
    follower.store.fatesOfReads.push(...Array.from({ length: 200 }, () => 'lost' as const));
    void follower.job().switchFleet({ isSuspended: true, by: 'b', reason: '' });
    await clock.advance(2 * CHANGE_TIMEOUT_MS);
    expect(leader.started[0]!.signal.aborted).toBe(false);
    expect(asked.result).toBe('pending');
  });

  it('writes nothing if no run is active', async () => {
    const { leader, follower, clock } = await fleet();
    await clock.advance(MINUTE_MS);
    const { writes } = leader.store;
    const asked = cancel(follower);
    await clock.settle();
    expect(asked.result).toBe('none');
    expect(leader.store.writes).toBe(writes);
  });

  it('keeps the first of two marks', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    cancel(follower, { reason: 'first' });
    await clock.settle();
    cancel(follower, { reason: 'second' });
    await clock.advance(LEASE_DURATION_MS);
    expect((await leader.record()).history).toMatchObject([{ cancellation: { reason: 'first' } }]);
  });

  it('keeps the first also if a second one is about a later run too', async () => {
    const { leader, follower, clock } = await fleet({
      concurrencyPolicy: 'Allow',
      expression: '*/5 * * * * *',
    });
    obey(leader);
    await clock.advance(6_000);
    cancel(follower, { reason: 'first' });
    await clock.advance(5_000);
    cancel(follower, { reason: 'second' });
    await clock.settle();
    expect((await leader.record()).active).toMatchObject([
      { cancellation: { reason: 'first' } },
      { cancellation: { reason: 'second' } },
    ]);
  });

  it('hears of it at once if it is only about to start', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    leader.store.fatesOfWrites.push('unanswered');
    await clock.advance(MINUTE_MS);
    cancel(follower);
    await clock.advance(1_000);
    expect(leader.startedTimes).toEqual(['00:01:00']);
    expect((await leader.record()).history).toMatchObject([{ outcome: 'cancelled' }]);
  });

  it('marks no later run, although the answer to the mark was lost', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    follower.store.fatesOfWrites.push('unanswered');
    follower.store.fatesOfReads.push('ok', 'held');
    const asked = cancel(follower, { waitMs: 0 });
    await clock.advance(1_000);
    await leader.lose();
    await leader.lead(2);
    void leader.job().trigger(leader.term!);
    await clock.settle();
    expect((await leader.record()).active).toMatchObject([{ isTriggered: true }]);
    follower.store.release();
    await clock.advance(2 * LEASE_DURATION_MS);
    expect(asked.result).toBe('ended');
    expect(leader.started.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  it('cancels no run of a job that was removed and added again under its name meanwhile', async () => {
    const leader = await (await new ScheduledProcess('a').withJob()).lead();
    const { clock, store } = leader;
    obey(leader);
    await clock.advance(MINUTE_MS - 2_000);
    // So the cancel reads the record after the tick was claimed.
    store.fatesOfReads.push('hangs');
    const asked = cancel(leader);
    await clock.settle();
    leader.schedule.remove(JOB);
    await clock.settle();
    await leader.withJob();
    await clock.advance(CHANGE_TIMEOUT_MS);
    expect(leader.startedTimes).toEqual(['00:01:00']);
    const { active, history } = await leader.record();
    expect({ active: active.length, history, missed: leader.missed }).toEqual({
      active: 1,
      history: [],
      missed: [],
    });
    expect(leader.started[0]!.signal.aborted).toBe(false);
    expect(asked.result).toBeUndefined();
  });

  it('says that it does not know when the store does not answer', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS);
    follower.store.fatesOfWrites.push(...Array.from({ length: 200 }, () => 'lost' as const));
    const asked = cancel(follower);
    await clock.advance(CHANGE_TIMEOUT_MS + 3_000);
    expect(asked.result).toBeUndefined();
  });
});

describe('when a job with retries is cancelled', () => {
  const retrying = { retries: { limit: 3, backoffMs: 30_000 } };
  const fail = (process: ScheduledProcess): void => {
    process.handler = () => Promise.reject(new Error('no paper'));
  };

  it('drops the attempt that is to follow, and lets the next tick start', async () => {
    const { leader, clock } = await fleet({
      retries: { limit: 3, backoffMs: 240_000 },
      startingDeadlineMs: 10 * MINUTE_MS,
    });
    fail(leader);
    await clock.advance(2 * MINUTE_MS + 10_000);
    expect((await leader.record()).retries).toMatchObject([{ attempt: 2 }]);
    const asked = cancel(leader);
    await clock.settle();
    expect(asked.result).toBe('ended');
    expect(leader.log).toContain('dropped 2 cancelled');
    expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
  });

  it('drops it also if another process is asked', async () => {
    const { leader, follower, clock } = await fleet(retrying);
    fail(leader);
    await clock.advance(MINUTE_MS + 1_000);
    const asked = cancel(follower);
    await clock.settle();
    expect(asked.result).toBe('ended');
    expect((await leader.record()).retries).toEqual([]);
    await clock.advance(MINUTE_MS - 2_000);
    expect(leader.startedTimes).toEqual(['00:01:00']);
  });

  it('cancels it if it starts before it could be dropped', async () => {
    const { leader, follower, clock } = await fleet(retrying);
    fail(leader);
    await clock.advance(MINUTE_MS + 29_000);
    follower.store.fatesOfWrites.push('lost');
    follower.store.fatesOfReads.push('ok', 'held');
    const asked = cancel(follower);
    await clock.settle();
    obey(leader);
    await clock.advance(2_000);
    expect(leader.started.length).toBe(2);
    follower.store.release();
    await clock.advance(LEASE_DURATION_MS + 1_000);
    expect(leader.started[1]!.signal.reason).toMatchObject({ code: 'ERR_JOB_CANCELLED' });
    expect(asked.result).toBe('ended');
    expect(follower.log.filter((line) => line.startsWith('dropped'))).toEqual([]);
  });

  it('is not followed by another attempt', async () => {
    const { leader, clock } = await fleet(retrying);
    obey(leader);
    await clock.advance(MINUTE_MS);
    cancel(leader);
    await clock.settle();
    expect(await leader.record()).toMatchObject({
      retries: [],
      history: [{ outcome: 'cancelled' }],
    });
  });

  it('is not followed by another attempt if it fails before its process hears of it', async () => {
    const { leader, follower, clock } = await fleet(retrying);
    let fail!: () => void;
    leader.handler = () =>
      new Promise((_resolve, reject) => (fail = () => reject(new Error('no'))));
    await clock.advance(MINUTE_MS + 100);
    cancel(follower);
    await clock.settle();
    fail();
    await clock.settle();
    expect(await leader.record()).toMatchObject({ retries: [], history: [{ outcome: 'failed' }] });
  });

  it('is not run again by the next leader if its process is gone', async () => {
    const { leader, follower, clock } = await fleet({ onInterrupted: 'rerun' });
    ignore(leader);
    await clock.advance(MINUTE_MS + 100);
    cancel(follower);
    await clock.settle();
    await leader.lose();
    await follower.lead(2);
    await clock.advance(10_000);
    expect(follower.started).toEqual([]);
    expect(await follower.record()).toMatchObject({
      retries: [],
      history: [{ outcome: 'cancelled' }],
    });
  });
});

describe('when no run takes longer than the lease lasts', () => {
  it('costs no request beside its claim and its end', async () => {
    const { leader, clock } = await fleet();
    leader.handler = () =>
      new Promise<void>((resolve) => void clock.setTimer(resolve, LEASE_DURATION_MS - 1));
    const { reads, writes } = leader.store;
    await clock.advance(10 * MINUTE_MS);
    await clock.advance(LEASE_DURATION_MS);
    expect(leader.started).toHaveLength(10);
    expect(leader.store.reads - reads).toBe(0);
    expect(leader.store.writes - writes).toBe(20);
  });

  it('reads nothing although there is always one', async () => {
    const expression = '*/10 * * * * *';
    const { leader, clock } = await fleet({ concurrencyPolicy: 'Allow', expression });
    leader.handler = () =>
      new Promise<void>((resolve) => void clock.setTimer(resolve, LEASE_DURATION_MS - 1));
    const { reads } = leader.store;
    await clock.advance(5 * MINUTE_MS);
    expect(leader.started).toHaveLength(30);
    expect(leader.store.reads).toBe(reads);
  });
});

describe('when runs of several jobs take long', () => {
  it('reads once a lease duration, for all of them', async () => {
    const { leader, clock } = await fleet();
    for (const name of ['second', 'third']) await leader.withJob({ name });
    ignore(leader);
    await clock.advance(MINUTE_MS);
    const { reads } = leader.store;
    await clock.advance(6 * LEASE_DURATION_MS);
    expect(leader.started).toHaveLength(3);
    expect(leader.store.reads - reads).toBe(6);
  });

  it('reads nothing once it no longer leads', async () => {
    const { leader, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS);
    await leader.lose();
    const { reads } = leader.store;
    await clock.advance(10 * MINUTE_MS);
    expect(leader.store.reads).toBe(reads);
  });
});

describe('when the process that runs it is gone', () => {
  it('is given up by the next leader as cancelled, and its tick reported as interrupted', async () => {
    const { leader, follower, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS + 100);
    const asked = cancel(follower);
    await clock.settle();
    await leader.lose();
    await follower.lead(2);
    await clock.advance(1_000);
    expect(asked.result).toBe('ended');
    expect(await follower.record()).toMatchObject({
      active: [],
      lastFailed: null,
      history: [{ outcome: 'cancelled', cancellation: { by: 'b' } }],
    });
    expect(follower.missed).toMatchObject([{ reason: 'interrupted', count: 1 }]);
    await clock.advance(MINUTE_MS);
    expect(follower.startedTimes).toEqual(['00:02:00']);
  });

  it('is freed at once by a leader that is asked, also while the job is suspended', async () => {
    const { leader, follower, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS + 100);
    await follower.job().switchFleet({ isSuspended: true, by: 'b', reason: '' });
    await leader.lose();
    await follower.lead(2);
    expect((await follower.record()).active).toHaveLength(1);
    const asked = cancel(follower);
    await clock.settle();
    expect(asked.result).toBe('ended');
    expect(await follower.record()).toMatchObject({
      active: [],
      history: [{ outcome: 'cancelled' }],
    });
  });

  it('is not freed by a leader of the same term that cannot know', async () => {
    const { leader, follower, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS + 100);
    await follower.lead(1);
    const asked = cancel(follower, { waitMs: 0 });
    await clock.settle();
    expect(asked.result).toBe('asked');
    expect((await follower.record()).active).toHaveLength(1);
  });

  it('ends a run that has outlived its term when its process leads again', async () => {
    const { leader, follower, clock } = await fleet();
    ignore(leader);
    await clock.advance(MINUTE_MS + 100);
    await leader.lose();
    cancel(follower);
    await clock.settle();
    await leader.lead(2);
    await clock.advance(GRACE_MS);
    expect(leader.log).toEqual(['cancelled by b it waits for a printer', 'overdue, cancelled']);
    await clock.advance(MINUTE_MS);
    expect(leader.startedTimes).toEqual(['00:01:00', '00:02:00']);
  });
});

describe('when versions differ in whether they know of cancelling', () => {
  it('leaves the mark to the next version that knows it, although one that does not has written', async () => {
    const { leader, follower, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    cancel(follower);
    await clock.settle();
    await leader.edit({ missedCount: 7, later: true });
    await clock.advance(LEASE_DURATION_MS);
    expect(leader.started[0]!.signal.aborted).toBe(true);
    expect(await leader.record(JOB)).toMatchObject({
      missedCount: 7,
      history: [{ outcome: 'cancelled' }],
    });
  });

  it('cancels nothing by a mark of a later version that it cannot read, and keeps it', async () => {
    const { leader, clock } = await fleet();
    obey(leader);
    await clock.advance(MINUTE_MS + 100);
    const [active] = (await leader.record()).active;
    const mark = { until: 'Monday' };
    await leader.edit({ active: [{ ...active!.source, cancellation: mark }] });
    await clock.advance(2 * LEASE_DURATION_MS);
    expect(leader.started[0]!.signal.aborted).toBe(false);
    expect((await leader.record()).active[0]!.source).toMatchObject({ cancellation: mark });
  });
});
