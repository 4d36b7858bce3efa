import { describe, expect, it } from '@jest/globals';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const OTHER = 'other';

/** A leader whose job does this in its only run, and what came of it. */
async function running(
  handler: (process: ScheduledProcess) => Promise<unknown>,
  change: Parameters<ScheduledProcess['withJob']>[0] = {},
): Promise<{ process: ScheduledProcess; results: unknown[] }> {
  const process = await (await new ScheduledProcess().withJob(change)).lead();
  const results: unknown[] = [];
  process.handler = async () => {
    process.handler = () => undefined;
    results.push(await handler(process).catch((error: unknown) => error));
  };
  await process.clock.advance(MINUTE_MS);
  return { process, results };
}

const trigger = (process: ScheduledProcess, name = JOB) => process.job(name).trigger(process.term!);
const remove = async (process: ScheduledProcess, name = JOB): Promise<string> => {
  await process.schedule.remove(name)!.idle();
  return 'removed';
};

describe('when a run waits for its own job', () => {
  it('ends, and lets go of the lease: it removes the job', async () => {
    const { process, results } = await running((self) => remove(self));
    expect(results).toEqual(['removed']);
    expect(process.log).toEqual(['ended well']);
    expect(process.isDrained).toBe(true);
  });

  it("is refused and ends: it triggers the job under 'Replace'", async () => {
    const { process, results } = await running((self) => trigger(self), {
      concurrencyPolicy: 'Replace',
    });
    expect(results).toMatchObject([{ code: 'ERR_JOB_WAITS_FOR_ITSELF' }]);
    expect(process.started).toHaveLength(1);
    expect(process.started[0]!.signal.aborted).toBe(false);
    expect(process.isDrained).toBe(true);
  });

  it.each([
    ['Forbid', 'forbidden'],
    ['Allow', 'succeeded'],
  ] as const)('is answered: it triggers the job under %s', async (concurrencyPolicy, result) => {
    const { process, results } = await running((self) => trigger(self), { concurrencyPolicy });
    expect(results).toEqual([result]);
    expect(process.isDrained).toBe(true);
  });

  it("may trigger the job under 'Replace' when it has ended", async () => {
    const { process } = await running(
      (self) => {
        self.clock.setTimer(() => void trigger(self), 1_000);
        return Promise.resolve();
      },
      { concurrencyPolicy: 'Replace' },
    );
    await process.clock.advance(1_000);
    expect(process.log).toEqual(['ended well', 'ended well']);
  });
});

describe('when runs of two jobs wait for each other', () => {
  /** The first run triggers the second job, whose run does this. */
  async function pair(
    handler: (process: ScheduledProcess) => Promise<unknown>,
    change: Parameters<ScheduledProcess['withJob']>[0] = {},
  ) {
    const results: unknown[] = [];
    const { process } = await running(async (self) => {
      await self.withJob({
        name: OTHER,
        expression: '0 0 1 1 *',
        run: async () => results.push(await handler(self).catch((error: unknown) => error)),
      });
      results.push(await trigger(self, OTHER));
    }, change);
    return { process, results };
  }

  it('ends both: the second removes the first', async () => {
    const { process, results } = await pair((self) => remove(self));
    expect(results).toEqual(['removed', 'succeeded']);
    expect(process.isDrained).toBe(true);
  });

  it("ends both: the second triggers the first under 'Replace'", async () => {
    const { process, results } = await pair((self) => trigger(self), {
      concurrencyPolicy: 'Replace',
    });
    expect(results).toMatchObject([{ code: 'ERR_JOB_WAITS_FOR_ITSELF' }, 'succeeded']);
    expect(process.isDrained).toBe(true);
  });

  it('ends both: each removes the other', async () => {
    const process = await new ScheduledProcess().withJob({
      run: () => process.clock.settle().then(() => remove(process, OTHER)),
    });
    await process.withJob({ name: OTHER, run: () => remove(process) });
    await process.lead();
    await process.clock.advance(MINUTE_MS);
    expect(process.log).toEqual(['ended well', 'ended well']);
    expect(process.isDrained).toBe(true);
  });

  it('waits where the other does not wait for it', async () => {
    const process = await (await new ScheduledProcess().withJob()).lead();
    let finish!: () => void;
    process.handler = () => new Promise<void>((resolve) => (finish = resolve));
    await process.withJob({ name: OTHER, run: () => remove(process) });
    await process.clock.advance(MINUTE_MS);
    expect(process.log).toEqual([]);
    finish();
    await process.clock.settle();
    expect(process.log).toEqual(['ended well', 'ended well']);
  });
});
