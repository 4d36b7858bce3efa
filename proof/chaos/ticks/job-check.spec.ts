import { describe, expect, it } from '@jest/globals';
import { type Fates, jobViolations } from './job-check.js';
import { JobHistory } from './tick-history.js';
import { dueAt, type JobKind, type TickJob, tickJobs } from './tick-jobs.js';
import { ToldEvents } from './told-events.js';

const JOBS = tickJobs(1, 10);
const WELL: Fates = { stopped: new Map(), gone: new Set() };

function jobOf(kind: JobKind): TickJob {
  return JOBS.find((job) => job.kind === kind)!;
}

function told(kind: JobKind): ToldEvents {
  return new ToldEvents(jobOf(kind).name);
}

function violationsOf(
  events: ToldEvents,
  { settled, fates = WELL }: { readonly settled?: number; readonly fates?: Fates } = {},
): string[] {
  const job = JOBS.find(({ name }) => name === events.job)!;
  const history = events.history.jobs.get(job.name) ?? new JobHistory(job.name);
  return jobViolations(job, history, settled, fates).map((text) =>
    text.replace(`${job.name}: `, ''),
  );
}

describe('when ticks of a job are judged', () => {
  it('each that was started once or reported is well', () => {
    expect(violationsOf(told('plain').run(1).missed([2]).run(3, { caughtUp: true }))).toEqual([]);
  });

  it('one that was started twice is a violation, in whichever replicas', () => {
    expect(violationsOf(told('plain').run(1).run(2).run(2, { name: 'b' }))).toEqual([
      '2 started twice',
    ]);
  });

  it('one that was neither started nor reported is a violation', () => {
    expect(violationsOf(told('plain').run(1).run(3))).toEqual(['2 neither started nor reported']);
  });

  it('ticks up to the settled one are missing when the fleet fell silent', () => {
    expect(violationsOf(told('plain').run(1), { settled: 2 })).toEqual([
      '2 neither started nor reported',
    ]);
  });

  it('later ticks than the settled one may be under way', () => {
    expect(violationsOf(told('plain').run(1).run(3), { settled: 1 })).toEqual([]);
  });

  it.each(['not-started', 'forbidden'])('one that was started is not reported as %s', (reason) => {
    expect(violationsOf(told('plain').run(1).missed([1], reason))).toEqual([
      `1 started and reported as ${reason}`,
    ]);
  });

  it('a run whose process ended in the middle is reported as interrupted', () => {
    const fates = { ...WELL, gone: new Set(['a']) };
    const cut = (): ToldEvents => told('plain').start(1).run(2, { name: 'b' });
    expect(violationsOf(cut(), { fates })).toEqual([
      '1 was interrupted, and neither reported nor run again',
    ]);
    expect(violationsOf(cut().missed([1], 'interrupted'), { fates })).toEqual([]);
    expect(violationsOf(cut())).toEqual([]);
  });
});

describe('when ticks have jitter', () => {
  const job = jobOf('jitterMs');
  const tick = [1, 2, 3, 4].find((each) => dueAt(job, each) > each * 1_000)!;
  const delayMs = dueAt(job, tick) - tick * 1_000;

  it('none starts before every replica would have started it', () => {
    expect(violationsOf(told('jitterMs').run(tick, { lateMs: delayMs }))).toEqual([]);
    expect(violationsOf(told('jitterMs').run(tick, { lateMs: delayMs - 1 }))).toEqual([
      `${tick} started 1 ms before it was due`,
    ]);
  });
});

describe("when all missed ticks start ('all')", () => {
  it('they start oldest first', () => {
    const inOrder = told('missed all').run(1, { lateMs: 2_000 }).run(2, { lateMs: 1_100 });
    expect(violationsOf(inOrder)).toEqual([]);
    const latestFirst = told('missed all').run(1, { lateMs: 2_000 }).run(2, { lateMs: 900 });
    expect(violationsOf(latestFirst)).toEqual(['1 started after 2']);
  });

  it('a replica that was stopped may start what it has claimed before', () => {
    const late = told('missed all').run(1, { lateMs: 2_000 }).run(2, { name: 'b', lateMs: 900 });
    expect(violationsOf(late)).toEqual(['1 started after 2']);
    expect(violationsOf(late, { fates: { ...WELL, stopped: new Map([['a', 0]]) } })).toEqual([]);
  });

  it('none is given up before its deadline', () => {
    const seconds = jobOf('missed all').options.startingDeadlineSeconds!;
    const reportedAfter = (ms: number): ToldEvents =>
      told('missed all')
        .run(1)
        .missed([2], 'not-started', 2_000 + ms);
    expect(violationsOf(reportedAfter(seconds * 1_000))).toEqual([]);
    expect(violationsOf(reportedAfter(seconds * 1_000 - 1))).toEqual([
      '2 reported as not-started 1 ms before its deadline',
    ]);
  });
});

