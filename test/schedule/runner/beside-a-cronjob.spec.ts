import { describe, expect, it } from '@jest/globals';
import { GRACE_MS } from '../../../lib/schedule/runner/job-run.js';
import {
  CronExpressionFault,
  parseCronExpression,
} from '../../../lib/schedule/tick/cron-expression.js';
import { ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;

type Change = Parameters<ScheduledProcess['withJob']>[0];

/** A leader whose first run, at 00:01, ends when the test says so and ignores its signal. */
async function busy(change: Change) {
  const process = await (await new ScheduledProcess().withJob(change)).lead();
  let finish!: () => void;
  process.handler = () => new Promise<void>((resolve) => (finish = resolve));
  await process.clock.advance(MINUTE_MS);
  process.handler = () => undefined;
  return { process, finish: () => (finish(), process.clock.settle()) };
}

/** The rows of the table in docs/scheduling.md in which a job and a CronJob differ, and where they do not. */
describe('when a job is compared with a CronJob', () => {
  it("reports a tick skipped by 'Forbid' without a deadline; a CronJob starts it when the active run ends", async () => {
    const { process, finish } = await busy({ concurrencyPolicy: 'Forbid' });
    await process.clock.advance(MINUTE_MS);
    expect(process.missed).toMatchObject([{ reason: 'forbidden', count: 1 }]);
    await finish();
    await process.clock.advance(10_000);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it("starts the latest tick skipped by 'Forbid' within a deadline, as a CronJob does", async () => {
    const change = { concurrencyPolicy: 'Forbid', startingDeadlineMs: 3_600_000 } as const;
    const { process, finish } = await busy(change);
    await process.clock.advance(2 * MINUTE_MS + 10_000);
    await finish();
    expect(process.startedTimes).toEqual(['00:01:00', '00:03:00']);
  });

  it("waits for the run that 'Replace' aborts, for 30 s; a CronJob waits for none", async () => {
    const { process } = await busy({ concurrencyPolicy: 'Replace' });
    await process.clock.advance(MINUTE_MS);
    expect(process.started[0]!.signal.aborted).toBe(true);
    expect(process.startedTimes).toEqual(['00:01:00']);
    await process.clock.advance(GRACE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
  });

  it.each([
    ['reports them without a deadline; a CronJob starts the latest', null, ['00:01:00']],
    ['starts the latest within a deadline, as a CronJob does', 60_000, ['00:01:00', '00:03:00']],
  ])('on resume with ticks missed %s', async (_what, startingDeadlineMs, started) => {
    const process = await (await new ScheduledProcess().withJob({ startingDeadlineMs })).lead();
    await process.clock.advance(MINUTE_MS);
    process.job().suspend();
    await process.clock.advance(2 * MINUTE_MS + 10_000);
    process.job().resume();
    await process.clock.settle();
    expect(process.startedTimes).toEqual(started);
  });

  it.each([
    '0 0 * * 7',
    '0 0 * * 5-7',
    '@minutely',
    '@secondly',
    '@weekdays',
    '@weekends',
    '5 * * * * *',
  ])('takes %s, which a CronJob refuses', (expression) => {
    expect(parseCronExpression(expression)).toBeDefined();
  });

  it.each(['@every 1h', 'TZ=UTC 0 0 * * *', '0 0 1,,2 * *', '0 0 *-5 * *'])(
    'refuses %s, which robfig/cron takes',
    (expression) => {
      expect(() => parseCronExpression(expression)).toThrow(CronExpressionFault);
    },
  );

  it('begins an edited schedule now; a CronJob counts on from lastScheduleTime', async () => {
    const first = await (
      await new ScheduledProcess('a').withJob({ expression: '0 * * * *' })
    ).lead();
    await first.clock.advance(60 * MINUTE_MS);
    await first.lose();
    await first.clock.advance(30 * MINUTE_MS);
    const second = new ScheduledProcess('b', first.clock, first.store);
    // A tick of 01:15 has passed by now.
    await second.withJob({ expression: '15 * * * *', startingDeadlineMs: 3_600_000 });
    await second.lead(2);
    await second.clock.advance(45 * MINUTE_MS);
    expect(second.startedTimes).toEqual(['02:15:00']);
    expect(second.missed).toEqual([]);
  });
});
