import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { SpreadLedger } from '../../../lib/schedule/ledger/spread-ledger.js';
import { ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;

async function leading(): Promise<ScheduledProcess> {
  return (await new ScheduledProcess().withJob({ startingDeadlineMs: 30_000 })).lead();
}

describe('when a process froze until its term was over by the clock, and the signal does not know yet', () => {
  it('claims no tick that has come due, writes nothing and lets other timers have their turn', async () => {
    const process = await leading();
    const { store, clock } = process;
    const requests = store.reads + store.writes;
    clock.stall(MINUTE_MS);
    process.freeze();
    await clock.advance(0);
    expect(store.reads + store.writes).toBe(requests);
    expect(process.started).toEqual([]);
    await process.lose();
    expect(clock.pendingTimers).toBe(0);
    await process.lead(2);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it('does not start a tick whose claim is answered only now, and hands it back', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    process.freeze();
    process.store.release();
    await process.clock.settle();
    expect(process.started).toEqual([]);
    expect(process.log).toEqual(['returned true, leadership ended']);
    await process.lose();
    await process.lead(2);
    expect(process.startedTimes).toEqual(['00:01:00']);
  });

  it('does not start a triggered run whose record is answered only now', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    const triggered = process.job().trigger(process.term!);
    await process.clock.settle();
    process.freeze();
    process.store.release();
    await expect(triggered).resolves.toBe('unresolved');
    expect(process.started).toEqual([]);
    expect((await process.record()).active).toEqual([]);
  });
});

describe('when every write is given up at once', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('lets the other timers of the process have their turn all the same', async () => {
    const process = await leading();
    let asked = 0;
    jest.spyOn(SpreadLedger.prototype, 'submit').mockImplementation(() => {
      if ((asked += 1) > 1_000) throw new Error('it never yields');
      return Promise.resolve({ kind: 'unresolved' });
    });
    await process.clock.advance(MINUTE_MS + 5_000);
    expect(asked).toBeGreaterThan(2);
    expect(asked).toBeLessThan(100);
  });
});