describe('when a job was suspended for the whole fleet', () => {
  const suspended = (): ToldEvents =>
    told('suspend')
      .run(1)
      .order(1, 'suspend', { asked: 1_100, done: 1_500 })
      .order(2, 'resume', { asked: 4_500, done: 4_600 })
      .missed([2, 3, 4])
      .run(5);

  it('no tick of that time starts in it', () => {
    expect(violationsOf(suspended())).toEqual([]);
    expect(violationsOf(suspended().start(3))).toContain('3 started while the job was suspended');
  });

  it('one that was due before it may have been claimed before it, and one may be caught up after it', () => {
    const events = told('suspend')
      .run(1, { lateMs: 600 })
      .order(1, 'suspend', { asked: 1_100, done: 1_500 })
      .order(2, 'resume', { asked: 2_500, done: 2_600 })
      .run(2, { lateMs: 700 });
    expect(violationsOf(events)).toEqual([]);
  });

  it('an order that another has overtaken proves nothing', () => {
    const events = told('suspend')
      .run(1)
      .order(1, 'suspend', { asked: 1_100, done: 1_900 })
      .order(2, 'resume', { asked: 1_800, done: 1_850 })
      .run(2);
    expect(violationsOf(events)).toEqual([]);
  });

  it('one that is never resumed is suspended to the end', () => {
    const events = told('suspend').run(1).order(1, 'suspend', { asked: 1_100, done: 1_500 }).run(2);
    expect(violationsOf(events)).toEqual(['2 started while the job was suspended']);
  });
});

describe('when a run that fails is tried again', () => {
  const failing = (tick: number, ...attempts: number[]): ToldEvents => {
    const events = told('retries');
    for (const attempt of attempts) {
      const lateMs = 100 * attempt;
      events.start(tick, { attempt, lateMs });
      events.end(tick, { attempt, lateMs: lateMs + 5, succeeded: false });
    }
    return events;
  };

  it('its attempts are one after the other, within the limit', () => {
    expect(violationsOf(failing(1, 1, 2).run(1, { attempt: 3, lateMs: 300 }))).toEqual([]);
    expect(violationsOf(failing(1, 1, 2, 3))).toEqual([]);
    expect(violationsOf(failing(1, 1, 2, 3, 4))).toEqual([
      'attempt 4 of 1 started, and it may have 3',
    ]);
  });

  it('an attempt that was started twice is a violation', () => {
    const events = failing(1, 1).run(1, { attempt: 2, lateMs: 200 });
    events.run(1, { attempt: 2, lateMs: 220, name: 'b' });
    expect(violationsOf(events)).toContain('attempt 2 of 1 started twice');
  });

  it('none follows a success', () => {
    const events = told('retries').run(1).run(1, { attempt: 2, lateMs: 200 });
    expect(violationsOf(events)).toEqual([
      'attempt 2 of 1 started after one that had succeeded',
      'attempt 2 of 1 started, and the one before had not failed',
    ]);
  });

  it('none is left out', () => {
    const events = failing(1, 1).run(1, { attempt: 3, lateMs: 300 });
    expect(violationsOf(events)).toEqual([
      'attempt 3 of 1 started, and the one before had not failed',
    ]);
  });

  it('none starts after a later one, but in a replica that was stopped', () => {
    const events = failing(1, 1).start(1, { attempt: 3, lateMs: 200, name: 'b' });
    events.start(1, { attempt: 2, lateMs: 300 });
    const found = 'attempt 2 of 1 started after a later one';
    expect(violationsOf(events)).toContain(found);
    const fates = { ...WELL, stopped: new Map([['a', 0]]) };
    expect(violationsOf(events, { fates })).not.toContain(found);
  });

  it('a failure that may be tried again is, or is reported as interrupted', () => {
    const found = ['attempt 1 of 1 failed, and was not tried again'];
    expect(violationsOf(failing(1, 1))).toEqual(found);
    expect(violationsOf(failing(1, 1).missed([1], 'interrupted'))).toEqual([]);
  });
});

describe('when a run that was interrupted is run again', () => {
  const fates = { ...WELL, gone: new Set(['a']) };
  const cut = (): ToldEvents => told('rerun').start(1);

  it('its next attempt counts for it, and so does a report', () => {
    expect(violationsOf(cut().run(1, { attempt: 2, lateMs: 900, name: 'b' }), { fates })).toEqual(
      [],
    );
    expect(violationsOf(cut().missed([1], 'interrupted'), { fates })).toEqual([]);
    expect(violationsOf(cut(), { fates })).toEqual([
      '1 was interrupted, and neither reported nor run again',
    ]);
  });

  it('none follows the report', () => {
    const events = cut().missed([1], 'interrupted', 1_500);
    events.run(1, { attempt: 2, lateMs: 900, name: 'b' });
    expect(violationsOf(events, { fates })).toEqual([
      'attempt 2 of 1 started after it had been reported as interrupted',
    ]);
  });

  it('none follows a success that was stored, as the next tick of its process shows', () => {
    const again = { attempt: 2, lateMs: 3_000, name: 'b' };
    expect(violationsOf(told('rerun').run(1).run(1, again))).toEqual([]);
    expect(violationsOf(told('rerun').run(1).run(2).run(1, again))).toEqual([
      'attempt 2 of 1 started after one that had succeeded',
    ]);
  });
});

describe('when a run is stuck', () => {
  const DONE = 2_000;
  const stuck = (): ToldEvents =>
    told('cancel').start(1).order(1, 'cancel', { asked: 1_900, done: DONE });
  const endedAfter = (ms: number): ToldEvents =>
    stuck().end(1, { lateMs: DONE - 1_000 + ms, succeeded: false, isCancelled: true });

  it('cancel() ends it soon', () => {
    expect(violationsOf(endedAfter(15_000))).toEqual([]);
    expect(violationsOf(endedAfter(15_001))).toEqual(['1 was stuck for long after cancel()']);
    expect(violationsOf(stuck())).toEqual(['1 was stuck for long after cancel()']);
  });

  it.each([
    { fate: 'has ended', fates: { ...WELL, gone: new Set(['a']) }, isExcused: true },
    { fate: 'was stopped', fates: { ...WELL, stopped: new Map([['a', 0]]) }, isExcused: true },
    {
      fate: 'was stopped long before',
      fates: { ...WELL, stopped: new Map([['a', -10_000]]) },
      isExcused: false,
    },
  ])('cancel() need not end it in a replica that $fate: $isExcused', ({ fates, isExcused }) => {
    const found = violationsOf(endedAfter(15_001), { fates });
    expect(found.some((text) => text.includes('stuck for long'))).toBe(!isExcused);
  });

  it('cancel() ends no run that starts later', () => {
    const events = stuck().end(1).start(3).end(3, { succeeded: false, isCancelled: true });
    expect(violationsOf(events.missed([2]))).toEqual([
      '3 was cancelled, which nobody had asked for',
    ]);
  });
});

describe('when the record of a job was read', () => {
  const run = { attempt: 1, startedAt: 1_005, holder: 'a', outcome: 'succeeded' };
  const recording = (...ticks: number[]): ToldEvents => {
    const events = told('historyLimit');
    for (let tick = 1; tick <= 8; tick += 1) events.run(tick);
    const runs = ticks.map((tick) => ({ ...run, tick }));
    return events.tell('a', 9_000, { event: 'inspected', job: events.job, runs });
  };

  it('the last runs are in it, and no more of them than historyLimit', () => {
    expect(violationsOf(recording(8, 7, 6, 5, 4, 3, 2))).toEqual([]);
    expect(violationsOf(recording(8, 7, 6, 5, 4, 3, 2, 1))).toEqual([
      '8 past runs recorded, above 7',
    ]);
  });

  it('each run is in it once', () => {
    expect(violationsOf(recording(8, 7, 8))).toEqual(['past run recorded twice: a 8 1 1005']);
  });

  it('no success is in it that was none', () => {
    const failed = recording(9).end(9, { succeeded: false });
    expect(violationsOf(failed)).toEqual(['9 recorded as succeeded, and it did not']);
  });
});
